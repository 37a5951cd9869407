"""A tree or a file restored from a tar stream: unpacked beside its place, then swapped in. Used by ``path`` and ``volume``.

Whatever fails before the swap leaves what was there untouched. GNU tar unpacks, and holds hostile archives inside the
staging folder: it strips leading slashes, refuses ``..`` and makes links that point outside last of all.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import logging
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from reconciler.errors import ReconcilerError, Refused
from reconciler.model import Uses
from reconciler.pipeline.process import Drain, end_group, how_it_ended, pour, start
from reconciler.pipeline.tarcheck import TarCheck
from reconciler.ports import Traces
from reconciler.tail import Tail

log = logging.getLogger(__name__)

_OPTIONS = (
    "--extract",
    "--file=-",
    "--blocking-factor=512",
    "--acls",
    "--numeric-owner",
    "--same-permissions",
)
_AS_ROOT = ("--same-owner", "--xattrs", "--xattrs-include=*")
_AS_USER = ("--no-same-owner", "--xattrs", "--xattrs-include=user.*")
_QUIET = ("--delay-directory-restore", "--sparse", "--warning=no-timestamp", "--quoting-style=escape")
_LONGEST_NAME = 255 - len("..restoring-new")


class TreeSink:
    """A ports.Sink that restores to ``destination``: a folder, or a file where the archive holds one file.

    A single file whose destination is a folder goes into a folder of its own in that place.
    """

    staged = True

    def __init__(self, destination: Path) -> None:
        self.place = Path(os.path.realpath(destination))
        stem = os.fsdecode(os.fsencode(self.place.name)[:_LONGEST_NAME])
        self._staging = self.place.parent / f".{stem}.restoring-new"
        self._old = self.place.parent / f".{stem}.restoring-old"
        self._check = TarCheck()
        self._overwrite = True
        self._lock = -1
        self._kept: Path | None = None  # where the old data is, once it was swapped out

    @property
    def uses(self) -> Uses:
        """The place."""
        return Uses(paths=(str(self.place),))

    @property
    def traces(self) -> Traces:
        """What lies beside the place."""
        return Traces(places=(str(self.place),))

    def check(self, overwrite: bool) -> None:
        """Raises Refused for a mount point, and for a folder with content or a file unless ``overwrite``."""
        self._overwrite = overwrite
        _put_back(self._old, self.place)
        mounts = [mount for mount in _mounts() if mount == self.place or self.place in mount.parents]
        if mounts:
            raise Refused(
                f"{mounts[0]} is a mount point: it cannot be swapped for restored data. Restore to another folder on the"
                f" same disk (--to path:DIR) and move the files, or unmount it first"
            )
        self._refuse_data()

    def _refuse_data(self) -> None:
        if not self._overwrite and holds_data(self.place):
            raise Refused(
                f"{self.place} holds data: --overwrite replaces it, --to path:DIR restores to another place"
            )

    def receive(self, chunks: Iterable[bytes]) -> None:
        """Unpack beside the destination, alone: waits for another restore beside it, until that one has ended.

        Raises SourceError for a bad archive, ReconcilerError for a full disk and such.
        """
        self._check = TarCheck()
        try:
            self.place.parent.mkdir(parents=True, exist_ok=True)
            self._lock_folder()
            self._refuse_data()  # of another restore, for which this one may have waited
            _remove(self._staging)  # of a run that was killed
            self._staging.mkdir(mode=0o700)
        except OSError as error:
            raise ReconcilerError(f"cannot restore beside {self.place}: {error.strerror}") from None
        unpack_into(self._checked(chunks), self._staging)
        self._check.finish()

    def commit(self) -> None:
        """Swap what was unpacked with what is there, which is kept until ``finish``. Raises ReconcilerError."""
        restored = self._restored()
        existed = os.path.lexists(self.place)
        try:
            if existed and holds_data(self.place):
                _sync(self._staging)  # the old data goes only when the new data is on the disk
            if existed:
                self._kept = _swap(restored, self.place, self._old)
            else:
                restored.rename(self.place)
            _sync_folder(self.place.parent)
        except OSError as error:
            raise ReconcilerError(
                f"restored data could not be put in place of {self.place}: {error.strerror}"
            ) from None

    def finish(self) -> None:
        """Remove the old data. Where that fails, the restore is good all the same."""
        self._kept = None
        self._clean()
        self._unlock()

    def revert(self) -> None:
        """Put the old data back, or nothing where there was none. Raises ReconcilerError."""
        try:
            if self._kept is not None:
                _swap(self._kept, self.place, self._old)
            else:
                _remove(self.place)
            _sync_folder(self.place.parent)
        except OSError as error:
            raise ReconcilerError(
                f"the old data could not be put back to {self.place}: {error.strerror}; it lies in {self._kept}"
            ) from None
        self.finish()

    def abort(self) -> None:
        """Remove what was unpacked."""
        if self._lock < 0:
            return
        with contextlib.suppress(OSError):
            _put_back(self._old, self.place)
            _remove(self._staging)
        self._unlock()

    def clean_up(self) -> None:
        """Put right what a killed restore left beside the place. Raises ReconcilerError."""
        try:
            _put_back(self._old, self.place)
        except OSError as error:
            raise ReconcilerError(
                f"old data could not be put back to {self.place}: {error.strerror}; it lies in {self._old}"
            ) from None
        self._clean()

    def _lock_folder(self) -> None:
        """The kernel drops the lock when its holder dies. A file system without locks has nothing to tell."""
        if self._lock < 0:
            self._lock = os.open(self.place.parent, os.O_RDONLY | os.O_DIRECTORY)
            with contextlib.suppress(OSError):
                fcntl.flock(self._lock, fcntl.LOCK_EX)

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _clean(self) -> None:
        """Remove the old data. Where that fails, the restore is good all the same."""
        try:
            _remove(self._staging)
            _remove(self._old)
        except OSError as error:
            log.warning("old data is still there after the restore of %s: %s", self.place, error.strerror)

    def _checked(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._check.feed(chunk)
            yield chunk

    def _restored(self) -> Path:
        """What goes to the destination: the staging folder, or the one file in it."""
        if not self._check.of_one_file:
            return self._staging
        if self.place.is_dir():
            shutil.copystat(self.place, self._staging)
            return self._staging
        return next(self._staging.iterdir())


def unpack_into(chunks: Iterable[bytes], folder: Path) -> None:
    """Unpack a tar into an empty folder with GNU tar. Raises ReconcilerError."""
    rights = _AS_ROOT if os.geteuid() == 0 else _AS_USER
    if rights is _AS_USER:
        log.warning("not running as root: owners of restored files are not kept")
    command = ["tar", *_OPTIONS, *rights, *_QUIET, f"--directory={folder}"]
    try:
        tar = start(command, {"LC_ALL": "C", "TAR_OPTIONS": ""}, fed=True)
    except FileNotFoundError:
        raise ReconcilerError("GNU tar is not installed: install the package tar") from None
    assert tar.stdout is not None
    said = Tail()
    drain = Drain(tar.stdout, said.add)
    try:
        pour(chunks, tar)
        status = tar.wait()
        drain.join()
    finally:
        end_group(tar)
    if status:
        free = shutil.disk_usage(folder).free >> 20
        raise ReconcilerError(
            f"tar could not unpack into {folder} ({how_it_ended(status)}, {free} MiB are free there): {said.text()}"
        )
    if said.text():
        log.warning("tar, while unpacking into %s: %s", folder, said.text())


def _mounts() -> list[Path]:
    """Every mount point that this process sees."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return [Path(os.fsdecode(line.split()[4].decode("unicode_escape").encode("latin-1"))) for line in lines]


