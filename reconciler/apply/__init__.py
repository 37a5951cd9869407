"""Carry out a plan: action after action, each with an outcome. One that fails hides and stops no other.

Called by the loop. The order is the plan's, and with jobs that of each target; a Prune runs only when everything newer on its
target succeeded in this run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby

import msgspec

from reconciler.adapters.secrets import redact
from reconciler.apply.create import create
from reconciler.apply.lanes import Moving
from reconciler.apply.prune import adopt, prune, recover
from reconciler.apply.prunehooks import PruneHooks
from reconciler.apply.replicate import replicate
from reconciler.apply.result import Result
from reconciler.apply.side_by_side import Jobs, SideBySide
from reconciler.errors import ReconcilerError
from reconciler.model import (
    Action,
    Adopt,
    Create,
    Fleet,
    Outcome,
    Plan,
    Prune,
    Recover,
    Replicate,
    Restore,
    TargetId,
)
from reconciler.ports import Progress, World

__all__ = ["Jobs", "Result", "attempt", "run"]


Restoring = Callable[[Restore, Progress], Result]
"""Carries out one Restore: a phase of its own, which the loop hands in."""


def run(
    plan: Plan,
    fleet: Fleet,
    world: World,
    progress: Progress,
    restoring: Restoring | None = None,
    jobs: Jobs | None = None,
) -> Iterator[Outcome]:
    """Do every action and yield its outcome. An interrupt ends the running action with nothing half made, and propagates.

    With ``jobs``, what moves artifacts is done several targets at a time, and everything else one by one.
    """
    running = _Run(plan, fleet, world, progress, restoring)
    for moves, actions in groupby(plan.actions, lambda action: isinstance(action, Moving)):
        if jobs and moves:
            together = SideBySide(jobs, plan, fleet, world, progress)
            moving = tuple(action for action in actions if isinstance(action, Moving))
            yield from together.run(moving, running.skipped, running.ended)
        else:
            yield from map(running.carried_out, actions)


def attempt(action: Moving, plan: Plan, fleet: Fleet, world: World, progress: Progress) -> Outcome:
    """Move an artifact; what came of it, but for the time that it took."""
    try:
        if isinstance(action, Create):
            return _outcome(action, create(action, plan, fleet, world, progress))
        return _outcome(action, replicate(action, fleet, world, progress))
    except ReconcilerError as error:
        return _outcome(action, Result(error=str(error)))


class _Run:
    """One run: what failed in it decides what is still done."""

    def __init__(
        self, plan: Plan, fleet: Fleet, world: World, progress: Progress, restoring: Restoring | None
    ) -> None:
        self._plan = plan
        self._fleet = fleet
        self._world = world
        self._progress = progress
        self._restoring = restoring
        self._failed: set[TargetId] = set()
        self._unmade: set[str] = set()
        self._prunes = PruneHooks(plan, fleet, world, progress)

    def carried_out(self, action: Action) -> Outcome:
        """Do it, or say why not."""
        self._progress.started(action)
        begun = self._world.clock.monotonic()
        outcome = self.skipped(action) or self._done(action)
        outcome = msgspec.structs.replace(outcome, seconds=self._world.clock.monotonic() - begun)
        self.ended(outcome)
        return outcome

    def skipped(self, action: Action) -> Outcome | None:
        """Why it is not done, after what has failed; None when it is."""
        if isinstance(action, Replicate) and action.key in self._unmade:
            return Outcome(action, skipped="the artifact was not made")
        if isinstance(action, Prune) and action.target in self._failed:
            return Outcome(action, skipped="an earlier action on this target failed in this run")
        return None

    def ended(self, outcome: Outcome) -> None:
        """Learn from how it ended, and tell of it."""
        action = outcome.action
        if not outcome.ok and not isinstance(action, Recover | Adopt):
            self._failed.add(action.target)
        if isinstance(action, Create) and not outcome.size:
            self._unmade.add(action.key)
        self._progress.finished(outcome)

    def _done(self, action: Action) -> Outcome:
        if isinstance(action, Moving):
            return attempt(action, self._plan, self._fleet, self._world, self._progress)
        return _outcome(action, self._attempt(action))

    def _attempt(self, action: Recover | Adopt | Restore | Prune) -> Result:
        fleet, world = self._fleet, self._world
        try:
            match action:
                case Prune():
                    return self._prunes.around(action, lambda: prune(action, fleet, world))
                case Recover():
                    return recover(action, fleet, world)
                case Adopt():
                    return adopt(action, fleet, world)
                case Restore():
                    assert self._restoring is not None
                    return self._restoring(action, self._progress)
        except ReconcilerError as error:
            return Result(error=str(error))


def _outcome(action: Action, result: Result) -> Outcome:
    return Outcome(
        action,
        error=redact(result.error),
        failures={name: redact(why) for name, why in result.failures.items()},
        warnings=tuple(redact(warning) for warning in result.warnings),
        hooks=result.hooks,
        size=result.size,
        verified=result.verified,
    )
