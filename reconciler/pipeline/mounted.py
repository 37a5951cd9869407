"""A tree restored into a mount point, which cannot be swapped itself: staged inside it, then swapped entry by entry.

Used by the target ``container`` for tmpfs mounts.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from reconciler.errors import ReconcilerError, Refused
from reconciler.pipeline.extract import unpack_into
from reconciler.pipeline.tarcheck import TarCheck

_NEW, _OLD = ".reconciler-restoring-new", ".reconciler-restoring-old"


class MountSink:
    """A ports.Sink into the folder ``place``. What was there comes back when anything fails on the way."""

    staged = True

    def __init__(self, place: Path, name: str) -> None:
        """``name`` is what messages call it."""
        self._place = place
        self._name = name

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
            self._remove()
            (self._place / _NEW).mkdir(mode=0o700)
        except OSError as error:
            raise ReconcilerError(f"{self._name} cannot be written: {error.strerror}") from None
        unpack_into(checked(), self._place / _NEW)
        check.finish()

    def commit(self) -> None:
        """Swap, one rename for each entry; undone when one fails."""
        new, old = self._place / _NEW, self._place / _OLD
        moved: list[tuple[Path, Path]] = []
        try:
            old.mkdir(mode=0o700)
            ways = [(entry, old / entry.name) for entry in _entries(self._place)]
            ways += [(entry, self._place / entry.name) for entry in new.iterdir()]
            for source, target in ways:
                source.rename(target)
                moved.append((source, target))
            shutil.copystat(new, self._place)
        except OSError as error:
            for source, target in reversed(moved):
                target.rename(source)
            raise ReconcilerError(f"{self._name} could not be replaced: {error.strerror}") from None
        self._remove()

    def abort(self) -> None:
        """Remove what was unpacked."""
        with contextlib.suppress(OSError):
            self._remove()

    def _remove(self) -> None:
        for name in (_NEW, _OLD):
            if (self._place / name).exists():
                shutil.rmtree(self._place / name)


def _entries(place: Path) -> list[Path]:
    return [entry for entry in place.iterdir() if entry.name not in (_NEW, _OLD)]
