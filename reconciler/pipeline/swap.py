"""New data takes the place of old data in one step, and the old data can come back until it is dropped. Used by ``extract``.

What happened is read from the disk, not remembered: an interrupt may come between any two steps.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import subprocess
from pathlib import Path

_LONGEST_NAME = 255 - len("..restoring-lock")


class Swap:
    """``place``, the folder ``staging`` beside it for what is new, and ``old`` for what was there where one step cannot do it.

    Every method raises OSError.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        stem = os.fsdecode(os.fsencode(place.name)[:_LONGEST_NAME])
        self.staging = place.parent / f".{stem}.restoring-new"
        self.old = place.parent / f".{stem}.restoring-old"
        self._lock_file = place.parent / f".{stem}.restoring-lock"
        self._lock = -1
        self._from = self.staging
        self._new: tuple[int, int] | None = None

    def lock(self, *, wait: bool = True) -> bool:
        """Whether nobody else swaps here; ``wait`` until it is so. The kernel unlocks it when its holder dies.

        A file system without locks has nothing to tell.
        """
        while self._lock < 0:
            self._lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                self._let_go()
                return False
            except OSError:
                return True
            if _identity(self._lock_file) != _identity(self._lock):
                self._let_go()  # whoever had it took the file away
        return True

    @property
    def locked(self) -> bool:
        """Whether the lock is held here."""
        return self._lock >= 0

    def unlock(self) -> None:
        """Safe twice."""
        if self._lock >= 0:
            with contextlib.suppress(OSError):
                self._lock_file.unlink()
            self._let_go()

    def _let_go(self) -> None:
        os.close(self._lock)
        self._lock = -1

    def stage(self) -> None:
        """An empty staging folder; what a run that was killed left in it goes."""
        remove(self.staging)
        self.staging.mkdir(mode=0o700)

    def swap(self, new: Path) -> None:
        """``new``, which is the staging folder or lies in it, goes to the place. What was there is kept."""
        self._from, self._new = new, _identity(new)
        if not os.path.lexists(self.place):
            new.rename(self.place)
        elif not _exchange(new, self.place):
            remove(self.old)  # of a restore that was killed when it was all but done
            self.place.rename(self.old)
            try:
                new.rename(self.place)
            except OSError:
                self.old.rename(self.place)
                raise
        _sync_folder(self.place.parent)

    @property
    def kept(self) -> Path | None:
        """Where the old data is once the new is in place; None before that, and where there was none."""
        if self._new is None or _identity(self.place) != self._new:
            return None
        return next((path for path in (self._from, self.old) if os.path.lexists(path)), None)

    def undo(self) -> None:
        """The old data back in its place, or nothing where there was none. Before a swap, nothing happens."""
        kept = self.kept
        if kept is not None:
            if not _exchange(kept, self.place):
                self.place.rename(self._from)
                kept.rename(self.place)
        elif self._new is not None and _identity(self.place) == self._new:
            remove(self.place)
        else:
            self.put_back()
        _sync_folder(self.place.parent)

    def put_back(self) -> None:
        """Undo the first half of a swap in two steps that was interrupted.

        Where there is something at the place again, both stay: an application may have made an empty folder there.
        """
        if os.path.lexists(self.old) and not os.path.lexists(self.place):
            self.old.rename(self.place)

    def drop(self) -> None:
        """The swap is done for good: remove everything beside the place."""
        remove(self.staging)
        remove(self.old)

    def tidy(self) -> None:
        """After a kill: the old data or the new, whole. The old data goes only when the new is in place."""
        self.put_back()
        moved = not self.staging.is_dir() or not any(self.staging.iterdir())
        remove(self.staging)
        if moved:
            remove(self.old)


def sync_file_system(folder: Path) -> None:
    """Bring everything of this file system to the disk. Raises OSError."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(at):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(at)


def remove(path: Path) -> None:
    """Remove a file or a tree, of any depth and never across a mount. Raises OSError; what is gone already is no error."""
    removed = subprocess.run(
        ["rm", "-rf", "--one-file-system", "--", path], capture_output=True, text=True, check=False
    )
    if removed.returncode:
        raise OSError(errno.EBUSY, removed.stderr.strip(), str(path))


def _identity(path: Path | int) -> tuple[int, int] | None:
    """What names a file or folder whatever it is called; None for nothing."""
    with contextlib.suppress(FileNotFoundError):
        found = os.fstat(path) if isinstance(path, int) else path.lstat()
        return found.st_dev, found.st_ino
    return None


def _exchange(one: Path, other: Path) -> bool:
    """renameat2 with RENAME_EXCHANGE; False where the file system has no such thing."""
    libc = ctypes.CDLL(None, use_errno=True)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code))


def _sync_folder(folder: Path) -> None:
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(at)
    finally:
        os.close(at)
