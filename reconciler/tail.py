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
        """What is kept, for a message, on one line: undecodable and control bytes are shown as escapes."""
        lines = self._kept.decode(errors="backslashreplace").splitlines()
        text = "; ".join(line.strip() for line in lines if line.strip())
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
