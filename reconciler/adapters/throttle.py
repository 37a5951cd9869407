"""A store through which no more bytes go in a second than its destination allows. Made by wiring, around any kind.

Artifacts alone are counted, written and read together; listings, manifests, markers and leases are small, and never wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from reconciler.adapters.around import StoreAround, WriterAround
from reconciler.adapters.store import BaseReader
from reconciler.ports import Reader, Store, Writer

PIECE = 1 << 16
"""Bytes that go at once: what waits is never longer away from its line than for these."""
CREDIT = 0.25
"""Seconds for which time that was not used is made up, so that late wake-ups cost nothing."""

Reserve = Callable[[int], float]
"""Reserves so many bytes: the seconds until they may go."""


class Allowance:
    """``rate`` bytes for each second, handed out in the order of asking, to any number of threads."""

    def __init__(self, rate: int, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next = monotonic()

    def reserve(self, size: int) -> float:
        """The seconds after which ``size`` more bytes may go; they count from now on."""
        with self._lock:
            now = self._monotonic()
            begins = max(self._next, now - CREDIT)
            self._next = begins + size / self._rate
        return max(0.0, begins - now)


class ThrottledStore(StoreAround):
    """A Store whose readers and writers share an allowance."""

    def __init__(self, inner: Store, reserve: Reserve) -> None:
        super().__init__(inner)
        self._reserve = reserve

    def read(self, key: str) -> Reader:
        """Open ``key``, to be read within the allowance."""
        return ThrottledReader(self._inner.read(key), self._reserve)

    def create(self, key: str) -> Writer:
        """Begin to write ``key``, within the allowance."""
        return ThrottledWriter(self._inner.create(key), self._reserve)


class ThrottledWriter(WriterAround):
    """A Writer that takes its time."""

    def __init__(self, inner: Writer, reserve: Reserve) -> None:
        super().__init__(inner)
        self._reserve = reserve

    def write(self, data: bytes) -> None:
        """Write, piece by piece."""
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            take(self._reserve, len(piece))
            self._inner.write(piece)


class ThrottledReader(BaseReader):
    """A Reader that takes its time."""

    def __init__(self, inner: Reader, reserve: Reserve) -> None:
        self._inner = inner
        self._reserve = reserve

    def read(self, size: int, /) -> bytes:
        """A piece at most."""
        data = self._inner.read(min(size, PIECE))
        take(self._reserve, len(data))
        return data

    def close(self) -> None:
        """Free the connection."""
        self._inner.close()


def take(reserve: Reserve, size: int) -> None:
    """Wait until ``size`` more bytes may go. An interrupt ends the wait."""
    if seconds := reserve(size):
        threading.Event().wait(seconds)
