"""Sleeping until a time comes or somebody rings: a signal, or another thread. Used by the service; it burns no processor time."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

MUCH = 4096


class Bell:
    """A pipe that whoever rings writes to. What is rung while nobody sleeps ends the next sleep at once."""

    def __init__(self) -> None:
        self._ear, self._rope = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ring(self) -> None:
        """End the sleep, from any thread."""
        with suppress(BlockingIOError):  # it is full of rings: one is enough
            os.write(self._rope, b"\0")

    def sleep(self, seconds: float) -> bool:
        """Sleep for at most so long; whether somebody rang."""
        ready, _, _ = select.select([self._ear], [], [], max(0.0, seconds))
        if ready:
            with suppress(BlockingIOError):
                while os.read(self._ear, MUCH):
                    pass
        return bool(ready)

    @contextmanager
    def rung_by(self, *numbers: signal.Signals) -> Iterator[None]:
        """Let these signals ring during the block, in the main thread; others that Python handles end a sleep, too."""
        # The C handler writes to the pipe itself: a signal just before the sleep begins is not lost.
        rope = signal.set_wakeup_fd(self._rope, warn_on_full_buffer=False)
        before = {number: signal.signal(number, lambda *_: None) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(rope)

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._ear)
        os.close(self._rope)
