"""``file:///FOLDER``: copies in a folder of this machine, such as a second disk or a network mount.

fsspec's local filesystem writes under the final name and does not fsync, so this kind has a writer of its own:
``KEY.part`` beside the object, fsync, rename, fsync of the folder.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from reconciler.adapters.direct import DirectWriter
from reconciler.adapters.store import BaseReader, BaseStore, BaseWriter, Place, printable, reason
from reconciler.errors import StoreError
from reconciler.model import Destination
from reconciler.model.base import SpecModel
from reconciler.naming import PART
from reconciler.ports import Reader, Store, Stored, Writer

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
PLAIN = (
    os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
)  # never through a link; never wait for the other end of a FIFO

NOT_SUPPORTED = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS)
"""How filesystems say that they know no files without a name."""


class Options(SpecModel, frozen=True, kw_only=True, rename=None):
    """Nothing to set."""


def open_store(destination: Destination) -> Store:
    """The store in the folder of the URL, taken literally. Raises Unreachable unless it is an absolute path."""
    place = Place(destination.name)
    root = destination.url.removeprefix("file://")
    if not root.startswith("/"):
        raise place.unreachable(f"{destination.url} names no absolute folder", "write it as file:///FOLDER")
    return FileStore(destination.name, Path(root))


class FileStore(BaseStore):
    """A folder. It is made at the first write, if the folder above it exists; before that it counts as empty.

    A folder above it that does not exist is taken for a disk that is not mounted.
    """

    def __init__(self, name: str, root: Path) -> None:
        super().__init__(name)
        self.root = root

    def list(self) -> Iterable[Stored]:
        """Every regular file, hidden ones too. Links are not followed and not listed."""
        try:
            os.close(self._open_root(make=False))
        except FileNotFoundError:
            return []
        try:
            return list(_walk(self.root, ""))
        except OSError as error:
            raise self.place.unreachable(f"list {error.filename}: {reason(error)}") from error

    def read(self, key: str) -> Reader:
        """Open ``key``. Raises Missing, StoreError."""
        folders, name = _split(self.place.check(key))
        try:
            folder = self._open_folder(folders)
            try:
                file = os.open(name, os.O_RDONLY | PLAIN, dir_fd=folder)
            finally:
                os.close(folder)
        except FileNotFoundError:
            raise self.place.missing(key) from None
        except OSError as error:
            raise self.place.os_error("read", key, error) from error
        return FileReader(self.place, key, file)

    def create(self, key: str) -> Writer:
        """Begin to write ``key``. Raises StoreError."""
        folders, name = _split(self.place.check(key))
        try:
            folder = self._open_folder(folders, make=True)
        except OSError as error:
            raise self.place.os_error("make the folder of", key, error) from error
        try:
            return FileWriter(self.place, key, folder, name, self._create_part(folder, key, name + PART))
        except OSError as error:
            os.close(folder)
            raise self.place.os_error("create", key, error) from error
        except StoreError:
            os.close(folder)
            raise

    def _claim(self, key: str, data: bytes) -> bool:
        """Write a file without a name, synced, and give it its name: a link is refused where one is there."""
        folders, name = _split(self.place.check(key))
        try:
            folder = self._open_folder(folders, make=True)
            try:
                return self._link(folder, name, data)
            finally:
                os.close(folder)
        except OSError as error:
            raise self.place.os_error("claim", key, error) from error

    def _link(self, folder: int, name: str, data: bytes) -> bool:
        try:
            file = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder)
        except OSError as error:
            if error.errno not in NOT_SUPPORTED:
                raise
            return self._create_new(folder, name, data)
        try:
            os.write(file, data)
            os.fsync(file)
            os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=folder, follow_symlinks=True)
            os.fsync(folder)
        except FileExistsError:
            return False
        finally:
            os.close(file)
        return True

    def _create_new(self, folder: int, name: str, data: bytes) -> bool:
        """For network mounts and FAT: a moment long the object is there and empty, so this is not ``exclusive``."""
        self.exclusive = False
        try:
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | PLAIN, 0o600, dir_fd=folder)
        except FileExistsError:
            return False
        try:
            os.write(file, data)
            os.fsync(file)
            os.fsync(folder)
        except OSError:
            os.unlink(name, dir_fd=folder)
            raise
        finally:
            os.close(file)
        return True

    def delete(self, key: str) -> None:
        """Remove ``key`` durably, if it is there. Raises StoreError."""
        folders, name = _split(self.place.check(key))
        try:
            folder = self._open_folder(folders)
            try:
                os.unlink(name, dir_fd=folder)
                os.fsync(folder)
            finally:
                os.close(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self.place.os_error("delete", key, error) from error

    def abandon(self, key: str) -> None:
        """Remove the part file that a dead writer left. Raises StoreError, also when its writer is alive."""
        folders, name = _split(self.place.check(key))
        try:
            folder = self._open_folder(folders)
            try:
                self._remove_part(folder, key, name + PART)
            finally:
                os.close(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self.place.os_error("clean up after", key, error) from error

    def close(self) -> None:
        """Nothing is open between calls."""

    def _create_part(self, folder: int, key: str, part: str) -> int:
        """A new, empty, locked part file. The lock ends with its writer, so what is not locked was left by a dead one."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | PLAIN
        try:
            file = os.open(part, flags, 0o600, dir_fd=folder)
        except FileExistsError:
            self._remove_part(folder, key, part)
            file = os.open(part, flags, 0o600, dir_fd=folder)
        if _lock(file) and os.fstat(file).st_nlink:
            return file
        os.close(file)
        raise self._busy(key)

    def _remove_part(self, folder: int, key: str, part: str) -> None:
        """Remove a part file that nobody writes any more."""
        file = os.open(part, os.O_RDONLY | PLAIN, dir_fd=folder)
        try:
            if not _lock(file):
                raise self._busy(key)
            os.unlink(part, dir_fd=folder)  # while it is locked: its maker then sees that it was too late
        finally:
            os.close(file)

    def _busy(self, key: str) -> StoreError:
        return self.place.error(
            "write", key, "another run is writing it now", "wait until that one has ended"
        )

    def _open_folder(self, folders: Sequence[str], *, make: bool = False) -> int:
        """A descriptor of the folder below the root, reached without following a link. Raises OSError."""
        here = self._open_root(make=make)
        for name in folders:
            try:
                below = _enter(here, name, make=make)
            finally:
                os.close(here)
            here = below
        return here

    def _open_root(self, *, make: bool) -> int:
        """A descriptor of the root. Raises FileNotFoundError when it is not made yet, Unreachable when it cannot be used."""
        try:
            return os.open(self.root, FOLDER)
        except FileNotFoundError:
            if not self.root.parent.is_dir():
                raise self._not_mounted() from None
            if not make:
                raise
        except OSError as error:
            raise self.place.unreachable(f"{self.root}: {reason(error)}") from error
        return self._make_root()

    def _make_root(self) -> int:
        parent = os.open(self.root.parent, FOLDER)
        try:
            return _enter(parent, self.root.name, make=True)
        finally:
            os.close(parent)

    def _not_mounted(self) -> StoreError:
        above = self.root.parent
        todo = f"mount the disk, or make the folder: mkdir -p {above}"
        return self.place.unreachable(f"there is no folder {above}", todo)


