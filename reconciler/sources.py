"""Where specs come from: a folder as it is, or a branch of a remote repository that is followed. Called by the loop.

A followed branch has a last good revision: a newer commit that cannot be used is rejected, and the good one stays in force.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from reconciler import report, spec
from reconciler.adapters import git, ledger, node
from reconciler.adapters.clone import Clone
from reconciler.adapters.ledger import BRANCH, Ledger
from reconciler.adapters.remote import Remote
from reconciler.adapters.specstree import SpecsTree
from reconciler.errors import CipherError, GitError, SpecError
from reconciler.model import Fleet, Note, Rejected
from reconciler.pipeline import gpg
from reconciler.repository import Repository
from reconciler.spec import Problem

_OPENPGP = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"


class Origin(NamedTuple):
    """Specs to load, the commit they are of, and where their status is kept.

    ``rejected`` is a newer commit that cannot be used; ``notes`` is what else there is to know of the repository. ``root`` is the
    folder of our own that stands for the repository, and that nobody needs to read of.
    """

    specs: Path
    commit: str | None
    ledger: Ledger
    rejected: Rejected | None = None
    notes: tuple[Note, ...] = ()
    root: Path | None = None

    def named(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Problems with the names that their files have in the repository."""
        return tuple(
            msgspec.structs.replace(problem, file=problem.file.removeprefix(f"{self.root}/"))
            for problem in problems
        )


class Source(Protocol):
    """Where the specs of a run come from. ``lock`` is the folder that one acting run at a time has to itself."""

    lock: Path

    def look(self) -> object:
        """Something that differs when there are other specs; cheap. Raises GitError."""

    def origin(self) -> Origin:
        """The specs that are in force now. Raises SpecError when none can be, and GitError."""

    def taken(self) -> object:
        """What ``look`` says while there are no others than those that the last ``origin`` saw; None where nobody knows."""

    def ledger(self) -> Ledger | None:
        """Where the status is kept; None where there are no specs to have one. Raises GitError."""

    def share(self) -> str:
        """Bring the status to where others see it; why that failed, or nothing."""


class Plain:
    """The folder (or file) ``specs`` as it is; in a repository its work tree, with the status on a branch beside it."""

    def __init__(self, specs: Path) -> None:
        self.lock = specs
        self._part = report.Part(node.name(), alone=True)
        self._taken: object = None

    def look(self) -> object:
        """Names, sizes and times of all files."""
        return tuple(sorted(_stats(self.lock)))

    def taken(self) -> object:
        """The same, as it was before they were read."""
        return self._taken

    def origin(self) -> Origin:
        """The files as they are."""
        self._taken = tuple(sorted(_stats(self.lock)))
        repository = git.find(self.lock)
        book = ledger.open_ledger(self.lock, repository, self._part)
        return Origin(self.lock, _revision(repository, self.lock), book)

    def ledger(self) -> Ledger | None:
        """A branch of the repository, else a folder of this user."""
        return ledger.open_ledger(self.lock, git.find(self.lock), self._part) if self.lock.exists() else None

    def share(self) -> str:
        """A work tree is pushed by whoever owns it."""
        return ""


