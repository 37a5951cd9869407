"""Sleeping until a time comes or somebody rings. It burns no processor time."""

from __future__ import annotations

import os
import select
from contextlib import suppress

_MUCH = 4096


class Bell:
    """A pipe that whoever rings writes to. What is rung while nobody sleeps ends the next sleep at once."""

    def __init__(self) -> None:
        self._ear, self._rope = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ring(self) -> None:
        """End the sleep, from any thread."""
        with suppress(BlockingIOError):  # it is full of rings: one is enough
            os.write(self._rope, b"\0")

    def knock(self) -> None:
        """End the sleep as if its time had come, from any thread."""
        with suppress(BlockingIOError):
            os.write(self._rope, b"\1")

    def wait(self, seconds: float) -> bool:
        """Sleep for at most so long; whether somebody rang."""
        ready, _, _ = select.select([self._ear], [], [], max(0.0, seconds))
        heard = b""
        if ready:
            with suppress(BlockingIOError):
                while told := os.read(self._ear, _MUCH):
                    heard = told if b"\0" in told else heard
        return b"\0" in heard

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._ear)
        os.close(self._rope)
