"""What is going on, fed by the service and read by the page; safe from any thread, bounded whatever happens.

A tick is ``began`` → ``planned`` → ``ended`` → ``waiting``; between the second and the third it is the ``Progress`` of the apply.
"""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime, timedelta

from reconciler.model import Action, Outcome, Plan, TargetId
from reconciler.model.status import Status
from reconciler.ports import Clock
from reconciler.report.text import clean
from reconciler.web.record import Record
from reconciler.web.seen import Log, Phase, Seen

MOST_RUNS = 20
SILENCE = 3600.0
"""Seconds for which a tick at work may give no sign of life: a dump that is read may well need as many before its first byte."""
GRACE = 300.0
"""Seconds by which a sleeping loop may be late: it asks the repository before it sleeps again, which may not answer."""


class Live:
    """The service, as it is now. ``status`` is what an earlier process left."""

    def __init__(self, clock: Clock, status: Status | None = None) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._status = status
        self._phase: Phase = "starting"
        self._plan: Plan | None = None
        self._problem = ""
        self._ticks = 0
        self._ticked: datetime | None = None
        self._next: datetime | None = None
        self._runs: deque[Record] = deque(maxlen=MOST_RUNS)
        self._open: Record | None = None
        self._expected = self._beat = clock.monotonic()
        self._alive(SILENCE)

    def began(self) -> None:
        """A tick begins."""
        with self._lock:
            self._phase, self._next = "ticking", None
            self._alive(SILENCE)

    def planned(self, plan: Plan) -> None:
        """What this tick is about to do. One with actions begins a run."""
        with self._lock:
            self._plan = plan
            self._alive(SILENCE)
            if plan.actions:
                self._open = Record(self._name(), self._clock, len(plan.actions))
                self._runs.append(self._open)

    def ended(self, status: Status | None, problem: str = "") -> None:
        """The tick is over. Without a ``status`` the last one stays; ``problem`` says why it came to nothing."""
        with self._lock:
            self._status = status or self._status
            self._problem = clean(problem)
            self._ticks += 1
            self._ticked = self._clock.now()
            self._alive(SILENCE)
            if self._open:
                self._open.end(problem)
                self._open = None

    def waiting(self, seconds: float) -> None:
        """The loop waits; it shows itself again within so many seconds."""
        with self._lock:
            self._phase = "sleeping"
            self._next = self._clock.now() + timedelta(seconds=seconds)
            self._alive(seconds + GRACE)

    def started(self, action: Action) -> None:
        """An action begins."""
        with self._lock:
            self._alive(SILENCE)
            if self._open:
                self._open.started(action)

    def advanced(self, target: TargetId, size: int) -> None:
        """``size`` more stored bytes of that target went through."""
        with self._lock:
            self._alive(SILENCE)
            if self._open:
                self._open.advanced(target, size)

    def said(self, who: str, line: str) -> None:
        """A hook wrote a line."""
        with self._lock:
            self._alive(SILENCE)
            if self._open:
                self._open.said(who, line)

    def finished(self, outcome: Outcome) -> None:
        """The action ended."""
        with self._lock:
            self._alive(SILENCE)
            if self._open:
                self._open.finished(outcome)

    def seen(self) -> Seen:
        """All of it, but for the logs."""
        with self._lock:
            now = self._clock.monotonic()
            return Seen(
                now=self._clock.now(),
                phase=self._phase,
                status=self._status,
                plan=self._plan,
                runs=tuple(run.seen() for run in reversed(self._runs)),
                problem=self._problem,
                ticks=self._ticks,
                ticked=self._ticked,
                next_look=self._next,
                silent=now - self._beat,
                overdue=max(0.0, now - self._expected),
            )

    def log(self, run: str) -> Log | None:
        """The log of one run; None when there is none of that name, or it is too long ago."""
        with self._lock:
            return next((known.log() for known in self._runs if known.id == run), None)

    def _alive(self, silence: float) -> None:
        """A sign of life, and for how many seconds there need not be another."""
        self._beat = self._clock.monotonic()
        self._expected = self._beat + silence

    def _name(self) -> str:
        """A name for a run, from the time; with a number where two begin within a second."""
        name = f"{self._clock.now():%Y%m%dT%H%M%SZ}"
        taken = {run.id for run in self._runs}
        return next(
            full for full in (name, *(f"{name}-{n}" for n in range(2, MOST_RUNS + 2))) if full not in taken
        )