class Followed:
    """``path`` of a branch of ``remote``, of which ``state`` keeps a clone, the specs in force, and the last status.

    With ``signers`` (files: allowed signers as ssh-keygen has them, or OpenPGP public keys) only commits count that one of them
    signed, and none that does not build on the one in force.
    """

    def __init__(
        self, remote: Remote, branch: str, path: str, state: Path, signers: Sequence[Path] = ()
    ) -> None:
        self.lock = state
        self._branch = branch
        self._clone = Clone(state / "repository.git", remote)
        self._tree = SpecsTree(state, path)
        self._signers = signers
        self._part = report.Part(node.name())
        self._taken: str | None = None

    def look(self) -> object:
        """The commit that the branch is at; None when there is no such branch."""
        return self._clone.ask(self._branch).get(self._branch)

    def taken(self) -> object:
        """The commit that was fetched last, in force or rejected; None when the remote was away."""
        return self._taken

    def origin(self) -> Origin:
        """The newest commit that can be used. A remote that is away is told in a note, and changes nothing."""
        notes, rejected = self._newest()
        commit = self._in_force()
        if commit is None:
            raise SpecError(_first(rejected) if rejected else tuple(note.message for note in notes))
        if rejected:
            rejected = msgspec.structs.replace(rejected, in_force=commit)
        return Origin(self._tree.specs, commit, self.ledger(), rejected, notes, self._tree.root)

    def ledger(self) -> ledger.KeptLedger:
        """The branch of the clone, and a folder beside it."""
        return ledger.KeptLedger(self._clone, self.lock / "status", self._part)

    def share(self) -> str:
        """Push the status; what was kept goes into a clone that was made again."""
        try:
            if not self._clone.tip(BRANCH) and not self._clone.known(BRANCH):
                self.ledger().renew()
            self._clone.publish(BRANCH, self._part.join)
        except GitError as error:
            return str(error)
        return ""

    def _in_force(self) -> str | None:
        return self._tree.commit(verified=bool(self._signers))

    def _newest(self) -> tuple[tuple[Note, ...], Rejected | None]:
        """Put the newest commit in force. A clone that turns out to be damaged is made again, once."""
        why = ""
        for _ in range(2):
            notes, tip = self._fetched()
            if tip is None or tip == self._in_force():
                return notes, None
            try:
                return notes, self._accept(tip)
            except GitError as error:
                self._clone.forget()
                why = str(error)
        return (self._note(why),), None

    def _fetched(self) -> tuple[tuple[Note, ...], str | None]:
        """The newest commit that is known, and why it may not be the remote's newest."""
        self._taken = None
        try:
            tips = self._clone.ask(self._branch, BRANCH)
            if tip := tips.get(self._branch):
                whole = bool(self._signers)
                self._taken = self._clone.follow(self._branch, tip, BRANCH, tips.get(BRANCH, ""), whole=whole)
                return (), self._taken
            why = f"repository {self._clone.remote.shown} has no branch {self._branch}"
        except GitError as error:
            why = str(error)
        return (self._note(why),), self._known()

    def _note(self, why: str) -> Note:
        commit = self._in_force()
        stays = f"commit {commit[:12]} stays in force" if commit else "no specs are in force yet"
        return Note("warning", "repository", self._branch, f"{why}; {stays}")

    def _known(self) -> str | None:
        try:
            return self._clone.known(self._branch)
        except GitError:  # damaged, and away: what is in force does not need it
            return None

    def _accept(self, commit: str) -> Rejected | None:
        """Put a commit in force, or say what is wrong with it."""
        try:
            self._verify(commit)
            self._tree.write(self._clone, commit, verified=bool(self._signers))
            self._check()
        except SpecError as error:
            self._tree.discard()
            return Rejected(commit, error.problems)
        self._tree.enforce()
        return None

    def _verify(self, commit: str) -> None:
        if not self._signers:
            return
        if not any(self._signed(commit, file) for file in self._signers):
            listed = ", ".join(map(str, self._signers))
            raise SpecError((f"it is not signed by a key that is listed in {listed}",))
        last = self._in_force()
        if last and not self._clone.descends(commit, last):
            why = (
                "it does not build on the commit in force, so it may be an old one; if it is right, "
                f"remove the folder {self.lock / 'specs'}"
            )
            raise SpecError((why,))

    def _signed(self, commit: str, file: Path) -> bool:
        try:
            if _OPENPGP not in file.read_bytes():
                return self._clone.signed_by_ssh(commit, file)
            with gpg.keyring(file) as keyring:
                return self._clone.signed_by_gpg(commit, keyring)
        except OSError as error:
            raise SpecError((f"it cannot be verified: {file}: {error.strerror}",)) from None
        except CipherError as error:
            raise SpecError((f"it cannot be verified: {error}",)) from None

    def _check(self) -> None:
        """Raises SpecError with what is wrong with the specs that were written, by their names in the repository."""
        candidate = self._tree.candidate
        root = candidate.parents[len(Path(os.path.normpath(self._tree.path)).parts) - 1]
        found = spec.check([candidate])
        wrong = [
            str(problem).replace(f"{root}/", "") for problem in found.problems if problem.severity == "error"
        ]
        wrong += _of_the_repository(found.fleet, self.lock.parent.parent) if found.fleet else []
        if wrong:
            raise SpecError(tuple(wrong))


def _first(rejected: Rejected) -> tuple[str, ...]:
    """What there is to say when no commit was ever in force."""
    return (f"commit {rejected.commit[:12]} cannot be used, and none was in force before", *rejected.problems)


def _of_the_repository(fleet: Fleet, root: Path) -> Iterator[str]:
    """Paths below ``root``, where we keep our own: nobody's data is there, and copies would go with the next commit."""
    advice = "the repository is not checked out anywhere, so it has to be absolute"
    for item in fleet.destinations:
        if item.protocol == "file" and Path(item.url.removeprefix("file://")).is_relative_to(root):
            yield f"{item.where}: destination {item.name}: its path is relative; {advice}"
    for backup in fleet.backups:
        for target in backup.targets:
            if Path(getattr(target, "path", "/")).is_relative_to(root):
                yield f"{backup.where}: target {target.id}: its path is relative; {advice}"


def _revision(repository: Repository | None, specs: Path) -> str | None:
    """The commit of the specs, with ``-dirty`` where the files are not what was committed. None outside git."""
    head = repository.head() if repository else None
    if head and repository and repository.changed(specs):
        return f"{head}-dirty"
    return head


def _stats(path: Path) -> Iterator[tuple[str, int, int]]:
    for folder, folders, names in os.walk(path) if path.is_dir() else [(str(path.parent), [], [path.name])]:
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            place = os.path.join(folder, name)
            try:
                found = os.stat(place)
            except OSError:
                continue
            yield place, found.st_mtime_ns, found.st_size
