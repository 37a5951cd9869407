"""A tree or a file restored from a tar stream: unpacked beside its place, then swapped in. Used by ``path`` and ``volume``.

Whatever fails before the swap leaves what was there untouched. GNU tar unpacks, and holds hostile archives inside the
staging folder: it strips leading slashes, refuses ``..`` and makes links that point outside last of all.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from reconciler.errors import ReconcilerError, Refused
from reconciler.model import Uses
from reconciler.model.restores import Traces
from reconciler.pipeline.process import Drain, end_group, how_it_ended, pour, start
from reconciler.pipeline.swap import Swap, remove, sync_file_system
from reconciler.pipeline.tarcheck import TarCheck
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


class TreeSink:
    """A ports.Sink that restores to ``destination``: a folder, or a file where the archive holds one file.

    A single file whose destination is a folder goes into a folder of its own in that place.
    """

    staged = True

    def __init__(self, destination: Path) -> None:
        self.place = Path(os.path.realpath(destination))
        self._swap = Swap(self.place)
        self._check = TarCheck()
        self._overwrite = True

    @property
    def uses(self) -> Uses:
        """The place; nobody can use one that does not exist."""
        return Uses(paths=(str(self.place),)) if os.path.lexists(self.place) else Uses()

    @property
    def traces(self) -> Traces:
        """What lies beside the place."""
        return Traces(places=(str(self.place),))

    @property
    def kept(self) -> str:
        """Where the old data is once the new is in place."""
        return str(self._swap.kept or "")

    def check(self, overwrite: bool) -> None:
        """Raises Refused for a mount point, and for a folder with content or a file unless ``overwrite``."""
        self._overwrite = overwrite
        try:
            self._swap.put_back()
        except OSError as error:
            raise self._stuck(error) from None
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
            self._swap.lock()
            self._refuse_data()  # of another restore, for which this one may have waited
            self._swap.stage()
        except OSError as error:
            raise ReconcilerError(f"cannot restore beside {self.place}: {error.strerror}") from None
        unpack_into(self._checked(chunks), self._swap.staging)
        self._check.finish()
        try:
            if holds_data(self.place):
                sync_file_system(
                    self._swap.staging
                )  # the old data goes only when the new data is on the disk
        except OSError as error:
            raise ReconcilerError(f"{self.place} cannot be replaced: {error.strerror}") from None

    def commit(self) -> None:
        """Swap what was unpacked with what is there, which is kept until ``finish``. Raises ReconcilerError."""
        try:
            self._swap.swap(self._restored())
        except OSError as error:
            raise ReconcilerError(
                f"restored data could not be put in place of {self.place}: {error.strerror}"
            ) from None

    def finish(self) -> None:
        """Remove the old data. Where that fails, the restore is good all the same."""
        self._clean()
        self._swap.unlock()

    def revert(self) -> None:
        """Put the old data back, or nothing where there was none. Raises ReconcilerError."""
        try:
            self._swap.undo()
        except OSError as error:
            raise self._stuck(error) from None
        self.finish()

    def abort(self) -> None:
        """Remove what was unpacked; the old data is back where it was, if it was ever away."""
        if not self._swap.locked:
            return
        with contextlib.suppress(OSError):
            self._swap.undo()
            remove(self._swap.staging)
        self._swap.unlock()

    def clean_up(self) -> None:
        """Put right what a killed restore left beside the place; a live one does that itself. Raises ReconcilerError."""
        try:
            if not self.place.parent.is_dir() or not self._swap.lock(wait=False):
                return
            self._swap.tidy()
        except OSError as error:
            raise self._stuck(error) from None
        finally:
            self._swap.unlock()

    def _stuck(self, error: OSError) -> ReconcilerError:
        where = self._swap.kept or self._swap.old
        return ReconcilerError(
            f"old data could not be put back to {self.place}: {error.strerror}; it lies in {where}"
        )

    def _clean(self) -> None:
        try:
            self._swap.drop()
        except OSError as error:
            log.warning("old data is still there after the restore of %s: %s", self.place, error.strerror)

    def _checked(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._check.feed(chunk)
            yield chunk

    def _restored(self) -> Path:
        """What goes to the destination: the staging folder, or the one file in it."""
        staging = self._swap.staging
        if not self._check.of_one_file:
            return staging
        if self.place.is_dir():
            shutil.copystat(self.place, staging)
            return staging
        return next(staging.iterdir())


def unpack_into(chunks: Iterable[bytes], folder: Path, shown: str = "") -> None:
    """Unpack a tar into an empty folder with GNU tar; messages call it ``shown``. Raises ReconcilerError."""
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
            f"tar could not unpack into {shown or folder} ({how_it_ended(status)}, {free} MiB are free there): {said.text()}"
        )
    if said.text():
        log.warning("tar, while unpacking into %s: %s", shown or folder, said.text())


def _mounts() -> list[Path]:
    """Every mount point that this process sees."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return [Path(os.fsdecode(line.split()[4].decode("unicode_escape").encode("latin-1"))) for line in lines]


def holds_data(place: Path) -> bool:
    """Whether there is a file, or a folder with something in it."""
    if place.is_dir():
        return next(place.iterdir(), None) is not None
    return place.exists()


def clean_up(place: Path) -> None:
    """Remove what a killed restore left beside ``place``; the old data comes back where the swap was half done."""
    TreeSink(place).clean_up()
