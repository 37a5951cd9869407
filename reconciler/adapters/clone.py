"""A bare clone that follows one branch of a remote and carries the status back to it. Used by ``sources`` and the service.

It keeps the newest commit alone (depth 1), has no work tree, runs no hook and no filter, and fetches no submodule. Whatever
becomes of it, it can be made again: nothing is kept here and nowhere else. Only one run works with it at a time.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from reconciler.adapters.git import Answer, GitRepository
from reconciler.adapters.history import Squashed, squashed
from reconciler.adapters.objects import Blob, TooMuchError
from reconciler.adapters.refusals import explained
from reconciler.adapters.remote import Remote
from reconciler.errors import GitError
from reconciler.repository import Join

ASKING = 15.0
"""Seconds for the question which commit a branch is at: a service that is told to end waits for the answer."""

_ASKED = 1 << 20
"""Bytes of the answer at most: it is a line for each branch that is asked for."""

_COMMIT = 1 << 20
"""Bytes of a commit that is verified: author, signature, message."""

FETCHING = 600.0
PUSHING = 60.0
_TRIES = 5
_REPLAYED = 20
"""Status commits that are put on top of a remote's branch at most, when it has moved; older ones are left out."""

_NOBODY = "false"
"""The program that verifies signatures of another kind: a commit can bear two, and only git knows which it looks at."""


class _Nowhere(GitRepository):
    """Git in a folder that is no repository and is in none, so that nothing that is damaged is in its way."""

    def ask(self, remote: Remote, *refs: str) -> Answer:
        """The commits of those of ``refs`` that the remote has. Raises GitError, and TooMuchError."""
        environment = remote.environment()
        return self._run(
            "ls-remote", "--", remote.url, *refs, environment=environment, network=ASKING, most=_ASKED
        )


