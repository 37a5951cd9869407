"""Containers are held while their data is read or replaced, and come back whatever happens. Used by apply and restore.

The journal says what runs before anything is stopped; who finds an abandoned record brings back what it names.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Literal

from reconciler.durations import seconds, words
from reconciler.errors import EngineError, ReconcilerError, SourceError
from reconciler.lifecycle.choice import Choice, choose
from reconciler.lifecycle.journalled import HeldContainer, HeldService, Record, encode
from reconciler.lifecycle.order import awaited, waves
from reconciler.lifecycle.waiting import HEALTHY_SECONDS, RUNNING_SECONDS, wait_until
from reconciler.model import LabelStop, Quiesce, Uses
from reconciler.ports import Container, Engine, Entry, World

STOP = Quiesce(mode="stop")
"""How a restore holds what uses the place that it replaces."""


class Hold:
    """What is held. ``release`` brings it back, once; after that only ``settle`` follows."""

    def __init__(self, choice: Choice, quiesce: Quiesce, world: World, why: str) -> None:
        """Nothing is touched yet: see ``begin``."""
        self.trouble = ""
        """Why something did not come back; empty when all did."""
        self.warnings = choice.warnings
        self._choice = choice
        self._quiesce = quiesce
        self._world = world
        self._why = why
        self._waves = waves(choice.containers)
        self._entry: Entry | None = None
        self._ends: list[Callable[[], None]] = []
        self._expired = False
        self._released = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds(quiesce.max_downtime), self._expire)
        self._timer.daemon = True

    @property
    def record(self) -> Record:
        """What the journal says of it."""
        how: Literal["stop", "pause"] = "pause" if self._choice.how == "pause" else "stop"
        stay, patience = self._choice.stay, self._patience
        held = [
            HeldContainer(
                id=item.id,
                name=item.name,
                how=how,
                started=item.started,
                patience=patience,
                restart=item.id not in stay,
            )
            for wave in self._waves
            for item in wave
        ]
        return Record(why=self._why, containers=tuple(held), services=self._choice.services)

    def begin(self) -> None:
        """Write the record, then stop or pause everything. Raises EngineError, ReconcilerError; ``release`` must follow."""
        if not (self._choice.containers or self._choice.services):
            return
        self._entry = self._world.journal.begin(encode(self.record))
        self._timer.start()
        engine = self._world.host.engine()
        for service in self._choice.services:
            engine.scale(service.id, 0)
        for wave in reversed(self._waves):
            _side_by_side(wave, lambda item: self._hold(engine, item))
        for service in self._choice.services:
            if not self._comes_true(lambda name: not _tasks(engine, name), service.name):
                raise EngineError(
                    f"the tasks of service {service.name} did not stop in {RUNNING_SECONDS:.0f} s"
                )

    @property
    def _patience(self) -> float | None:
        own = self._quiesce.stop_timeout
        return seconds(own) if own else None

    def _comes_true(self, ready: Callable[[str], bool], name: str) -> bool:
        return wait_until(partial(ready, name), self._world.clock, RUNNING_SECONDS)

    def on_expiry(self, end: Callable[[], None]) -> None:
        """Call ``end`` when the longest downtime has passed, so that whoever reads stops reading."""
        self._ends.append(end)

    def check(self) -> None:
        """After the last byte was read. Raises SourceError when something ran meanwhile, or it took too long."""
        if self._expired:
            limit = words(seconds(self._quiesce.max_downtime))
            raise SourceError(
                f"{', '.join(self.record.names)} had to be started again after {limit} (quiesce.maxDowntime), before"
                f" everything was read: give it more time, or a faster destination on this machine"
            )
        if self._entry is None:
            return
        engine = self._world.host.engine()
        for item in self._choice.containers:
            _insist_held(item, engine.container(item.id), self._choice.how)
        for service in self._choice.services:
            if _tasks(engine, service.name):
                raise SourceError(f"service {service.name} was started while its data was read")

    def release(self) -> None:
        """Bring back everything that ran before, and wait until it runs. Never raises: see ``trouble``. Safe twice."""
        with self._lock:
            if self._released:
                return
            self._released = True
            self._timer.cancel()
            if self._entry is None:
                return
            try:
                self.trouble = "; ".join(self._bring_back(self._world.host.engine()))
                if not self.trouble:
                    self._entry.clear()
            except ReconcilerError as error:
                self.trouble = str(error)
            finally:
                self._entry.let_go()
            if self.trouble:
                self.trouble += "; the next run tries again"

    def settle(self) -> None:
        """Wait until what came back is healthy, where it has a health check; if it does not get so, a warning."""
        for item in self._back():
            if item.health and self._released:
                self._await_health(item)

    def _hold(self, engine: Engine, item: Container) -> None:
        if self._choice.how == "pause":
            engine.pause(item.id)
        else:
            engine.stop(item.id, self._patience)

    def _expire(self) -> None:
        self._expired = True
        self.release()
        for end in self._ends:
            end()

    def _back(self) -> tuple[Container, ...]:
        return tuple(item for wave in self._waves for item in wave if item.id not in self._choice.stay)

    def _bring_back(self, engine: Engine) -> list[str]:
        """Start everything, in order; why it failed, for each that failed."""
        troubles: list[str] = []
        back = self._back()
        for wave in self._waves:
            for item in wave:
                for other in awaited(item, back):
                    self._await_health(other)
            troubles += filter(None, _side_by_side([item for item in wave if item in back], self._start))
        for service in self._choice.services:
            troubles += filter(None, (_attempt(partial(engine.scale, service.id, service.replicas)),))
        troubles += filter(None, (self._runs(item) for item in back))
        troubles += filter(None, (self._serves(service) for service in self._choice.services))
        return troubles

    def _serves(self, service: HeldService) -> str:
        engine = self._world.host.engine()
        if self._comes_true(lambda name: _running(engine, name) >= service.replicas, service.id):
            return ""
        return f"service {service.name} does not run with {service.replicas} tasks again"

    def _start(self, item: Container) -> str:
        engine = self._world.host.engine()
        if self._choice.how == "pause":
            return _attempt(lambda: engine.unpause(item.id))
        return _attempt(lambda: engine.start(item.id))

    def _runs(self, item: Container) -> str:
        engine = self._world.host.engine()

        def runs() -> bool:
            found = engine.container(item.id)
            return found is not None and found.state == "running"

        try:
            if wait_until(runs, self._world.clock, RUNNING_SECONDS):
                return ""
        except EngineError as error:
            return str(error)
        return f"container {item.name} was started and does not run: docker logs {item.name} may say why"

    def _await_health(self, item: Container) -> None:
        engine = self._world.host.engine()
        seen = [""]

        def settled() -> bool:
            found = engine.container(item.id)
            seen[0] = found.health if found else ""
            return seen[0] != "starting"

        try:
            wait_until(settled, self._world.clock, HEALTHY_SECONDS)
        except EngineError:
            return
        if seen[0] not in ("", "healthy"):
            self.warnings += (f"container {item.name} runs again, but its health check says {seen[0]}",)


@contextmanager
def held(
    uses: Uses, quiesce: Quiesce | None, stops: tuple[LabelStop, ...], world: World, why: str
) -> Iterator[Hold]:
    """Hold for the block what ``quiesce`` and ``stops`` ask for; nothing where both ask for nothing.

    Raises EngineError, Refused when that cannot be done; then everything is as it was.
    """
    wanted = quiesce if quiesce and quiesce.mode != "none" else None
    if wanted is None and not stops:
        yield Hold(Choice((), (), "stop"), STOP, world, why)
        return
    choice = choose(uses, wanted, stops, world.host.engine(), world.clock)
    hold = Hold(choice, wanted or STOP, world, why)
    try:
        hold.begin()
        yield hold
    finally:
        hold.release()


def _insist_held(before: Container, now: Container | None, how: str) -> None:
    if now is None or (
        now.started == before.started and (now.state == "paused" if how == "pause" else not now.is_up)
    ):
        return
    raise SourceError(
        f"container {before.name} was started again while its data was read (by its restart policy, or by somebody):"
        f" what was read may be torn"
    )


def _tasks(engine: Engine, service: str) -> list[Container]:
    return [item for item in engine.containers() if item.service == service and item.is_up]


def _running(engine: Engine, service: str) -> int:
    found = engine.service(service)
    return found.running if found else 0


def _attempt(call: Callable[[], None]) -> str:
    try:
        call()
    except EngineError as error:
        return str(error)
    return ""


def _side_by_side(
    items: list[Container] | tuple[Container, ...], call: Callable[[Container], str | None]
) -> list[str | None]:
    """Call it for each at the same time; raises what the first of them raised, after all have ended."""
    if not items:
        return []
    with ThreadPoolExecutor(len(items), "hold") as pool:
        waiting = [pool.submit(call, item) for item in items]
    return [future.result() for future in waiting]
