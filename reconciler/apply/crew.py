"""Workers: processes that carry out actions side by side. Used by ``side_by_side``; ``reconciler.worker`` is what runs in them.

Processes, and not threads, since each can be interrupted wherever it is and then brings its containers back, and since none
can take another one down. A worker whose run is gone kills itself, so that a kill of the run is a kill of all of it.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from reconciler.apply.lanes import Moving
from reconciler.apply.messages import Advanced, Answer, Asked, Begin, Ended, MayWrite, Reserve, Said
from reconciler.errors import ReconcilerError
from reconciler.model import Outcome
from reconciler.pipeline.process import how_it_ended
from reconciler.ports import Progress

_ROOT = Path(__file__).parents[2]
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from reconciler.worker import main; main(int(sys.argv[2]))"
)


class Desk(Protocol):
    """Whom workers ask: what only the run itself can know."""

    def may_write(self, destination: str, *, deleting: bool) -> None:
        """Raises Fenced, StoreError unless the lease is held."""

    def reserve(self, destination: str, size: int) -> float:
        """The seconds until so many bytes may go."""


class Done(NamedTuple):
    """An action that a worker ended, or with which it ``died``."""

    action: Moving
    outcome: Outcome
    died: bool = False


class Crew:
    """At most ``size`` workers, started when they are needed. They end with the block; an exception interrupts them."""

    def __init__(self, size: int, begin: Begin, desk: Desk, progress: Progress) -> None:
        self.size = size
        self._begin = begin
        self._desk = desk
        self._progress = progress
        self._done: queue.SimpleQueue[tuple[_Worker, Done | BaseException]] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []

    def give(self, action: Moving) -> None:
        """Have it carried out, by an idle worker or by a new one. Raises ReconcilerError when none can be started."""
        if not self._idle:
            worker = _Worker(self._begin, self._desk, self._progress, self._done.put)
            self._workers.append(worker)
            self._idle.append(worker)
        self._idle.pop().give(action)

    def take(self) -> Done:
        """Wait until one of the actions has ended. Raises what whoever watches raised."""
        worker, done = self._done.get()
        if isinstance(done, BaseException):
            raise done
        if not done.died:
            self._idle.append(worker)
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for the end of every worker: on an interrupt each brings back what it holds."""
        for worker in self._workers:
            if kind is not None:
                worker.interrupt()
            worker.dismiss()
        for worker in self._workers:
            worker.join()


class _Worker:
    """A process, and the thread that listens to it."""

    def __init__(
        self,
        begin: Begin,
        desk: Desk,
        progress: Progress,
        done: Callable[[tuple[_Worker, Done | BaseException]], None],
    ) -> None:
        self._desk = desk
        self._progress = progress
        self._done = done
        self._action: Moving | None = None
        self._lock = threading.Lock()
        self._status: int | None = None
        self._process, self._line = _started()
        self._thread = threading.Thread(target=self._listen, name="worker", daemon=True)
        self._thread.start()
        self._send(begin)

    def give(self, action: Moving) -> None:
        with self._lock:
            self._action = action
            dead = self._status is not None  # it died with nothing to do
        if dead:
            self._died()
        self._send(action)

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def dismiss(self) -> None:
        self._send(None)

    def join(self) -> None:
        self._thread.join()

    def _send(self, message: Begin | Moving | Answer | None) -> None:
        with self._lock:
            try:
                self._line.send(message)
            except OSError:  # it has died: the thread that listens says so, or has said so
                return

    def _listen(self) -> None:
        """Until its end. One that dies with an action has failed at it."""
        try:
            while (message := self._next()) is not None:
                self._heard(message)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
            self._process.kill()
            self._done((self, error))
        status = self._process.wait()
        with self._lock:
            self._line.close()
            self._status = status
        self._died()

    def _next(self) -> Advanced | Said | Asked | Ended | None:
        """What it says next; None after its last word."""
        try:
            message: Advanced | Said | Asked | Ended = self._line.recv()
        except (EOFError, OSError):
            return None
        return message

    def _died(self) -> None:
        with self._lock:
            action, self._action = self._action, None
        if action:
            error = f"the process that was at it ended with {how_it_ended(self._status or 0)}{_hint(self._status)}"
            self._done((self, Done(action, Outcome(action, error=error), died=True)))

    def _heard(self, message: Advanced | Said | Asked | Ended) -> None:
        action = self._action
        match message:
            case Advanced() if action:
                self._progress.advanced(action.target, message.size)
            case Said():
                self._progress.said(message.who, message.line)
            case Asked():
                self._send(Answer(message.number, self._answer(message.question)))
            case Ended() if action:
                self._action = None
                self._done((self, Done(action, message.outcome)))

    def _answer(self, question: MayWrite | Reserve) -> float | Exception | None:
        try:
            if isinstance(question, Reserve):
                return self._desk.reserve(question.destination, question.size)
            self._desk.may_write(question.destination, deleting=question.deleting)
        except ReconcilerError as error:
            return error
        return None


def _started() -> tuple[subprocess.Popen[bytes], Connection]:
    """A worker in a process group of its own: Ctrl-C reaches the run alone, which interrupts it."""
    ours, theirs = socket.socketpair()
    with theirs:
        number = theirs.fileno()
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, str(_ROOT), str(number)],
                stdin=subprocess.DEVNULL,
                pass_fds=(number,),
                process_group=0,
            )
        except OSError as error:
            ours.close()
            raise ReconcilerError(
                f"no process can be started for it: {os.strerror(error.errno or 0)}"
            ) from None
    return process, Connection(ours.detach())


def _hint(status: int | None) -> str:
    return ": is memory short? Fewer --jobs need less" if status == -signal.SIGKILL else ""
