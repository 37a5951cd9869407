"""A store through which no more bytes go in a second than its destination allows. Made by wiring, around any kind.

Artifacts alone are counted, written and read together; listings, manifests, markers and leases are small, and never wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from reconciler.adapters.store import BaseReader
from reconciler.ports import Reader, Store, Stored, Writer

PIECE = 1 << 16
"""Bytes that go at once: what waits is never longer away from its line than for these."""
CREDIT = 0.25
"""Seconds for which time that was not used is made up, so that late wake-ups cost nothing."""


class Allowance:
    """``rate`` bytes for each second, handed out in the order of asking, to any number of threads."""

    def __init__(self, rate: int, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next = monotonic()

    def take(self, size: int) -> None:
        """Wait until ``size`` more bytes may go. An interrupt ends the wait."""
        with self._lock:
            now = self._monotonic()
            begins = max(self._next, now - CREDIT)
            self._next = begins + size / self._rate
        if begins > now:
            threading.Event().wait(begins - now)


class ThrottledStore:
    """A Store whose readers and writers share an allowance."""

    def __init__(self, inner: Store, allowance: Allowance) -> None:
        self._inner = inner
        self._allowance = allowance

    @property
    def exclusive(self) -> bool:
        """As the store says."""
        return self._inner.exclusive

    def list(self) -> Iterable[Stored]:
        """As the store does."""
        return self._inner.list()

    def read(self, key: str) -> Reader:
        """Open ``key``, to be read within the allowance."""
        return ThrottledReader(self._inner.read(key), self._allowance)

    def get(self, key: str, limit: int = 1 << 20) -> bytes:
        """As the store does."""
        return self._inner.get(key, limit)

    def create(self, key: str) -> Writer:
        """Begin to write ``key``, within the allowance."""
        return ThrottledWriter(self._inner.create(key), self._allowance)

    def put(self, key: str, data: bytes) -> None:
        """As the store does."""
        self._inner.put(key, data)

    def claim(self, key: str, data: bytes) -> bool:
        """As the store does."""
        return self._inner.claim(key, data)

    def delete(self, key: str) -> None:
        """As the store does."""
        self._inner.delete(key)

    def abandon(self, key: str) -> None:
        """As the store does."""
        self._inner.abandon(key)

    def close(self) -> None:
        """End connections."""
        self._inner.close()


class ThrottledWriter:
    """A Writer that takes its time."""

    def __init__(self, inner: Writer, allowance: Allowance) -> None:
        self._inner = inner
        self._allowance = allowance

    def write(self, data: bytes) -> None:
        """Write, piece by piece."""
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            self._allowance.take(len(piece))
            self._inner.write(piece)

    def commit(self) -> None:
        """As the writer does."""
        self._inner.commit()

    def discard(self) -> None:
        """As the writer does."""
        self._inner.discard()


class ThrottledReader(BaseReader):
    """A Reader that takes its time."""

    def __init__(self, inner: Reader, allowance: Allowance) -> None:
        self._inner = inner
        self._allowance = allowance

    def read(self, size: int, /) -> bytes:
        """A piece at most."""
        data = self._inner.read(min(size, PIECE))
        self._allowance.take(len(data))
        return data

    def close(self) -> None:
        """Free the connection."""
        self._inner.close()
