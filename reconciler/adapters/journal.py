"""The journal: small files on this machine that say what must be put right after a kill. Used by ``wiring`` alone.

A record is locked by the process that works on it, and the kernel drops the lock when that process dies: what can be
locked is abandoned. Every change is synced with its folder before the call returns.

``ID.held`` is a record, ``ID.lock`` its lock (which stays where it is when the record is replaced), ``NAME.note`` a note.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from reconciler.adapters.lock import take
from reconciler.errors import ReconcilerError

_HELD = ".held"
_NOTE = ".note"
_TRIES = 10  # to lock a record that somebody may be only looking at


def state_folder() -> Path:
    """RECONCILER_STATE_DIR; else /var/lib/reconciler for root, and the user's own state folder for others."""
    if given := os.environ.get("RECONCILER_STATE_DIR"):
        return Path(given)
    if os.geteuid() == 0:
        return Path("/var/lib/reconciler")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "reconciler"


class FileEntry:
    """ports.Entry: one locked file."""

    def __init__(self, path: Path, lock: int) -> None:
        self._path = path
        self._lock = lock

    def write(self, content: bytes) -> None:
        """Replace the content. The lock stays on its own file, since a rename would leave it behind."""
        with _explained(self._path):
            _store(self._path, content)

    def clear(self) -> None:
        """Remove the record and let go of it."""
        with _explained(self._path):
            self._path.unlink(missing_ok=True)
            _sync_folder(self._path.parent)
            _lock_file(self._path).unlink(missing_ok=True)
        self.let_go()

    def let_go(self) -> None:
        """Close the lock. Safe twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


class FileJournal:
    """ports.Journal in a folder, which is made at the first record."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, content: bytes) -> FileEntry:
        """A new record. Raises ReconcilerError where the folder cannot be written."""
        path = self._folder / f"{uuid.uuid4().hex}{_HELD}"
        with _explained(path):
            _make(self._folder)
            lock = _new_lock(path)
            try:
                _store(path, content)
            except BaseException:
                os.close(lock)
                raise
        return FileEntry(path, lock)

    def abandoned(self) -> Iterator[tuple[bytes, FileEntry]]:
        """The records that nobody holds, each locked now, oldest first."""
        with _explained(self._folder / _HELD):
            paths = sorted(self._folder.glob(f"*{_HELD}"), key=_age)
            self._sweep()
        for path in paths:
            with _explained(path):
                lock = _locked(path)
            if lock is None:
                continue
            entry = FileEntry(path, lock)
            try:
                with _explained(path):
                    content = path.read_bytes() if path.exists() else b""
                if content:
                    yield content, entry
                else:  # cleared between the listing and the lock
                    entry.clear()
            finally:
                entry.let_go()

    def recall(self, name: str) -> bytes | None:
        """A note, or None."""
        path = self._folder / f"{name}{_NOTE}"
        with _explained(path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def remember(self, name: str, content: bytes) -> None:
        """Keep a note."""
        path = self._folder / f"{name}{_NOTE}"
        with _explained(path):
            _make(self._folder)
            _store(path, content)

    def _sweep(self) -> None:
        """Remove what a kill before the record was there has left."""
        for path in self._folder.glob("*.lock"):
            record = path.with_suffix(_HELD)
            lock = None if record.exists() else _locked(record)
            if lock is not None:
                if not record.exists():
                    record.with_suffix(".part").unlink(missing_ok=True)
                    path.unlink(missing_ok=True)
                os.close(lock)


def _lock_file(path: Path) -> Path:
    return path.with_suffix(".lock")


def _open_lock(path: Path) -> int:
    return os.open(_lock_file(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _new_lock(path: Path) -> int:
    """The lock of a new record; somebody may just be sweeping away the file of it."""
    while True:
        lock = _open_lock(path)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _lock_file(path).exists():
            return lock
        os.close(lock)


def _locked(path: Path) -> int | None:
    """A descriptor that locks the record; None when another process holds it, and does not only look at it."""
    lock = _open_lock(path)
    if take(lock, _TRIES):
        return lock
    os.close(lock)
    return None


def _make(folder: Path) -> None:
    """The folder, durable."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for place in missing:
        _sync_folder(place.parent)


def _store(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    with open(part, "wb", opener=_private) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    _sync_folder(path.parent)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(at)
    finally:
        os.close(at)


def _age(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReconcilerError(
            f"the journal in {path.parent} cannot be used: {error.strerror}; nothing is stopped or restored without it."
            f" Set RECONCILER_STATE_DIR to a folder on a disk that stays"
        ) from None
