"""Carry out a plan: action after action, each with an outcome. One that fails hides and stops no other.

Called by the loop. The order is the plan's; a Prune runs only when everything newer on its target succeeded in this run.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from reconciler.adapters.secrets import redact
from reconciler.apply.create import create
from reconciler.apply.prune import adopt, prune, recover
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

__all__ = ["run"]


def run(plan: Plan, fleet: Fleet, world: World, progress: Progress) -> Iterator[Outcome]:
    """Do every action and yield its outcome. An interrupt ends the running action with nothing half made, and propagates."""
    failed: set[TargetId] = set()
    unmade: set[str] = set()
    for action in plan.actions:
        progress.started(action)
        begun = world.clock.monotonic()
        if isinstance(action, Replicate) and action.key in unmade:
            outcome = Outcome(action, skipped="the artifact was not made")
        elif isinstance(action, Prune) and action.target in failed:
            outcome = Outcome(action, skipped="a newer action on this target failed in this run")
        else:
            outcome = _outcome(action, _attempt(action, plan, fleet, world, progress))
        outcome = msgspec.structs.replace(outcome, seconds=world.clock.monotonic() - begun)
        if not outcome.ok and not isinstance(action, Recover | Adopt):
            failed.add(action.target)
        if isinstance(action, Create) and not outcome.size:
            unmade.add(action.key)
        progress.finished(outcome)
        yield outcome


def _attempt(action: Action, plan: Plan, fleet: Fleet, world: World, progress: Progress) -> Result:
    try:
        match action:
            case Create():
                return create(action, plan, fleet, world, progress)
            case Replicate():
                return replicate(action, fleet, world, progress)
            case Prune():
                return prune(action, fleet, world)
            case Recover():
                return recover(action, fleet, world)
            case Adopt():
                return adopt(action, fleet, world)
            case Restore():
                raise ReconcilerError("Restore documents are not carried out yet")
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
