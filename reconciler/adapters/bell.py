"""Sleeping until a time comes or somebody rings, and signals that ring or end a service. It burns no processor time."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_MUCH = 4096
_ENDS = (signal.SIGTERM, signal.SIGINT)
_AGAIN = 0.2
"""Seconds after which an interrupt is sent again that was not noticed."""


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


def ignore(_number: int, _frame: FrameType | None) -> None:
    """A handler that does nothing. With SIG_IGN, Python complains of a signal that is on its way, and children inherit it."""


class _Interrupt:
    """The handler of the signals that end a service, and the thread that hears of every signal."""

    def __init__(self, bell: Bell, end: Callable[[], None]) -> None:
        self._bell = bell
        self._end = end
        self._main = threading.get_ident()
        self.noticed = False

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        for number in _ENDS:
            signal.signal(number, ignore)  # a second one would end the cleaning up after the first
        self.noticed = True
        self._end()
        raise KeyboardInterrupt

    def listen(self, ear: int) -> None:
        """Read the numbers of signals until the pipe is closed."""
        pause = threading.Event()
        while told := os.read(ear, 1):
            if told[0] == signal.SIGHUP:
                self._bell.ring()
            while told[0] in _ENDS and not self.noticed:
                signal.pthread_kill(self._main, told[0])
                pause.wait(_AGAIN)


@contextmanager
def signals(bell: Bell, end: Callable[[], None]) -> Iterator[None]:
    """During the block, in the main thread: SIGHUP rings; SIGTERM and SIGINT call ``end`` and raise KeyboardInterrupt, once.

    Python notices a signal between two of its instructions: one that comes just as a read begins would wait for its end.
    So a thread hears of each signal at once, and sends it again until it was noticed.
    """
    interrupt = _Interrupt(bell, end)
    ear, rope = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(rope, False)
    listener = threading.Thread(target=interrupt.listen, args=(ear,), name="signals", daemon=True)
    listener.start()
    fd = signal.set_wakeup_fd(rope, warn_on_full_buffer=False)
    before = {number: signal.signal(number, interrupt.handle) for number in _ENDS}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, ignore)
    try:
        yield
    finally:
        for number, handler in before.items():
            if not (interrupt.noticed and number in _ENDS):  # we end: further ones stay without effect
                signal.signal(number, handler)
        signal.set_wakeup_fd(fd)
        os.close(rope)
        listener.join()
        os.close(ear)
