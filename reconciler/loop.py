"""One tick: spec → observe → plan → apply → report. Called by the command line; holds no memory between ticks.

``Session`` is one look at one set of specs; its methods are the phases in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from reconciler import clockjump, observe, plan, report, spec, wiring
from reconciler.adapters import ledger, lock, node
from reconciler.adapters.clock import SystemClock, boot
from reconciler.apply import Jobs, Result, run
from reconciler.apply.fence import Fence
from reconciler.errors import ReconcilerError, SpecError
from reconciler.lifecycle.left import Left, left
from reconciler.lifecycle.recovery import Recovered, recover
from reconciler.model import (
    Fleet,
    Listing,
    Memory,
    Note,
    Observation,
    Outcome,
    Plan,
    Restore,
    Sealed,
    TargetId,
)
from reconciler.model.status import Status
from reconciler.ports import Progress, World
from reconciler.restore.documents import carry_out, remembered
from reconciler.sources import Plain, Source
from reconciler.spec import Problem


class Applied(NamedTuple):
    """What an apply came to. ``commit`` is the status commit, if there was anything new to say.

    ``warnings`` say which notifiers could not be reached.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...]
    status: Status
    commit: str | None
    place: str
    report_error: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything that was planned was done and reported, and nothing stood in the way of planning more."""
        return not (self.plan.failed or self.report_error) and all(outcome.ok for outcome in self.outcomes)


class Session(NamedTuple):
    """Specs that were loaded, the world they speak of, and the last status.

    ``unreadable`` says why there is a last status that cannot be read: then no destination is adopted, and no status is
    written over it. ``acts`` for a command that may
    change something; ``recovered`` is what a run that died had left, and what became of it. ``remarks`` is what
    there is to know of the repository.
    """

    specs: Path
    fleet: Fleet
    warnings: tuple[Problem, ...]
    world: World
    ledger: ledger.Ledger
    now: datetime
    previous: Status | None
    unreadable: str = ""
    acts: bool = False
    recovered: Recovered = Recovered()
    remarks: tuple[Note, ...] = ()

    @property
    def is_in_memory(self) -> bool:
        """Whether a destination is this process's memory, which no other one sees."""
        return any(item.protocol == "memory" for item in self.fleet.destinations)

    def listings(self) -> dict[str, Listing]:
        """Every destination, listed now; targets are not looked at."""
        return observe.destinations(self.fleet, self.world, self._seen())

    def keys(self, copies: Iterable[tuple[str, str]]) -> dict[str, Sealed]:
        """How the encrypted ones among ``copies`` (destination, artifact key) are encrypted, by artifact key."""
        return observe.keys_needed(self.fleet, self.world, copies)

    def observe(self, before: Observation | None = None) -> Observation:
        """Every destination and every target, as they are now; what was unknown ``before`` is not waited for again."""
        looked = self.world.clock.monotonic()
        seen = observe.everything(self.fleet, self.world, self._seen(), self.now, before)
        clock = clockjump.judge(self.previous, *boot(), self.now)
        return msgspec.structs.replace(
            seen, restores=self._restores(), memory=self._memory(), clock=clock, looked=looked
        )

    def plan(
        self, seen: Observation, only: Collection[TargetId] | None = None, forced: Collection[TargetId] = ()
    ) -> Plan:
        """What to do about what was seen."""
        return self._noted(plan.make(self.fleet, seen, self.now, only=only, forced=forced))

    def _noted(self, made: Plan) -> Plan:
        """The plan with notes of what a run that died had left: put right by now, or still to be by one that acts."""
        waiting = left(self.world)
        told = any(item.wrong for item in waiting)
        notes = [
            *self.remarks,
            *(Note("warning", "held", "journal", text) for text in self.recovered.done),
            *(Note("error", "held", "journal", text) for text in self.recovered.failed if not told),
            *map(self._left, waiting),
        ]
        return msgspec.structs.replace(made, notes=(*made.notes, *notes)) if notes else made

    def _left(self, item: Left) -> Note:
        """A container that stays down is told of the target that it was held for, if that is still one."""
        wanted = (
            str(target.id) for backup in self.fleet.backups if not backup.suspend for target in backup.targets
        )
        subject = item.why if item.wrong and item.why in wanted else "journal"
        return Note("error" if item.wrong else "warning", "held", subject, item.text)

    def apply(
        self,
        todo: Plan,
        seen: Observation,
        progress: Progress,
        again: Replan | None = None,
        *,
        jobs: int = 1,
    ) -> Applied:
        """Carry the plan out, look again, report and notify. The report always lands, and its failure hides nothing.

        Where another run was at work meanwhile, ``again`` makes the plan anew; by default that for all targets. ``jobs`` is the
        number of targets at a time.
        """
        watch = report.Watch(self.fleet.policy.notifications, busy=bool(todo.actions))
        with Fence(self.fleet, self.world, partial(progress.said, "lease")) as fence:
            session = self
            while fence.take(todo, seen):
                session = self._replace(now=self.world.clock.now())
                seen = session.observe(seen)
                todo = (again or Session.plan)(session, seen)
            restoring = partial(session._restore, seen)  # noqa: SLF001 - of this class
            beside = Jobs(jobs, fence) if jobs > 1 and not session.is_in_memory else None
            outcomes = tuple(run(todo, self.fleet, fence.world, progress, restoring, beside))
        return session._reported(todo, seen, outcomes, watch)  # noqa: SLF001

    def _reported(
        self, todo: Plan, seen: Observation, outcomes: tuple[Outcome, ...], watch: report.Watch
    ) -> Applied:
        after = self.observe(seen) if outcomes else seen
        rest = self.plan(after)
        status = report.status(self.fleet, after, rest, outcomes, self.now, self.previous)
        told = self._tell(status)
        commit, why = self._publish(told.status)
        if self.fleet.policy.notifications:
            report.remember(self.world.journal, self.specs, told.status, why)
        done = Applied(todo, outcomes, told.status, commit, self.ledger.place, why)
        unsent = watch.end(told.status, self.previous, well=done.ok and told.status.well, trouble=why)
        return done._replace(warnings=(*told.warnings, *unsent))

    def _tell(self, status: Status) -> report.Telling:
        notifiers = self.fleet.policy.notifications
        memory = (
            report.recall(self.world.journal, self.specs, self.previous) if notifiers else report.Memory()
        )
        return report.tell(notifiers, status, self.previous, memory)

    def _restore(self, seen: Observation, action: Restore, progress: Progress) -> Result:
        """Carry out a Restore document; a phase of its own, which apply does not know."""
        done = carry_out(action, self.fleet, seen.listings, self.world, progress)
        return Result(
            error=done.error, warnings=done.warnings, size=done.size, hooks=done.hooks, verified=done.verified
        )

    def _restores(self) -> dict[str, str]:
        """How each Restore document ended: done where the status or this machine remembers that, else what is newer."""
        told = {item.digest: str(item.state) for item in (self.previous.restores if self.previous else ())}
        try:
            here = remembered(self.fleet, self.world)
        except ReconcilerError:
            here = {}
        return told | {
            digest: told[digest] if told.get(digest) == "done" else here[digest] for digest in here
        }

    def _memory(self) -> Memory:
        """Whether it can be told which Restore documents were carried out before."""
        try:
            remembered(self.fleet, self.world)
        except ReconcilerError as error:
            return Memory(unreadable=str(error))
        return Memory(unreadable=self.unreadable, empty=self.previous is None)

    def _publish(self, status: Status) -> tuple[str | None, str]:
        """The status commit, and why there is none where there should be one: no backup waits for a status."""
        if self.unreadable:
            return None, self.unreadable
        try:
            return report.publish(status, self.previous, self.ledger), ""
        except ReconcilerError as error:
            return None, str(error)

    def status(self) -> Status:
        """The status as it would be reported now, after no action."""
        seen = self.observe()
        return report.status(self.fleet, seen, self.plan(seen), (), self.now, self.previous)

    def _seen(self) -> dict[str, str] | None:
        return None if self.unreadable else report.seen_markers(self.previous, self.fleet)


