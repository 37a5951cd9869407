"""Where the last status is kept: on a branch of the specs' repository, or in a folder of this user when there is none.

Chosen by the command line, read and written by ``report``. It holds whole small files and knows nothing of their content.
"""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from reconciler.adapters.replace import replace
from reconciler.errors import ReconcilerError
from reconciler.repository import Files, Repository

BRANCH = "backup-status"
"""The branch that holds the status and nothing else."""


class Part(Protocol):
    """What one machine has to say on a branch on which others write, too."""

    path: str
    """Of the file that holds it there, while others have theirs beside it."""

    def join(self, there: Files, ours: Files) -> Files:
        """What the branch becomes from the files that are there, and from those that we would write if we were alone."""


class Ledger(Protocol):
    """A few small files that are replaced together. ``place`` tells people where they are."""

    place: str

    @property
    def shared(self) -> bool:
        """Whether what is read may be of another machine than this one."""

    def read(self, name: str) -> bytes | None:
        """The file ``name`` as it was last written; None when it never was. Raises ReconcilerError."""

    def write(self, files: Files, message: str, time: datetime) -> str | None:
        """Replace the files. Returns the commit, or None where there are no commits or nothing changed."""


class BranchLedger:
    """The files are the tree of the branch ``backup-status``, or, with ``part``, one of several parts of it."""

    shared = False

    def __init__(self, repository: Repository, part: Part | None = None) -> None:
        self._repository = repository
        self._part = part
        self.place = f"branch {BRANCH}"

    def read(self, name: str) -> bytes | None:
        """This machine's part where it has one, else the file at the branch's tip. Raises GitError."""
        own = self._repository.read(BRANCH, self._part.path) if self._part else None
        return self._repository.read(BRANCH, name) if own is None else own

    def write(self, files: Files, message: str, time: datetime) -> str | None:
        """Commit the files. Raises GitError."""
        join = self._part.join if self._part else None
        return self._repository.commit(BRANCH, files, message, time, join)


class FolderLedger:
    """The files lie in ``folder``, each replaced atomically, in the order given."""

    shared = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = str(folder)

    def read(self, name: str) -> bytes | None:
        """The file. Raises ReconcilerError."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error("read", name, error) from None

    def write(self, files: Files, message: str, time: datetime) -> str | None:  # noqa: ARG002
        """Write the files; ``message`` and ``time`` are for commits, and there are none here. Raises ReconcilerError."""
        for name, data in files.items():
            try:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                replace(self._folder / name, data)
            except OSError as error:
                raise self._error("write", name, error) from None
        return None

    def time(self) -> datetime:
        """When the files were last written."""
        newest = max(path.stat().st_mtime for path in self._folder.glob("[!.]*"))
        return datetime.fromtimestamp(newest, UTC)

    def all(self) -> dict[str, bytes]:
        """Every file that was written. Raises ReconcilerError."""
        names = sorted(path.name for path in self._folder.glob("[!.]*"))
        return {name: data for name in names if (data := self.read(name)) is not None}

    def _error(self, verb: str, name: str, error: OSError) -> ReconcilerError:
        return ReconcilerError(
            f"cannot {verb} the status {self._folder / name}: {error.strerror}; "
            "make the folder usable for this user, or set XDG_STATE_HOME to another one"
        )


class KeptLedger:
    """A branch that other machines may see, and a folder that remembers whatever becomes of the branch.

    ``read`` asks the folder first: a clone can be lost, and a remote's status can be another machine's.
    """

    def __init__(self, repository: Repository, folder: Path, part: Part) -> None:
        self._branch = BranchLedger(repository, part)
        self._folder = FolderLedger(folder)
        self.place = self._branch.place

    @property
    def shared(self) -> bool:
        """Whether nothing is kept in the folder, so that the branch is read."""
        return not self._folder.all()

    def read(self, name: str) -> bytes | None:
        """The file as this machine wrote it last, else the branch's. Raises ReconcilerError."""
        kept = self._folder.read(name)
        return self._branch.read(name) if kept is None else kept

    def write(self, files: Files, message: str, time: datetime) -> str | None:
        """Commit the files, then keep them: what could not be committed is still news at the next run. Raises ReconcilerError."""
        commit = self._branch.write(files, message, time)
        self._folder.write(files, message, time)
        return commit

    def renew(self) -> None:
        """Commit what is kept, for a branch that was lost. Raises ReconcilerError."""
        if files := self._folder.all():
            self._branch.write(files, "the status as it was kept", self._folder.time())


def open_ledger(specs: Path, repository: Repository | None, part: Part | None = None) -> Ledger:
    """The ledger of the specs at ``specs``: on a branch when they lie in a repository."""
    return BranchLedger(repository, part) if repository else FolderLedger(state_folder(specs))


def state_folder(specs: Path) -> Path:
    """The folder for specs outside git: named by a digest of their path, below ``$XDG_STATE_HOME`` or ``~/.local/state``."""
    home = os.environ.get("XDG_STATE_HOME", "")
    # An XDG path that is not absolute is to be ignored, says its specification.
    base = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
    digest = hashlib.sha256(os.fsencode(specs.resolve())).hexdigest()
    return base / "reconciler" / digest[:16]