class Clone(GitRepository):
    """The clone in ``folder``, which need not be there yet. Every method raises GitError."""

    def __init__(self, folder: Path, remote: Remote) -> None:
        super().__init__(folder, ceiling=folder.parent)  # one above is not taken for it when it is damaged
        self.remote = remote
        self._beside = _Nowhere(folder.parent, ceiling=folder.parent.parent)

    def ask(self, *branches: str) -> dict[str, str]:
        """The commits of those of ``branches`` that the remote has. Nothing is fetched, and no clone is needed."""
        names = {f"refs/heads/{branch}": branch for branch in branches}
        answer = self._beside.ask(self.remote, *names)
        if answer.code:
            raise self._failed("be reached", answer)
        lines = (line.partition("\t") for line in answer.out.decode(errors="replace").splitlines())
        return {names[name]: commit for commit, _, name in lines if name in names}

    def follow(self, branch: str, tip: str, status: str, status_tip: str, *, whole: bool) -> str:
        """Have commit ``tip`` of ``branch``, and the remote's status branch if it has one. Returns the commit of ``branch``.

        ``whole`` fetches every commit of the branch and not the newest alone. A clone that is damaged is made again.
        """
        try:
            self._prepare(len(tip))
            self._fetch_both(branch, tip, status, status_tip, whole=whole)
        except GitError:
            self.ask(branch)  # raises when it is the remote that has gone
            self.forget()
            self._prepare(len(tip))
            self._fetch_both(branch, tip, status, status_tip, whole=whole)
        return self._ref(_far(branch)) or tip  # somebody may have pushed since it was asked

    def blobs(self, commit: str, path: str) -> Iterator[Blob]:
        """Every file at or below ``path`` (``.`` for all) in a commit; submodules are left out. Raises TooMuchError, too."""
        return self._blobs(f"list {path} of commit {commit[:12]}", commit, "" if path == "." else path)

    def content(self, blob: Blob) -> bytes:
        """A file as it was committed: no line ends, keywords or filters are applied."""
        return self._git(f"read {blob.path}", "cat-file", "blob", blob.name)

    def signed_by_ssh(self, commit: str, allowed_signers: Path) -> bool:
        """Whether an SSH key that ``allowed_signers`` lists (as ssh-keygen has it) has signed the commit."""
        settings = {
            "gpg.ssh.allowedSignersFile": str(allowed_signers),
            "gpg.ssh.program": "ssh-keygen",
            "gpg.minTrustLevel": "fully",  # a good signature of somebody who is not listed has none
            **dict.fromkeys(("gpg.program", "gpg.openpgp.program", "gpg.x509.program"), _NOBODY),
        }
        return b"SSH SIGNATURE" in self._signature(commit) and self._verified(commit, settings, {})

    def signed_by_gpg(self, commit: str, keyring: Path) -> bool:
        """Whether an OpenPGP key in the folder ``keyring`` (a GNUPGHOME) has signed the commit."""
        settings = {
            "gpg.program": "gpg",
            "gpg.openpgp.program": "gpg",
            "gpg.minTrustLevel": "undefined",
            **dict.fromkeys(("gpg.ssh.program", "gpg.x509.program"), _NOBODY),
        }
        home = {"GNUPGHOME": str(keyring)}
        return b"PGP SIGNATURE" in self._signature(commit) and self._verified(commit, settings, home)

    def _signature(self, commit: str) -> bytes:
        """The first line of a commit's signature; empty without one, and for what is larger than any commit."""
        try:
            whole = self._git(f"read commit {commit[:12]}", "cat-file", "commit", commit, most=_COMMIT)
        except TooMuchError:
            return b""
        header = whole.partition(b"\n\n")[0]
        signs = (b"gpgsig ", b"gpgsig-sha256 ")
        return next((line for line in header.splitlines() if line.startswith(signs)), b"")

    def _verified(self, commit: str, settings: Mapping[str, str], environment: Mapping[str, str]) -> bool:
        chosen = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return self._run(*chosen, "verify-commit", "--", commit, environment=environment).code == 0

    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether ``commit`` is ``ancestor`` or builds on it."""
        return self._run("merge-base", "--is-ancestor", ancestor, commit).code == 0

    def known(self, branch: str) -> str | None:
        """The commit that the remote's branch was at when it was last fetched."""
        return self._ref(_far(branch)) if (self._folder / "HEAD").is_file() else None

    def forget(self) -> None:
        """Remove the clone: it is damaged, and the next look makes it again."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def tip(self, branch: str) -> str | None:
        """The commit of our own branch."""
        return self._ref(f"refs/heads/{branch}")

    def publish(self, branch: str, join: Join) -> bool:
        """Bring our own branch to the remote: on top of what is there, and never by force. Whether it had anything to bring.

        ``join`` puts the files of a commit of ours together with those of the commit that it comes on top of.
        """
        for _ in range(_TRIES):
            here, there = self.tip(branch), self._ref(_far(branch))
            new = self._rebased(branch, here, there, join) if here else None
            if new is None or new == there:
                self._forget_had(branch)
                return False
            answer = self._remote("push", "--quiet", "--", self.remote.url, f"{new}:refs/heads/{branch}")
            if answer.code == 0:
                self._git("note what was pushed", "update-ref", _far(branch), new)
                self._forget_had(branch)
                self._tidy()
                return True
            tip = self.ask(branch).get(branch, "")
            if tip == (there or ""):
                raise self._failed(f"take the branch {branch}", answer)
            self._fetch_status(branch, tip)
        raise GitError(
            f"repository {self.remote.shown}: others push to {branch} all the time; it is tried again"
        )

    def squash_theirs(self, branch: str, before: datetime) -> Squashed | None:
        """Make one commit of all that is older on the remote's ``branch`` than ``before``; None when there is nothing to squash.

        Pushed by force, on that branch alone, and only if it is still where it was seen: what others push meanwhile stays.
        """
        tip = self.ask(branch).get(branch)
        if tip is None:
            raise GitError(f"repository {self.remote.shown} has no branch {branch}")
        self._prepare(len(tip))
        self._fetch(branch, tip)
        tip = self._ref(_far(branch)) or tip
        found = squashed(self._git, self._contents, tip, before)
        if found:
            full = f"refs/heads/{branch}"
            lease = f"--force-with-lease={full}:{tip}"
            answer = self._remote("push", "--quiet", lease, "--", self.remote.url, f"{found.tip}:{full}")
            there = self.ask(branch).get(branch) if answer.code else found.tip
            if there == tip:
                raise self._failed(f"take the squashed branch {branch}", answer)
            if there != found.tip:
                raise GitError(
                    f"repository {self.remote.shown}: somebody has just pushed to {branch}, and nothing was changed; "
                    "do it once more"
                )
        return found

    def _tidy(self) -> None:
        """Pack what is loose, once that is a lot: git does so only after a fetch, and specs may stay the same for years."""
        with suppress(GitError):  # what failed is told by the next look, if it matters
            self._remote("gc", "--auto", "--quiet")

    def _rebased(self, branch: str, here: str, there: str | None, join: Join) -> str:
        """Our branch on top of theirs; ours alone where they have none."""
        if there is None:
            if not self._is_cut(here):
                return here
            commits = [here]  # what came before is not here, so nobody would take a commit that builds on it
        elif self.descends(here, there):
            return here
        else:
            had = self._had(branch)
            without = [f"^{commit}" for commit in (there, *had)]
            listed = self._git("list our status", "rev-list", "--reverse", f"-n{_REPLAYED}", here, *without)
            # Whoever rewrote the branch may have left out what we said last; where they have it, it makes no commit.
            commits = listed.decode().split() or ([here] if had else [])
        tip = there
        for commit in commits:
            tip = self._replayed(commit, tip, join)
        assert tip is not None
        self._git(f"move branch {branch}", "update-ref", f"refs/heads/{branch}", tip, here)
        return tip

    def _replayed(self, commit: str, onto: str | None, join: Join) -> str:
        """``commit`` once more, with ``onto`` as its parent."""
        tree = self._write_tree(join(self._files(onto) if onto else {}, self._files(commit)))
        if onto and self._tree_of(onto) == tree:
            return onto
        raw = self._git("read our status", "cat-file", "commit", commit)
        header, _, message = raw.partition(b"\n\n")
        kept = [line for line in header.split(b"\n") if line.startswith((b"author ", b"committer "))]
        parents = [b"parent " + onto.encode()] if onto else []
        body = b"\n".join([b"tree " + tree.encode(), *parents, *kept]) + b"\n\n" + message
        made = self._git("store the commit", "hash-object", "-w", "-t", "commit", "--stdin", data=body)
        return made.decode().strip()

    def _is_cut(self, commit: str) -> bool:
        """Whether commits that it builds on are missing, since the remote once had them and we never fetched them."""
        shallow = self._folder / "shallow"
        cut = shallow.read_text().split() if shallow.exists() else []
        roots = self._git("look for the first status", "rev-list", "--max-parents=0", commit).decode().split()
        return any(root in cut for root in roots)

    def _prepare(self, length: int) -> None:
        """A clone that git can use: what a killed run left locked is unlocked, since nobody else works here."""
        if not (self._folder / "HEAD").is_file():
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(parents=True, mode=0o700)
            kind = "sha256" if length == 64 else "sha1"
            self._git("make the clone", "init", "--quiet", "--bare", "--template=", f"--object-format={kind}")
            return
        for lock in (*self._folder.glob("*.lock"), *(self._folder / "refs").rglob("*.lock")):
            lock.unlink(missing_ok=True)
        self._git("check the clone", "fsck", "--connectivity-only", "--no-dangling", "--no-progress")

    def _fetch_both(self, branch: str, tip: str, status: str, status_tip: str, *, whole: bool) -> None:
        depth = ("--unshallow",) if (self._folder / "shallow").exists() else ()
        self._fetch(branch, tip, *(depth if whole else ("--depth=1",)))
        if status_tip:
            self._fetch_status(status, status_tip)
        elif self._ref(_far(status)):
            self._git("forget their status", "update-ref", "-d", _far(status))

    def _fetch_status(self, branch: str, tip: str) -> None:
        """Their status: at first its newest commit, then every one since, so that it is seen which of ours it has."""
        before = self._ref(_far(branch))
        self._fetch(branch, tip, *(() if before else ("--depth=1",)))
        if before and not self.descends(self._ref(_far(branch)) or tip, before):
            self._git("note what they had", "update-ref", f"{_had(branch)}/{before}", before)

    def _had(self, branch: str) -> list[str]:
        """Where the remote's branch was before it was rewritten, since we last brought ours: that is not brought again."""
        listed = self._git("look at what they had", "for-each-ref", "--format=%(objectname)", _had(branch))
        return listed.decode().split()

    def _forget_had(self, branch: str) -> None:
        for commit in self._had(branch):
            self._git("forget what they had", "update-ref", "-d", f"{_had(branch)}/{commit}")

    def _fetch(self, branch: str, tip: str, *depth: str) -> None:
        """Have the commit that the remote's branch is at, under ``refs/remotes/origin``."""
        if not tip or self._ref(_far(branch)) == tip:
            return
        answer = self._remote(
            *("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"),
            *("--force", "--update-shallow", *depth, "--"),
            *(self.remote.url, f"refs/heads/{branch}:{_far(branch)}"),
        )
        if answer.code:
            raise self._failed(f"give the branch {branch}", answer)

    def _remote(self, *arguments: str) -> Answer:
        seconds = PUSHING if arguments[0] == "push" else FETCHING
        return self._run(
            *("-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false"),
            *arguments,
            environment=self.remote.environment(),
            network=seconds,
        )

    def _failed(self, what: str, answer: Answer) -> GitError:
        """What the remote said, in one line."""
        why = explained(answer.err, answer.code)
        return GitError(f"repository {self.remote.shown} cannot {what}: {why}")


def _far(branch: str) -> str:
    """Where the remote's branch is kept here."""
    return f"refs/remotes/origin/{branch}"


def _had(branch: str) -> str:
    """Below which it is kept where the remote's branch was before it was rewritten."""
    return f"refs/had/{branch}"