class FileWriter(BaseWriter):
    """Writes a part file and renames it. Owns the descriptors of the part file and of its folder."""

    def __init__(self, place: Place, key: str, folder: int, name: str, file: int) -> None:
        super().__init__(place, key)
        self._folder = folder
        self._name = name
        self._file = file
        self._data = DirectWriter(file)

    def _append(self, data: bytes) -> None:
        try:
            self._data.write(data)
        except OSError as error:
            raise self.place.os_error("write", self.key, error) from error

    def _publish(self) -> None:
        try:
            self._data.finish()
            os.fsync(self._file)
            if (size := os.fstat(self._file).st_size) != self.size:
                raise self.place.wrong_size(self.key, size, self.size)
            os.rename(self._name + PART, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            os.fsync(self._folder)
        except OSError as error:
            raise self.place.os_error("write", self.key, error) from error
        self._close()

    def _undo(self) -> None:
        try:
            os.unlink(self._name + PART, dir_fd=self._folder)
        finally:
            self._close()

    def _close(self) -> None:
        os.close(self._file)
        os.close(self._folder)

    def __del__(self) -> None:
        self.discard()


class FileReader(BaseReader):
    """Reads a file through a descriptor, so a replaced object is still read to its end."""

    def __init__(self, place: Place, key: str, file: int) -> None:
        self._place = place
        self._key = key
        self._file = file

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes. Raises StoreError."""
        try:
            return os.read(self._file, size)
        except OSError as error:
            raise self._place.os_error("read", self._key, error) from error

    def close(self) -> None:
        """Close the file. Safe twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        self.close()


def _split(key: str) -> tuple[list[str], str]:
    """Folders and name of a key."""
    *folders, name = key.split("/")
    return folders, name


def _enter(folder: int, name: str, *, make: bool) -> int:
    """A descriptor of the folder ``name`` in ``folder``, made durably if asked. Raises OSError, also for a link."""
    try:
        return os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):  # another writer made it
        os.mkdir(name, 0o700, dir_fd=folder)
    os.fsync(folder)
    return os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=folder)


def _lock(file: int) -> bool:
    """Take the lock of a part file; False when another writer holds it. A filesystem without locks has nothing to tell."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _walk(folder: Path, prefix: str) -> Iterator[Stored]:
    """Every regular file below ``folder``. What vanishes meanwhile is left out. Raises OSError."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)  # dots first
    except FileNotFoundError:
        return
    for entry in entries:
        key = prefix + printable(entry.name)
        if entry.is_dir(follow_symlinks=False):
            if key != "lost+found":  # the one folder on a disk of one's own that only root may read
                yield from _walk(folder / entry.name, f"{key}/")
        elif (size := _size(entry)) is not None:
            yield Stored(key, size)


def _size(entry: os.DirEntry[str]) -> int | None:
    """Size of a regular file in bytes; None for everything else."""
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
