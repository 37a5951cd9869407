"""A tree restored into a mount point, which cannot be swapped itself: staged inside it, then swapped entry by entry.

Used by the target ``container`` for tmpfs mounts.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from reconciler.errors import ReconcilerError, Refused
from reconciler.model import Uses
from reconciler.model.restores import Traces
from reconciler.pipeline.extract import unpack_into
from reconciler.pipeline.tarcheck import TarCheck

_NEW, _MOVING, _OLD = (f".reconciler-restoring-{word}" for word in ("new", "moving", "old"))


class MountSink:
    """A ports.Sink into the folder ``place``. What was there comes back when anything fails on the way."""

    staged = True

    def __init__(self, place: Path, name: str, lasting: Path | None = None) -> None:
        """``name`` is what messages call it; ``lasting``: its path where ``place`` is one for this process alone."""
        self._place = place
        self._name = name
        self._lasting = lasting or place

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
        return str(self._lasting / _OLD) if (self._place / _OLD).exists() else ""

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
            (self._place / _NEW).mkdir(mode=0o700)
        except OSError as error:
            raise ReconcilerError(f"{self._name} cannot be written: {error.strerror}") from None
        unpack_into(checked(), self._place / _NEW)
        check.finish()

    def commit(self) -> None:
        """Swap: every old entry aside, then every new one in; undone when one fails. The old ones stay until ``finish``."""
        new, moving, old = (self._place / name for name in (_NEW, _MOVING, _OLD))
        try:
            moving.mkdir(mode=0o700)
            for entry in _entries(self._place):
                entry.rename(moving / entry.name)
            moving.rename(old)  # from here on a killed restore goes forward, not back
            for entry in list(new.iterdir()):
                entry.rename(self._place / entry.name)
            shutil.copystat(new, self._place)
        except OSError as error:
            self.revert()
            raise ReconcilerError(f"{self._name} could not be replaced: {error.strerror}") from None

    def finish(self) -> None:
        """Remove the old data."""
        self.abort()

    def revert(self) -> None:
        """Put the old data back."""
        try:
            kept = next(
                (self._place / name for name in (_OLD, _MOVING) if (self._place / name).exists()), None
            )
            if kept is not None and kept.name == _OLD:
                for entry in _entries(self._place):
                    _remove(entry)
            for entry in list(kept.iterdir()) if kept is not None else []:
                entry.rename(self._place / entry.name)
        except OSError as error:
            raise ReconcilerError(f"{self._name} could not be put back: {error.strerror}") from None
        self.abort()

    def abort(self) -> None:
        """Remove what was unpacked."""
        with contextlib.suppress(OSError):
            for name in (_NEW, _MOVING, _OLD):
                if (self._place / name).exists():
                    shutil.rmtree(self._place / name)


def clean_up(place: Path) -> None:
    """What a killed restore left inside a mount: back to the old data, or forward where all of that was aside already."""
    sink = MountSink(place, str(place))
    if (place / _MOVING).exists():
        sink.revert()
    elif (place / _OLD).exists() and (place / _NEW).exists():
        for entry in list((place / _NEW).iterdir()):
            entry.rename(place / entry.name)
    sink.abort()


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def _entries(place: Path) -> list[Path]:
    return [entry for entry in place.iterdir() if entry.name not in (_NEW, _MOVING, _OLD)]
