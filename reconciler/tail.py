"""The words of something that may say any amount: kept in bounded memory, shown safely. Used where output is quoted."""

from __future__ import annotations

from collections.abc import Callable

TAIL = 2048
"""Bytes that are kept."""

LINE = 1 << 16
"""Bytes of a line that are looked at."""


class Tail:
    """The last bytes of something of any length."""

    def __init__(self, size: int = TAIL) -> None:
        self._size = size
        self._kept = b""

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self._kept = (self._kept + data[-self._size :])[-self._size :]

    def text(self) -> str:
        """What is kept, for a message, on one line: what cannot be decoded or printed is replaced."""
        text = self._kept.decode(errors="replace").strip().replace("\n", "; ")
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class Lines:
    """Output as it comes, given on line by line, in text; of a line beyond 64 KiB the rest is left out."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._held = bytearray()

    def add(self, data: bytes) -> None:
        """Take the next bytes: any number of lines, and parts of them."""
        *ended, rest = data.split(b"\n")
        for line in ended:
            self._hold(line)
            self._give()
        self._hold(rest)

    def end(self) -> None:
        """Nothing more comes: a last line needs no end."""
        if self._held:
            self._give()

    def _hold(self, data: bytes) -> None:
        self._held += data[: LINE - len(self._held)]

    def _give(self) -> None:
        text = self._held.decode(errors="replace").rstrip("\r")
        self._held.clear()
        self._take(
            text.rpartition("\r")[2]
        )  # of a line that a program wrote over, what a terminal would show
