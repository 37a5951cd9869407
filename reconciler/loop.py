"""One tick: spec → observe → plan → apply → report. Called by the command line; holds no memory between ticks.

``Session`` is one look at one set of specs; its methods are the phases in their order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from reconciler import observe, plan, report, spec, wiring
from reconciler.adapters import git, ledger, lock
from reconciler.apply import run
from reconciler.errors import ReconcilerError
from reconciler.model import Fleet, Listing, Observation, Outcome, Plan, TargetId
from reconciler.model.status import Status
from reconciler.ports import Progress, World
from reconciler.spec import Problem


class Applied(NamedTuple):
    """What an apply came to. ``commit`` is the status commit, if there was anything new to say."""

    plan: Plan
    outcomes: tuple[Outcome, ...]
    status: Status
    commit: str | None
    place: str
    report_error: str = ""


class Session(NamedTuple):
    """Specs that were loaded, the world they speak of, and the last status."""

    specs: Path
    fleet: Fleet
    warnings: tuple[Problem, ...]
    world: World
    ledger: ledger.Ledger
    now: datetime

    def previous(self) -> Status | None:
        """The last status, or None when there is none that can be read: no backup waits for a status."""
        try:
            return report.read(self.ledger)
        except ReconcilerError:
            return None

    def listings(self) -> dict[str, Listing]:
        """Every destination, listed now; targets are not looked at."""
        return observe.destinations(self.fleet, self.world, self._seen())

    def observe(self) -> Observation:
        """Every destination and every target, as they are now."""
        return observe.everything(self.fleet, self.world, self._seen(), self.now)

    def plan(
        self, seen: Observation, only: Collection[TargetId] | None = None, forced: Collection[TargetId] = ()
    ) -> Plan:
        """What to do about what was seen."""
        return plan.make(self.fleet, seen, self.now, only=only, forced=forced)

    def apply(self, todo: Plan, seen: Observation, progress: Progress) -> Applied:
        """Carry the plan out, look again, and report. The report always lands, and its failure hides nothing."""
        outcomes = tuple(run(todo, self.fleet, self.world, progress))
        after = self.observe() if outcomes else seen
        rest = plan.make(self.fleet, after, self.now)
        previous = self.previous()
        status = report.status(self.fleet, after, rest, outcomes, self.now, previous)
        try:
            commit = report.publish(status, previous, self.ledger)
        except ReconcilerError as error:
            return Applied(todo, outcomes, status, None, self.ledger.place, str(error))
        return Applied(todo, outcomes, status, commit, self.ledger.place)

    def status(self) -> Status:
        """The status as it would be reported now, after no action."""
        seen = self.observe()
        return report.status(self.fleet, seen, self.plan(seen), (), self.now, self.previous())

    def _seen(self) -> dict[str, str]:
        return report.seen_markers(self.previous(), self.fleet)


@contextmanager
def session(specs: Path) -> Iterator[Session]:
    """Load the specs and open the world for the block. Raises SpecError when they cannot be used."""
    repository = git.find(specs)
    fleet, warnings = spec.load(specs, commit=repository.head() if repository else None)
    with wiring.world(specs) as world:
        yield Session(specs, fleet, warnings, world, ledger.open_ledger(specs, repository), world.clock.now())


@contextmanager
def acting_session(specs: Path) -> Iterator[Session]:
    """The same for a command that acts: at most one at a time. Raises Locked, SpecError."""
    with session(specs) as opened, lock.hold(specs):
        yield opened
