"""A tree restored into a mount point, which cannot be swapped itself: staged inside it, then swapped entry by entry.

Used by the target ``container`` for tmpfs mounts, and by recovery for what a killed restore left there. The names of the
hidden folders inside tell how far it was: with ``old`` and ``new`` it goes forward, with ``moving`` it goes back.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from reconciler.errors import ReconcilerError, Refused
from reconciler.model import Uses
from reconciler.model.restores import Traces
from reconciler.pipeline.extract import unpack_into
from reconciler.pipeline.tarcheck import TarCheck

_HIDDEN = tuple(f".reconciler-restoring-{word}" for word in ("new", "moving", "old"))


class MountSink:
    """A ports.Sink into the folder ``place``. What was there comes back when anything fails on the way."""

    staged = True

    def __init__(self, place: Path, name: str, lasting: Path | None = None) -> None:
        """``name`` is what messages call it; ``lasting``: its path where ``place`` is one for this process alone."""
        self._place = place
        self._name = name
        self._lasting = lasting or place
        self._new, self._moving, self._old = (place / name for name in _HIDDEN)
        self._before: os.stat_result | None = None

    @property
    def uses(self) -> Uses:
        """Nothing is stopped: a tmpfs would lose everything."""
        return Uses()

    @property
    def traces(self) -> Traces:
        """What lies inside the mount."""
        return Traces(mounts=(str(self._lasting),))

    @property
    def kept(self) -> str:
        """The hidden folder in the mount."""
        return str(self._lasting / self._old.name) if _is_folder(self._old) else ""

    def check(self, overwrite: bool) -> None:
        """Raises Refused when there is data and ``overwrite`` is not given."""
        if not overwrite and any(_entries(self._place)):
            raise Refused(
                f"{self._name} holds data: --overwrite replaces it, --to path:DIR restores elsewhere"
            )

    def receive(self, chunks: Iterable[bytes]) -> None:
        """Unpack inside the mount, out of the application's way."""
        check = TarCheck()

        def checked() -> Iterator[bytes]:
            for chunk in chunks:
                check.feed(chunk)
                yield chunk

        try:
            clean_up(self._place)  # of a restore that was killed
            self._before = self._place.stat()
            self._new.mkdir(mode=0o700)
        except OSError as error:
            raise ReconcilerError(f"{self._name} cannot be written: {error.strerror}") from None
        unpack_into(checked(), self._new, self._name)
        check.finish()

    def commit(self) -> None:
        """Swap: every old entry aside, then every new one in; undone when one fails. The old ones stay until ``finish``."""
        try:
            self._moving.mkdir(mode=0o700)
            _move(self._place, self._moving)
            _dress(self._moving, self._place)
            self._moving.rename(self._old)  # from here on a killed restore goes forward, not back
            self.go_forward()
        except OSError as error:
            self.revert()
            raise ReconcilerError(f"{self._name} could not be replaced: {error.strerror}") from None

    def go_forward(self) -> None:
        """Every new entry that is not yet in its place goes there. Raises OSError."""
        before = self._new.stat()
        _move(self._new, self._place)
        _dress(self._place, self._new)
        _set_times(self._place, before)

    def finish(self) -> None:
        """Remove the old data."""
        with contextlib.suppress(OSError):
            before = self._place.stat()
            for folder in (
                self._new,
                self._moving,
                self._old,
            ):  # the old last: alone it means that this was going on
                if _is_folder(folder):
                    shutil.rmtree(folder)
            _set_times(self._place, before)

    def revert(self) -> None:
        """Put the old data back, at any time; a kill in the middle leaves old or new data to go on with.

        Raises ReconcilerError; then the old data is where it was, beside the new.
        """
        try:
            if _is_folder(self._old):
                self._new.mkdir(mode=0o700, exist_ok=True)
                _move(self._place, self._new)
                _dress(self._place, self._old)
                self._old.rename(self._moving)
            if _is_folder(self._moving):
                _move(self._moving, self._place)
        except OSError as error:
            raise ReconcilerError(f"{self._name} could not be put back: {error.strerror}") from None
        self.finish()
        if self._before is not None:
            with contextlib.suppress(OSError):
                _set_times(self._place, self._before)

    def abort(self) -> None:
        """Remove what was unpacked; the old data is where it was."""
        with contextlib.suppress(ReconcilerError):
            self.revert()


def clean_up(place: Path) -> None:
    """What a killed restore left inside a mount: back to the old data, or forward where all of that was aside already.

    Raises ReconcilerError, OSError.
    """
    sink = MountSink(place, str(place))
    new, moving, old = (place / name for name in _HIDDEN)
    if _is_folder(moving) or not _is_folder(old):
        sink.revert()
    else:
        if _is_folder(new):
            sink.go_forward()
        sink.finish()


def _entries(place: Path) -> list[Path]:
    return [entry for entry in place.iterdir() if entry.name not in _HIDDEN]


def _is_folder(place: Path) -> bool:
    """Whether it is one of ours; a link would be the container's."""
    return place.is_dir() and not place.is_symlink()


def _move(source: Path, place: Path) -> None:
    for entry in _entries(source):
        entry.rename(place / entry.name)


def _dress(place: Path, like: Path) -> None:
    """Give ``place`` the owner, mode, attributes and times of ``like``."""
    wanted = like.stat()
    if os.geteuid() == 0:
        os.chown(place, wanted.st_uid, wanted.st_gid)
    shutil.copystat(like, place)


def _set_times(place: Path, like: os.stat_result) -> None:
    os.utime(place, ns=(like.st_atime_ns, like.st_mtime_ns))
