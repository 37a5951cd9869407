"""Carry out a plan: action after action, each with an outcome. One that fails hides and stops no other.

Called by the loop. The order is the plan's; a Prune runs only when everything newer on its target succeeded in this run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from reconciler.adapters.secrets import redact
from reconciler.apply.create import create
from reconciler.apply.prune import adopt, prune, recover
from reconciler.apply.prunehooks import PruneHooks
from reconciler.apply.replicate import replicate
from reconciler.apply.result import Result
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

__all__ = ["Result", "run"]


Restoring = Callable[[Restore, Progress], Result]
"""Carries out one Restore: a phase of its own, which the loop hands in."""


def run(
    plan: Plan, fleet: Fleet, world: World, progress: Progress, restoring: Restoring | None = None
) -> Iterator[Outcome]:
    """Do every action and yield its outcome. An interrupt ends the running action with nothing half made, and propagates."""
    running = _Run(plan, fleet, world, progress, restoring)
    for action in plan.actions:
        progress.started(action)
        begun = world.clock.monotonic()
        outcome = running.outcome(action)
        outcome = msgspec.structs.replace(outcome, seconds=world.clock.monotonic() - begun)
        running.learn(outcome)
        progress.finished(outcome)
        yield outcome


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

    def outcome(self, action: Action) -> Outcome:
        """Do it, or say why not."""
        if isinstance(action, Replicate) and action.key in self._unmade:
            return Outcome(action, skipped="the artifact was not made")
        if isinstance(action, Prune) and action.target in self._failed:
            return Outcome(action, skipped="an earlier action on this target failed in this run")
        return _outcome(action, self._attempt(action))

    def learn(self, outcome: Outcome) -> None:
        """What ended how."""
        action = outcome.action
        if not outcome.ok and not isinstance(action, Recover | Adopt):
            self._failed.add(action.target)
        if isinstance(action, Create) and not outcome.size:
            self._unmade.add(action.key)

    def _attempt(self, action: Action) -> Result:
        fleet, world = self._fleet, self._world
        try:
            match action:
                case Create():
                    return create(action, self._plan, fleet, world, self._progress)
                case Replicate():
                    return replicate(action, fleet, world, self._progress)
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
    )
