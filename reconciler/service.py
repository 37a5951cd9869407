"""The service: one tick after the other, and sleep between them. Called by ``reconciler run``; what a tick does is the loop's.

A tick is due at its start, when a slot of a schedule comes, when the specs change, when somebody rings (SIGHUP), after a
failure, and at the latest an hour after the last one, since copies vanish without notice. The specs are asked for at each
interval, which is cheap, and asks nothing of the destinations.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from reconciler.adapters.bell import Bell
from reconciler.adapters.clock import SystemClock
from reconciler.errors import ReconcilerError, SpecError
from reconciler.loop import Applied, acting_session
from reconciler.model import Fleet, Plan
from reconciler.ports import Clock, Progress
from reconciler.sources import Source
from reconciler.spec import Problem

RESYNC = 3600.0
"""Seconds after which everything is looked at again, though nothing has changed as far as is known."""

RETRY = 300.0
"""Seconds from a failure to the next tick; doubled with each further one, up to ``RESYNC``."""

_LONGEST = 60.0
"""Seconds of sleep at most: the machine's clock may be set meanwhile."""

Reason = Literal["start", "slot", "specs", "asked", "retry", "hourly"]


class Tick(NamedTuple):
    """What a tick came to. ``applied`` is None where it did not get that far: ``errors`` says why, a line each.

    ``unshared`` is why the status could not be pushed; ``fleet`` are the specs that were in force.
    """

    reason: Reason
    applied: Applied | None = None
    errors: tuple[str, ...] = ()
    unshared: str = ""
    fleet: Fleet | None = None
    warnings: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all is as the specs want it, and told."""
        done = self.applied
        return (
            done is not None
            and not self.errors
            and not self.unshared
            and done.ok
            and not (self.fleet and self.fleet.rejected)
        )

    @property
    def next_slot(self) -> datetime | None:
        """When a schedule comes next."""
        targets = self.applied.status.targets if self.applied else ()
        return min((target.next_run for target in targets if target.next_run), default=None)


class Watcher(Progress, Protocol):
    """Somebody who is told what the service does: the log, a page, notifications. Nothing that it does may raise."""

    def begins(self, reason: Reason) -> None:
        """A tick begins."""

    def planned(self, plan: Plan) -> None:
        """It is known what the tick will do."""

    def ended(self, tick: Tick) -> None:
        """The tick has ended, well or not."""

    def away(self, why: str) -> None:
        """The specs could not be asked for, for the first time since they could."""

    def sleeps(self, seconds: float) -> None:
        """It waits, for at most so long."""


class Service:
    """Ticks over one source of specs. ``interval`` is the seconds between two looks at it; ``jobs``: targets at a time."""

    def __init__(
        self,
        source: Source,
        interval: float,
        watcher: Watcher,
        bell: Bell,
        clock: Clock | None = None,
        *,
        jobs: int = 1,
    ) -> None:
        self._source = source
        self._interval = interval
        self._watcher = watcher
        self._bell = bell
        self._clock = clock or SystemClock()
        self._jobs = jobs
        self._specs: object = None
        self._away = False
        self._failures = 0
        self._slot: datetime | None = None
        self._poll = self._again = 0.0
        self._ending = self._poked = False

    def forever(self) -> None:
        """Tick and sleep until ``end`` is called, or an interrupt comes."""
        self._look()
        reason: Reason | None = "start"
        while True:
            if reason:
                self.tick(reason)
            pause = self._pause()
            self._watcher.sleeps(pause)
            rung = not self._ending and self._bell.wait(pause)
            if self._ending:
                return
            reason = self._reason(rung=rung)

    def poke(self) -> None:
        """Have the specs asked for now, from any thread; a tick follows if there are others."""
        self._poked = True
        self._bell.knock()

    def end(self) -> None:
        """End before the next tick; from a signal handler, too."""
        self._ending = True
        self._bell.ring()

    def tick(self, reason: Reason) -> Tick:
        """Fetch, observe, plan, apply, report. Never raises for what may go wrong; an interrupt propagates."""
        self._watcher.begins(reason)
        try:
            tick = self._carried_out(reason)
        except SpecError as error:
            tick = Tick(reason, errors=error.problems)
        except ReconcilerError as error:
            tick = Tick(reason, errors=(str(error),))
        except OSError as error:  # of our own state: a full or read-only disk
            tick = Tick(reason, errors=(f"this machine: {error}",))
        self._watcher.ended(tick)
        self._settle(tick)
        return tick

    def _carried_out(self, reason: Reason) -> Tick:
        source = self._source
        with acting_session(source.lock, source) as session:
            seen = session.observe()
            todo = session.plan(seen)
            self._watcher.planned(todo)
            applied = session.apply(todo, seen, self._watcher, jobs=self._jobs)
            # What came after the last look is no change at the next one.
            self._specs = source.taken() or self._specs
            return Tick(reason, applied, (), source.share(), session.fleet, session.warnings)

    def _settle(self, tick: Tick) -> None:
        """When the next one is due."""
        self._failures = 0 if tick.ok else self._failures + 1
        wait = RESYNC if tick.ok else min(RESYNC, RETRY * 2.0 ** (self._failures - 1))
        self._again = self._clock.monotonic() + wait
        if tick.applied:
            self._slot = tick.next_slot
        elif self._slot and self._slot <= self._clock.now():
            self._slot = None  # it is tried again after a while

    def _reason(self, *, rung: bool) -> Reason | None:
        """Why a tick is due now; None when none is."""
        now = self._clock.monotonic()
        poked, self._poked = (
            self._poked,
            False,
        )  # before the look: what is pushed during it is seen by the next
        changed = self._look() if rung or poked or now >= self._poll else False
        if rung or changed:
            self._failures = 0
            return "asked" if rung else "specs"
        if self._slot and self._clock.now() >= self._slot:
            return "slot"
        if now >= self._again:
            return "retry" if self._failures else "hourly"
        return None

    def _look(self) -> bool:
        """Ask for the specs; whether they are others than last time, or can no longer be asked for."""
        before = self._specs, self._away
        try:
            self._specs, self._away = self._source.look(), False
        except (ReconcilerError, OSError) as error:
            if not self._away:
                self._watcher.away(str(error))
            self._away = True
        self._poll = self._clock.monotonic() + self._interval
        return (self._specs, self._away) != before

    def _pause(self) -> float:
        """Seconds until something may be due."""
        now = self._clock.monotonic()
        waits = [self._poll - now, self._again - now, _LONGEST]
        if self._slot:
            waits.append((self._slot - self._clock.now()).total_seconds())
        return min(waits)
