"""The git port: reads and writes one branch of the repository that holds the specs. The only module that imports GitPython.

Called by the command line. It works on the object store alone: no index, no work tree, no checkout, no hook, and no network
(``adapters.clone`` builds on it, and has one).
The repository is always the one that git itself finds from the folder, so git's own ownership checks hold.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from subprocess import PIPE, TimeoutExpired
from typing import NamedTuple

from reconciler.adapters.gitchild import end, printed
from reconciler.adapters.hearing import Hearing
from reconciler.adapters.history import Squashed, squashed
from reconciler.adapters.objects import MOST_BYTES, MOST_LISTED, Blob, TooMuchError, blobs, contents
from reconciler.errors import GitError
from reconciler.repository import Files, Join

TIMEOUT = 60.0
"""Seconds after which a git command is given up."""

_AUTHOR = "reconciler"
_EMAIL = "reconciler@localhost"

# A git hook or `git -c` hands these down; they would point our commands at another repository.
_INHERITED = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_PREFIX",
)
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # a partial clone may not fetch what is missing
}
_SETTINGS = (
    "core.hooksPath=/dev/null",  # update-ref would run reference-transaction
    "core.fsync=all",  # by default git does not sync loose objects: a power cut could leave a ref to nothing
    "core.bigFileThreshold=32m",  # larger ones are never whole in git's memory
    "core.filesRefLockTimeout=2000",  # milliseconds to wait for somebody else's fetch or gc
    "commit.gpgSign=false",
    "i18n.commitEncoding=UTF-8",
)
_ADVICE = (
    (
        "dubious ownership",
        "run as the user who owns the repository, or trust it: git config --global --add safe.directory PATH",
    ),
    (
        ".lock': File exists",
        "another git process is using the branch; when none is running, delete that lock file",
    ),
    ("but expected", "another process has just written to it, and nothing was changed; do it once more"),
    ("Read-only file system", "make the repository writable, or move the specs to one that is"),
    ("ermission denied", "let this user write to the repository, or run as its owner"),
    ("insufficient permission", "let this user write to the repository, or run as its owner"),
    ("No space left", "free some space on the repository's disk"),
)


class Answer(NamedTuple):
    """What a git command said: exit code, standard output, standard error."""

    code: int
    out: bytes
    err: str


def find(path: Path) -> GitRepository | None:
    """The repository whose folder holds ``path``; None when there is none. Raises GitError when git refuses it."""
    start = path.absolute()
    while not start.is_dir():
        start = start.parent
    if not any(_looks_like_repository(folder) for folder in (start, *start.parents)):
        return None  # so that nobody needs git who does not use it
    repository = GitRepository(start)
    repository.check()
    return repository


def create(folder: Path) -> None:
    """Make ``folder``, which exists, a repository with the branch ``main``. Raises GitError."""
    if shutil.which("git") is None:
        raise GitError(
            f"{folder} cannot become a git repository: there is no git program in PATH; install git"
        )
    GitRepository(folder).make()


def _looks_like_repository(folder: Path) -> bool:
    dot = folder / ".git"
    bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    return bare or dot.is_file() or (dot / "HEAD").exists()


class GitRepository:
    """The repository that git finds from ``folder``; implements ``ports.Repository``. Every method raises GitError.

    It is not looked for in ``ceiling`` and above.
    """

    def __init__(self, folder: Path, ceiling: Path | None = None) -> None:
        self._folder = folder
        self._environment = dict(_ENVIRONMENT)
        if ceiling:
            self._environment["GIT_CEILING_DIRECTORIES"] = str(ceiling)

    def check(self) -> None:
        """Raises GitError when git cannot or will not use the repository."""
        self._git("find it", "rev-parse", "--absolute-git-dir")

    def make(self) -> None:
        """Make the folder itself a repository."""
        self._git("make one", "init", "--quiet", "--initial-branch=main")

    def root(self) -> Path:
        """The top of its work tree."""
        return Path(
            os.fsdecode(self._git("find its root", "rev-parse", "--show-toplevel").removesuffix(b"\n"))
        )

    def branch(self) -> str:
        """The branch that is checked out, also before its first commit; empty where none is."""
        return self._run("symbolic-ref", "--quiet", "--short", "HEAD").out.decode(errors="replace").strip()

    def origin(self) -> str:
        """The address of the remote ``origin``; empty where there is none. It may hold credentials."""
        return self._configured("remote.origin.url")

    def head(self) -> str | None:
        """The commit that is checked out, in hex; None before the first one."""
        answer = self._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if answer.code == 0:
            return answer.out.decode().strip()
        if answer.code == 1:
            return None
        raise self._error("read HEAD", answer)

    def changed(self, path: Path) -> bool:
        """Whether anything at ``path`` differs from the commit that is checked out; files that git ignores do not count."""
        listing = self._git("compare the specs", "status", "--porcelain", "-z", "--", str(path.absolute()))
        return bool(listing)

    def read(self, branch: str, name: str) -> bytes | None:
        """The file of ``branch`` with the path ``name``; None when the branch or the file is not there."""
        tip = self._tip(branch)
        return None if tip is None else self._files(tip, name).get(name)

    def _files(self, commit: str, only: str = "") -> dict[str, bytes]:
        """The files of a commit by their paths, or ``only`` one. Those whose names are not text are left out.

        Raises GitError also for more than any status is: others may push to its branch.
        """
        try:
            listed = {blob.path: blob for blob in self._blobs(f"list the status {commit[:12]}", commit, only)}
            found = {path: blob for path, blob in listed.items() if blob.is_text and path == (only or path)}
            if sum(blob.size for blob in found.values()) > MOST_BYTES:
                raise TooMuchError
        except TooMuchError:
            raise GitError(
                f"git repository {self._folder}: commit {commit[:12]} of the status holds more than any status does, so somebody "
                "else has written there: remove what is no status from its branch, or delete that branch to begin afresh"
            ) from None
        names = tuple(blob.name.encode() for blob in found.values())
        return dict(zip(found, self._contents(names), strict=True))

    def _blobs(self, aim: str, commit: str, path: str) -> Iterator[Blob]:
        """Every file at or below ``path`` in a commit. Raises TooMuchError, too."""
        below = (path,) if path else ()
        listing = self._git(
            aim,
            *("ls-tree", "-r", "-z", "-l", "--full-tree", "--", commit, *below),
            most=MOST_LISTED,
        )
        return blobs(listing)

    def _contents(self, names: Sequence[bytes]) -> Iterator[bytes]:
        """What is in objects, by one command for all."""
        read = self._git("read the status", "cat-file", "--batch", data=b"\n".join(names)) if names else b""
        try:
            yield from contents(read, names)
        except GitError as error:
            raise GitError(f"git repository {self._folder}: {error}") from None

    def commit(
        self, branch: str, files: Files, message: str, time: datetime, join: Join | None = None
    ) -> str | None:
        """Commit ``files`` as the whole tree of ``branch`` (an orphan at first), touching neither index nor work tree.

        ``join`` puts them together with what is there, instead. Returns the new commit, or None when the tree is already so.
        The branch moves last, from the tip that was seen and no other; when somebody else moved it meanwhile, once more on
        top of that.
        """
        self._refuse_checked_out(branch)
        while True:
            here = self._ref(f"refs/heads/{branch}")
            tip = here or self._ref(f"refs/remotes/origin/{branch}")
            there = self._files(tip) if join and tip else {}
            tree = self._write_tree(join(there, files) if join else files)
            if tip is not None and self._tree_of(tip) == tree:
                return None
            commit = self._write_commit(tree, tip, message, time)
            answer = self._run(
                "update-ref", "-m", "reconciler: status", f"refs/heads/{branch}", commit, here or ""
            )
            if answer.code == 0:
                return commit
            if self._ref(f"refs/heads/{branch}") == here:
                raise self._error(f"move branch {branch}", answer)

    def squash(self, branch: str, before: datetime) -> Squashed | None:
        """Make one commit of all that is older on ``branch`` than ``before``; None when there is nothing to squash.

        The branch moves last, from the tip that was seen and no other. Refuses the branch that is checked out.
        """
        self._refuse_checked_out(branch)
        tip = self._ref(f"refs/heads/{branch}")
        if tip is None:
            raise GitError(f"git repository {self._folder}: it has no branch {branch} of its own")
        found = squashed(self._git, self._contents, tip, before)
        if found:
            move = ("update-ref", "-m", "reconciler: squash", f"refs/heads/{branch}", found.tip, tip)
            self._git(f"move branch {branch}", *move)
        return found

    def _refuse_checked_out(self, branch: str) -> None:
        listing = self._git("list work trees", "worktree", "list", "--porcelain")
        if f"branch refs/heads/{branch}".encode() in listing.splitlines():
            raise GitError(
                f"git repository {self._folder}: branch {branch} is checked out in a work tree, so it cannot be moved "
                "without changing what is there; check out another branch"
            )

    def _tip(self, branch: str) -> str | None:
        """The commit of the branch here, else the one that a fresh clone has of origin's."""
        return self._ref(f"refs/heads/{branch}") or self._ref(f"refs/remotes/origin/{branch}")

    def _ref(self, full: str) -> str | None:
        """The commit that a ref points at. Listed rather than resolved, so that a damaged one is not "absent"."""
        lines = self._git(f"look at {full}", "for-each-ref", "--format=%(objectname) %(refname)", full)
        for line in lines.decode(errors="replace").splitlines():
            tip, _, name = line.partition(" ")
            if name == full:
                return tip
        return None

    def _tree_of(self, commit: str) -> str:
        answer = self._git("read the last status", "rev-parse", "--verify", f"{commit}^{{tree}}")
        return answer.decode().strip()

    def _write_tree(self, files: Files) -> str:
        entries, folders = [], dict[str, dict[str, bytes]]()
        for name, data in files.items():
            folder, separator, inner = name.partition("/")
            if separator:
                folders.setdefault(folder, {})[inner] = data
                continue
            blob = self._git(f"store {name}", "hash-object", "-w", "--stdin", data=data)
            entries.append(b"100644 blob " + blob.strip() + b"\t" + name.encode() + b"\0")
        for folder, inside in folders.items():
            tree = self._write_tree(inside).encode()
            entries.append(b"040000 tree " + tree + b"\t" + folder.encode() + b"\0")
        return self._git("store the tree", "mktree", "-z", data=b"".join(entries)).decode().strip()

    def _write_commit(self, tree: str, parent: str | None, message: str, time: datetime) -> str:
        date = f"@{int(time.timestamp())} +0000"
        name, email = self._configured("user.name") or _AUTHOR, self._configured("user.email") or _EMAIL
        identity = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", name), ("EMAIL", email), ("DATE", date))
        }
        parents = ("-p", parent) if parent else ()
        text = message.encode(errors="replace")
        commit = self._git("store the commit", "commit-tree", tree, *parents, data=text, environment=identity)
        return commit.decode().strip()

    def _configured(self, key: str) -> str:
        answer = self._run("config", "--get", key)
        return answer.out.decode(errors="replace").strip()

    def _git(
        self,
        aim: str,
        *arguments: str,
        data: bytes = b"",
        environment: Mapping[str, str] | None = None,
        most: int = 0,
    ) -> bytes:
        """Standard output of a git command that must succeed. ``aim`` says in the error what it was for."""
        answer = self._run(*arguments, data=data, environment=environment, most=most)
        if answer.code:
            raise self._error(aim, answer)
        return answer.out

    def _run(
        self,
        *arguments: str,
        data: bytes = b"",
        environment: Mapping[str, str] | None = None,
        network: float = 0.0,
        most: int = 0,
    ) -> Answer:
        """Run git with ``data`` on its standard input, in a session of its own so that Ctrl-C does not cut it short.

        ``network``: the seconds that a command which talks to a remote may take; it is ended when we are interrupted, too.
        ``most``: the bytes that it may print; it is ended at more, and TooMuchError raised.
        """
        if shutil.which("git") is None:
            raise GitError(
                f"{self._folder} is in a git repository, but there is no git program in PATH; install git"
            )
        from git.cmd import Git

        # GitPython falls back to the current directory when its own cannot be entered: -C fails instead.
        unset = [word for name in _INHERITED for word in ("-u", name)]
        command = ["env", *unset, "git", "-C", str(self._folder)]
        for setting in _SETTINGS:
            command += ["-c", setting]
        process = Git().execute(
            [*command, *arguments],
            istream=PIPE,
            as_process=True,
            env={**self._environment, **(environment or {})},
            start_new_session=True,
        )
        timeout = network or TIMEOUT
        child = process.proc
        assert child is not None
        assert child.stderr is not None
        stderr, child.stderr = child.stderr, None  # nobody else reads it, or closes it
        try:
            heard = Hearing(stderr)
            begun = printed(process.stdout, process.pid, most, timeout) if most and process.stdout else b""
            out, _ = process.communicate(data, timeout=timeout)
        except TimeoutExpired:
            end(process.pid)
            process.communicate()
            raise GitError(
                f"git repository {self._folder}: git {arguments[0]} gave no answer within {timeout:.0f} seconds"
            ) from None
        except BaseException:
            if network:  # it may take long; all else ends by itself at once
                end(process.pid)
            raise
        if most and len(begun) > most:
            raise TooMuchError(
                f"git repository {self._folder}: git {arguments[0]} tells of more than {most} bytes"
            )
        return Answer(process.returncode, begun + out, heard.text())

    def _error(self, aim: str, answer: Answer) -> GitError:
        """What git said, as one of our errors."""
        lines = [line for line in answer.err.splitlines() if line.strip()] or [f"exit code {answer.code}"]
        reason = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[0])
        advice = next((f"; {advice}" for sign, advice in _ADVICE if sign in answer.err), "")
        return GitError(
            f"git repository {self._folder}: cannot {aim}: {reason.partition(': ')[2] or reason}{advice}"
        )
