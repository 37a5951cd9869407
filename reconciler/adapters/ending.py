"""SIGTERM and Ctrl-C: noticed whatever goes on, once however often they come, and with a limit on what follows.

Opened by ``cli.main`` around every command. The first signal raises KeyboardInterrupt in the main thread, so that what was
begun is discarded and what is held comes back; further ones do nothing. Whatever then still waits for something that does not
answer is left to the next start, which finds it as it does after a kill.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from reconciler.adapters import marked

_ENDS = (signal.SIGTERM, signal.SIGINT)
_AGAIN = 0.2
"""Seconds after which an interrupt is sent again that was not noticed."""
_LEAST = 1.0


class Ending:
    """The signals of this process, and the thread that hears of them."""

    def __init__(self) -> None:
        self._codes = {int(signal.SIGTERM): 143, int(signal.SIGINT): 130}
        self._calls: dict[int, Callable[[], None]] = {}
        self._main = threading.get_ident()
        self._number = 0
        self._begun: float | None = None
        self._grace = float(os.environ.get("RECONCILER_GRACE", "20"))

    @property
    def code(self) -> int:
        """The exit code, of Ctrl-C where no signal has come."""
        return self._codes[self._number or signal.SIGINT]

    @property
    def noticed(self) -> bool:
        """Whether we end."""
        return bool(self._number)

    @contextmanager
    def serving(self, end: Callable[[], None], ring: Callable[[], None]) -> Iterator[None]:
        """During the block SIGHUP calls ``ring``, and a signal that ends us calls ``end`` first; the exit code is 0 then."""
        calls, codes, before = self._calls, self._codes, signal.signal(signal.SIGHUP, _ignore)
        self._calls = {int(signal.SIGHUP): ring, int(signal.SIGTERM): end, int(signal.SIGINT): end}
        self._codes = dict.fromkeys(codes, 0)
        try:
            yield
        finally:
            if not self.noticed:
                signal.signal(signal.SIGHUP, before)
                self._calls, self._codes = calls, codes

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """The handler: from now on nothing disturbs the cleaning up."""
        for each in _ENDS:
            signal.signal(each, _ignore)
        self._number = number
        self._begin()
        self._calls.get(number, _nothing)()
        raise KeyboardInterrupt

    def listen(self, ear: int) -> None:
        """Read the numbers of signals until the pipe is closed."""
        while told := os.read(ear, 1):
            if told[0] in _ENDS:
                self._end(told[0])
            else:
                self._calls.get(told[0], _nothing)()

    def left(self) -> float:
        """Seconds for which it still makes sense to wait for something; without end as long as no signal has come."""
        if self._begun is None:
            return float("inf")
        return max(0.0, self._begun + self._grace / 2 - time.monotonic())

    def _begin(self) -> float:
        """When the first signal came, as far as handler or thread know: either may be first."""
        if self._begun is None:
            self._begun = time.monotonic()
        return self._begun

    def _end(self, number: int) -> None:
        """Have it noticed; and when the time is up, end the process with all that it has started."""
        pause = threading.Event()
        over = self._begin() + self._grace
        while (now := time.monotonic()) < over:
            if not self._number:
                signal.pthread_kill(self._main, number)
            pause.wait(min(_AGAIN, over - now))
        try:
            _say(
                f"ended: something did not answer for {self._grace:g} s; the next start puts right what is left"
            )
            marked.end_descendants()
        finally:
            os._exit(self._codes[number])


_now = Ending()


def serving(end: Callable[[], None], ring: Callable[[], None]) -> AbstractContextManager[None]:
    """As ``Ending.serving``, of this process."""
    return _now.serving(end, ring)


def patience(seconds: float) -> float:
    """How long something may take that takes ``seconds`` at most: less once a signal has come, but a second."""
    return min(seconds, max(_LEAST, _now.left()))


def is_late() -> bool:
    """Whether a signal came so long ago that nothing is waited for that does without."""
    return not _now.left()


@contextmanager
def watched() -> Iterator[Ending]:
    """During the block, in the main thread. Once a signal has come it stays so until the process has ended.

    Python notices a signal between two of its instructions: one that comes just as a read begins would wait for its end.
    So a thread hears of each signal at once, and sends it again until it was noticed.
    """
    global _now  # noqa: PLW0603 - a process has its signals once
    _now = ending = Ending()
    ear, rope = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(rope, False)
    listener = threading.Thread(target=ending.listen, args=(ear,), name="signals", daemon=True)
    listener.start()
    fd = signal.set_wakeup_fd(rope, warn_on_full_buffer=False)
    before = {number: signal.signal(number, ending.handle) for number in _ENDS}
    try:
        yield ending
    finally:
        for number, handler in before.items():  # Python gives handlers up before the process has ended
            signal.signal(number, signal.SIG_IGN if ending.noticed else handler)
        if not ending.noticed:
            signal.set_wakeup_fd(fd)
            os.close(rope)
            listener.join()
            os.close(ear)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """A handler that does nothing. With SIG_IGN, Python complains of a signal that is on its way, and children inherit it."""


def _nothing() -> None:
    """What is done where nothing was asked for."""


def _say(line: str) -> None:
    """To stderr, unless nobody reads it: that would take for ever."""
    if select.select([], [2], [], 0)[1]:
        os.write(2, f"{line}\n".encode())
