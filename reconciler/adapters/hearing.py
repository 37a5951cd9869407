"""What a child says on stderr, as much of it as is of use: a remote decides what git says, and need not stop. Used by ``git``."""

from __future__ import annotations

import threading
from typing import IO

KEPT = 32 << 10
"""Bytes of the beginning, and of the end, that are kept."""
_PATIENCE = 5.0
"""Seconds for what is still on its way when the child has ended: somebody else may hold its stderr open."""


class Hearing:
    """Reads ``pipe`` in a thread until its end."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._begin = self._end = b""
        self._thread = threading.Thread(target=self._listen, name="stderr", daemon=True)
        self._thread.start()

    def text(self) -> str:
        """What was said; of very much the beginning and the end."""
        self._thread.join(_PATIENCE)
        return (self._begin + self._end).decode(errors="replace")

    def _listen(self) -> None:
        with self._pipe as pipe:
            while said := pipe.read1(KEPT):  # type: ignore[attr-defined]
                room = KEPT - len(self._begin)
                self._begin += said[:room]
                self._end = (self._end + said[room:])[-KEPT:]
