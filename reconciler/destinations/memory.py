"""``memory://NAME``: copies in this process's memory, for tests and trials. Not shared with other processes, gone at its end.

fsspec's own memory filesystem shows half-written objects; this one does not.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from reconciler.adapters.store import BaseReader, BaseStore, BaseWriter, Place
from reconciler.model import Destination
from reconciler.model.base import SpecModel
from reconciler.ports import Reader, Store, Stored, Writer

_contents: dict[str, dict[str, bytes]] = {}
_lock = threading.Lock()


class Options(SpecModel, frozen=True, kw_only=True, rename=None):
    """Nothing to set."""


def open_store(destination: Destination) -> Store:
    """The store of this URL; the same content for every store of the same URL."""
    with _lock:
        content = _contents.setdefault(destination.url.rstrip("/"), {})
    return MemoryStore(destination.name, content)


class MemoryStore(BaseStore):
    """Objects in a dict, which is replaced entry by entry: a reader sees the old object or the new one."""

    def __init__(self, name: str, content: dict[str, bytes]) -> None:
        super().__init__(name)
        self._content = content

    def list(self) -> Iterable[Stored]:
        """Every object."""
        return [Stored(key, len(data)) for key, data in sorted(self._content.copy().items())]

    def read(self, key: str) -> Reader:
        """Open ``key``. Raises Missing."""
        data = self._content.get(self.place.check(key))
        if data is None:
            raise self.place.missing(key)
        return MemoryReader(data)

    def create(self, key: str) -> Writer:
        """Begin to write ``key``."""
        return MemoryWriter(self.place, self.place.check(key), self._content)

    def _claim(self, key: str, data: bytes) -> bool:
        with _lock:
            return self._content.setdefault(self.place.check(key), data) is data

    def delete(self, key: str) -> None:
        """Remove ``key``, if it is there."""
        self._content.pop(self.place.check(key), None)

    def abandon(self, key: str) -> None:
        """Nothing is left by an unfinished write."""
        self.place.check(key)

    def close(self) -> None:
        """Nothing is open."""


class MemoryWriter(BaseWriter):
    """Collects the object outside the store until it is committed."""

    def __init__(self, place: Place, key: str, content: dict[str, bytes]) -> None:
        super().__init__(place, key)
        self._content = content
        self._data = bytearray()

    def _append(self, data: bytes) -> None:
        self._data += data

    def _publish(self) -> None:
        self._content[self.key] = bytes(self._data)

    def _undo(self) -> None:
        self._data.clear()


class MemoryReader(BaseReader):
    """Reads what was committed when it was opened."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes."""
        chunk = self._data[self._position : self._position + size]
        self._position += len(chunk)
        return chunk

    def close(self) -> None:
        """Forget the object."""
        self._data = b""