def holds_data(place: Path) -> bool:
    """Whether there is a file, or a folder with something in it."""
    if place.is_dir():
        return next(place.iterdir(), None) is not None
    return place.exists()


def _swap(new: Path, place: Path, aside: Path) -> Path:
    """Put ``new`` at ``place`` in one step; on file systems that cannot, in two with the old one put back on failure.

    Returns where the old one is.
    """
    if _exchange(new, place):
        return new
    _remove(aside)  # of a restore that was killed when it was all but done
    place.rename(aside)
    try:
        new.rename(place)
    except OSError:
        aside.rename(place)
        raise
    return aside


def clean_up(place: Path) -> None:
    """Remove what a killed restore left beside ``place``; the old data comes back where the swap was half done."""
    sink = TreeSink(place)
    sink.clean_up()


def _put_back(aside: Path, place: Path) -> None:
    """Undo the first half of a two-step swap that was interrupted.

    Where there is something at ``place`` again, both stay: an application may have made an empty folder there.
    """
    if os.path.lexists(aside) and not os.path.lexists(place):
        aside.rename(place)


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


def _sync(folder: Path) -> None:
    """Bring everything of this file system to the disk."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        ctypes.CDLL(None, use_errno=True).syncfs(at)
    finally:
        os.close(at)


def _sync_folder(folder: Path) -> None:
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(at)
    finally:
        os.close(at)


def _remove(path: Path) -> None:
    """Remove a file or a tree, of any depth and never across a mount. Raises OSError; what is gone already is no error."""
    removed = subprocess.run(
        ["rm", "-rf", "--one-file-system", "--", path], capture_output=True, text=True, check=False
    )
    if removed.returncode:
        raise OSError(errno.EBUSY, removed.stderr.strip(), str(path))