Replan = Callable[[Session, Observation], Plan]
"""Makes a plan anew from a later look."""


@contextmanager
def session(specs: Path, source: Source | None = None) -> Iterator[Session]:
    """Load the specs and open the world for the block. Raises SpecError when they cannot be used.

    ``source`` says where they come from, if not from the folder ``specs`` as it is.
    """
    origin = (source or Plain(specs)).origin()
    fleet, warnings = spec.load(origin.specs, commit=origin.commit)
    fleet = msgspec.structs.replace(fleet, rejected=origin.rejected)
    warnings = origin.named(warnings)
    previous, unreadable = _last_status(origin.ledger)
    with wiring.world(origin.specs) as world:
        now = world.clock.now()
        here = observe.resolve(fleet.on(world.node).at(now), world)
        opened = Session(origin.specs, here, warnings, world, origin.ledger, now, previous, unreadable)
        yield opened._replace(remarks=origin.notes)


@contextmanager
def acting_session(specs: Path, source: Source | None = None) -> Iterator[Session]:
    """The same for a command that acts: at most one at a time. Raises Locked, SpecError; the latter is reported, too."""
    chosen = source or Plain(specs)
    with lock.hold(chosen.lock), _nothing_held(specs), ExitStack() as stack:
        recovered = recover_first(specs)
        try:
            opened = stack.enter_context(session(specs, chosen))
        except SpecError as error:
            raise SpecError((*error.problems, *recovered.told, *_report_rejected(chosen, error))) from None
        yield opened._replace(acts=True, recovered=recovered)


@contextmanager
def _nothing_held(specs: Path) -> Iterator[None]:
    """A signal may come just while containers are brought back: then once more, which no further one disturbs."""
    try:
        yield
    except KeyboardInterrupt:
        recover_first(specs)
        raise


def recover_first(specs: Path) -> Recovered:
    """The first act, before the specs are even read: containers come back whatever stands in them."""
    with wiring.world(specs) as world:
        return recover(world)


def _last_status(book: ledger.Ledger) -> tuple[Status | None, str]:
    try:
        return report.read(book, node.name()), ""
    except ReconcilerError as error:
        return None, str(error)


def rejected(specs: Path, error: SpecError) -> Status:
    """What the status says of specs that cannot be used; nothing is written. Raises GitError."""
    book = Plain(specs).ledger()
    previous = _last_status(book)[0] if book else None
    return report.rejected(previous, error.problems, node.name(), SystemClock().now())


def _report_rejected(source: Source, error: SpecError) -> tuple[str, ...]:
    """Say in the status that the specs cannot be used, and why; what else it says stays. Returns why that failed, if it did."""
    try:
        book = source.ledger()
        if book is None:
            return ()
        previous, unreadable = _last_status(book)
        if not unreadable:
            now = SystemClock().now()
            report.publish(report.rejected(previous, error.problems, node.name(), now), previous, book)
            if unshared := source.share():
                return (f"the status could not be pushed: {unshared}",)
    except ReconcilerError as failed:
        return (f"the status could not be written: {failed}",)
    return ()
