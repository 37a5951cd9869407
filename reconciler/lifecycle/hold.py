"""Containers are held while their data is read or replaced, and come back whatever happens. Used by apply and restore.

The journal says what runs before anything is stopped; who finds an abandoned record brings back what it names.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reconciler.adapters.ending import patience
from reconciler.durations import seconds, words
from reconciler.errors import EngineError, ReconcilerError, SourceError
from reconciler.journal import Entry
from reconciler.lifecycle.back import bring_back
from reconciler.lifecycle.choice import Asked, Choice, choose, running
from reconciler.lifecycle.journalled import HeldContainer, encode
from reconciler.lifecycle.waiting import HEALTHY_SECONDS, await_health, side_by_side, wait_until
from reconciler.model import LabelStop, Quiesce, Uses
from reconciler.ports import Container, Engine, World

STOP = Quiesce(mode="stop")
"""How a restore holds what uses the place that it replaces."""


class Hold:
    """What is held. ``release`` brings it back, once; after that only ``settle`` follows."""

    def __init__(self, asked: Asked, choice: Choice, world: World, why: str) -> None:
        """Nothing is touched yet: see ``begin``."""
        self.trouble = ""
        """Why something did not come back; empty when all did."""
        self.warnings = choice.warnings
        self._asked = asked
        self._world = world
        self._record = choice.record(why)
        self._limit = seconds((asked.quiesce or STOP).max_downtime)
        self._sure: set[str] = set()
        self._entry: Entry | None = None
        self._ends: list[Callable[[], None]] = []
        self._expired = False
        self._released = False
        self._turn = threading.Lock()
        self._until = 0.0
        self._timer = threading.Timer(self._limit, self._expire)
        self._timer.daemon = True

    def begin(self) -> None:
        """Write the record, then hold everything. ``release`` must follow, whatever this raises.

        Raises EngineError, SourceError when it took longer than the longest downtime, ReconcilerError without a journal.
        """
        if not (self._record.containers or self._record.services):
            return
        with self._turn:
            waves = self._record.waves
            self._ask(waves[-1][0].wave if waves else 0)
            self._timer.start()
            self._until = self._world.clock.monotonic() + self._limit
            for service in self._record.services:
                self._engine.scale(service.id, 0)
            for wave in reversed(waves):
                if not wave[0].asked:
                    self._ask(wave[0].wave)
                side_by_side(wave, self._hold, self._hasten)
                self._insist_in_time()
            for service in self._record.services:
                self._await_end(service.name)

    @property
    def _engine(self) -> Engine:
        return self._world.host.engine()

    def _ask(self, wave: int) -> None:
        """Have it in the journal that the containers of ``wave`` may be stopped or paused from now on."""
        self._record = self._record.asking(wave)
        content = encode(self._record)
        if self._entry is None:
            self._entry = self._world.journal.begin(content)
        else:
            self._entry.write(content)

    def _hold(self, item: HeldContainer) -> None:
        if self._expired:
            return
        if item.how == "pause":
            self._engine.pause(item.id)
        else:
            left = max(1.0, self._until - self._world.clock.monotonic())
            self._engine.stop(item.id, min(item.patience, left))
        self._sure.add(item.id)

    def _hasten(self, item: HeldContainer) -> None:
        """A stop that is under way ends soon."""
        if item.how == "stop":
            self._engine.stop(item.id, patience(item.patience))

    def _await_end(self, service: str) -> None:
        """Wait until no task of it runs, here or elsewhere."""

        def over() -> bool:
            return self._expired or not _tasks(self._engine, service)

        if not wait_until(over, self._world.clock, HEALTHY_SECONDS):
            raise EngineError(f"the tasks of service {service} did not end in {HEALTHY_SECONDS:.0f} s")
        self._insist_in_time()

    def on_expiry(self, end: Callable[[], None]) -> None:
        """Call ``end`` when the longest downtime has passed, so that whoever reads stops reading."""
        self._ends.append(end)
        if self._expired:
            end()

    def check(self) -> None:
        """After the last byte was read. Raises SourceError when something ran meanwhile, or it took too long."""
        self._insist_in_time()
        if not self._asked.anything:
            return
        for item in self._record.containers:
            _insist_held(item, self._engine.container(item.id))
        if names := ", ".join(item.name for item in running(self._asked, self._engine)):
            raise SourceError(f"{names} was started while its data was read: what was read may be torn")

    def _insist_in_time(self) -> None:
        if self._expired:
            raise SourceError(
                f"{', '.join(self._record.names)} had to run again after {words(self._limit)} (quiesce.maxDowntime), before"
                f" everything was read: give it more time, or a faster destination on this machine"
            )

    def release(self) -> None:
        """Bring back everything that ran before, and wait until it runs. Never raises: see ``trouble``. Safe twice."""
        with self._turn:
            if self._released:
                return
            self._released = True
            self._timer.cancel()
            if self._entry is None:
                return
            try:
                self._entry.write(encode(self._record.bringing_back()))
                back = bring_back(self._record, self._world, self._sure)
                if back.failed:
                    self._entry.write(encode(self._record.troubled(back.failed)))
                else:
                    self._entry.clear()
                again = (f"{text}; the next run tries again" for text in back.failed)
                self.trouble = "; ".join((*again, *back.gone))
            except ReconcilerError as error:
                self.trouble = str(error)
            finally:
                self._entry.let_go()

    def settle(self) -> None:
        """Wait until what came back is healthy, where it has a health check: a warning if not, trouble if it ended."""
        if self._entry is None or self.trouble:
            return
        for item in self._record.containers:
            try:
                found = await_health(item.id, self._engine, self._world.clock) if item.restart else None
            except EngineError:
                return
            if found is None:
                continue
            if not found.is_up:
                told = f"container {item.name} was started again, and is {found.state} now: see docker logs {item.name}"
                self.trouble = "; ".join(filter(None, (self.trouble, told)))
            elif found.health not in ("", "healthy"):
                told = f"container {item.name} was started again, and its health check says {found.health}"
                self.warnings += (told,)

    def _expire(self) -> None:
        self._expired = True
        self.release()
        for end in self._ends:
            end()


@contextmanager
def held(
    uses: Uses,
    quiesce: Quiesce | None,
    stops: tuple[LabelStop, ...],
    world: World,
    why: str,
    *,
    at_once: bool = False,
) -> Iterator[Hold]:
    """Hold for the block what ``quiesce`` and ``stops`` ask for; nothing where both ask for nothing.

    What is still starting is waited for, unless ``at_once``. Raises EngineError, Refused when that cannot be done; then
    everything is as it was.
    """
    asked = Asked(uses, quiesce, stops, at_once)
    if not asked.anything:
        yield Hold(asked, Choice(), world, why)
        return
    hold = Hold(asked, choose(asked, world.host.engine(), world.clock), world, why)
    try:
        hold.begin()
        yield hold
    except ReconcilerError as error:
        hold.release()
        if hold.trouble:  # what is down is told whatever else failed
            error.args = (f"{error}; {hold.trouble}",)
        raise
    finally:
        hold.release()


def _insist_held(before: HeldContainer, now: Container | None) -> None:
    """A container that is gone has changed nothing."""
    if now is None:
        return
    if now.started != before.started or (before.how == "stop" and now.is_up):
        raise SourceError(
            f"container {before.name} was started again while its data was read (by its restart policy, or by somebody):"
            f" what was read may be torn"
        )
    if before.how == "pause" and now.state != "paused":
        raise SourceError(
            f"container {before.name} was paused and is {now.state} now: what was read may be torn"
        )


def _tasks(engine: Engine, service: str) -> int:
    """How many tasks of it run anywhere, or as containers here."""
    here = sum(item.service == service and item.is_up for item in engine.containers())
    found = engine.service(service)
    return max(here, found.running + found.ending if found else 0)
