"""A process that carries out actions beside others, for a run with ``--jobs``. Started by ``apply.crew``; imported by nobody.

It opens the world for itself. Only the run knows of leases and of what others send, so both are asked of it.
"""

from __future__ import annotations

import itertools
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import NamedTuple, NoReturn

import msgspec

from reconciler import wiring
from reconciler.adapters.ending import watched
from reconciler.adapters.fenced import FencedStore
from reconciler.adapters.throttle import Reserve as Wait
from reconciler.apply import attempt
from reconciler.apply.lanes import Moving
from reconciler.apply.messages import Advanced, Answer, Asked, Begin, Ended, MayWrite, Reserve, Said
from reconciler.model import Action, Destination, Outcome, TargetId
from reconciler.ports import Store, World

TERMINATED = 143
"""Exit code after an interrupt."""


def main(descriptor: int) -> None:
    """Do what comes, until nothing more does."""
    line = _Line(Connection(descriptor))
    with _interruptible(), closing(line), watched():
        begin = line.begin()
        reserving = partial(_reserving, line)
        with wiring.world(begin.specs, reserving) as plain:
            world = _fenced(plain, line)
            while (action := line.todo.get()) is not None:
                line.say(Ended(attempt(action, begin.plan, begin.fleet, world, _Told(line))))


@contextmanager
def _interruptible() -> Iterator[None]:
    """By the time that an interrupt comes here everything is as it should be."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(TERMINATED)


def _reserving(line: _Line, destination: Destination) -> Wait:
    def reserve(size: int) -> float:
        return float(line.ask(Reserve(destination.name, size)) or 0)

    return reserve


def _fenced(world: World, line: _Line) -> World:
    def store(destination: Destination) -> Store:
        return FencedStore(world.store(destination), [_Lease(line, destination.name)])

    return msgspec.structs.replace(world, store=store)


class _Lease(NamedTuple):
    """The lease that the run holds."""

    line: _Line
    destination: str

    def check(self, *, deleting: bool = False) -> None:
        self.line.ask(MayWrite(self.destination, deleting))


class _Told:
    """A Progress that the run shows."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def started(self, action: Action) -> None:
        """Nothing: it knows that."""

    def advanced(self, target: TargetId, size: int) -> None:
        """Stored bytes went through; it knows of which target."""
        del target
        self._line.say(Advanced(size))

    def said(self, who: str, line: str) -> None:
        """A hook wrote a line."""
        self._line.say(Said(who, line))

    def finished(self, outcome: Outcome) -> None:
        """Nothing: it gets the outcome."""


class _Line:
    """The worker's end of the pipe, for any of its threads."""

    def __init__(self, connection: Connection) -> None:
        self.todo: queue.SimpleQueue[Moving | None] = queue.SimpleQueue()
        self._begin: Future[Begin] = Future()
        self._connection = connection
        self._asked: dict[int, Future[Answer]] = {}
        self._numbers = itertools.count()
        self._words: queue.SimpleQueue[Advanced | Said | Asked | Ended | None] = queue.SimpleQueue()
        self._speaker = threading.Thread(target=self._speak, name="speak", daemon=True)
        self._speaker.start()
        threading.Thread(target=self._listen, name="listen", daemon=True).start()

    def begin(self) -> Begin:
        """What the run is about."""
        return self._begin.result()

    def say(self, message: Advanced | Said | Asked | Ended) -> None:
        """Tell the run. Another thread does it: an interrupt must not cut a message in two."""
        self._words.put(message)

    def ask(self, question: MayWrite | Reserve) -> float | None:
        """What the run answers. Raises what it says should be raised."""
        future: Future[Answer] = Future()
        number = next(self._numbers)
        self._asked[number] = future
        self.say(Asked(number, question))
        said = future.result().said
        if isinstance(said, Exception):
            raise said
        return said

    def close(self) -> None:
        """Wait until everything was told."""
        self._words.put(None)
        self._speaker.join()

    def _speak(self) -> None:
        while (message := self._words.get()) is not None:
            try:
                self._connection.send(message)
            except OSError:
                _end()

    def _listen(self) -> None:
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                _end()
            match message:
                case Answer():
                    self._asked.pop(message.number).set_result(message)
                case Begin():
                    self._begin.set_result(message)
                case _:
                    self.todo.put(message)


def _end() -> NoReturn:
    """The run is gone: nobody knows what it may still write. The next one puts right what this leaves, as after any kill."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit  # not reached
