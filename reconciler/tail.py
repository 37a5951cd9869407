"""The last words of something that may say any amount: kept in bounded memory, shown safely. Used where output is quoted."""

from __future__ import annotations

TAIL = 2048
"""Bytes that are kept."""


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
