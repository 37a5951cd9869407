"""Where each slot of a retention stands at a destination, from held to failed. Pure; used by ``targets``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from reconciler.model import (
    Action,
    Artifact,
    Copy,
    Create,
    Outcome,
    Replicate,
    Restore,
    Retention,
    TargetId,
    Tier,
)
from reconciler.model.status import Holding, Slot, SlotState
from reconciler.retention import counts_as

Place = tuple[str, str]
"""Key of an artifact, name of a destination."""


class Work(NamedTuple):
    """What this run tried to write, what of that it could not, and what the next one will do.

    ``verified`` is what it read whole and found good, ``doubted`` what it read and did not find so.
    """

    due: Mapping[TargetId, Create]
    healing: frozenset[Place]
    failed: frozenset[Place]
    tried: frozenset[Place]
    verified: frozenset[Place]
    doubted: frozenset[Place]


class Here(NamedTuple):
    """One target at one destination. ``before`` is what the last status said of it; ``stuck``: its last backup failed."""

    destination: str
    retention: Retention
    copies: Mapping[str, Copy]
    before: Holding | None
    stuck: bool


def work(todo: Sequence[Action], outcomes: Sequence[Outcome]) -> Work:
    """From the plan that is left and the outcomes of this run."""
    tried = [item for item in outcomes if not item.skipped]
    failed = {
        place for item in tried for place in _places(item.action) if item.error or place[1] in item.failures
    }
    return Work(
        due={action.target: action for action in todo if isinstance(action, Create)},
        healing=frozenset(
            (action.key, action.destination) for action in todo if isinstance(action, Replicate)
        ),
        failed=frozenset(failed),
        tried=frozenset(place for item in tried for place in _places(item.action)),
        verified=frozenset(place for item in tried for place in _read(item) if place[1] == item.verified),
        doubted=frozenset(place for item in tried for place in _read(item) if place[1] != item.verified),
    )


def _places(action: Action) -> Iterable[Place]:
    match action:
        case Create():
            return [(action.key, name) for name in action.destinations]
        case Replicate():
            return [(action.key, action.destination)]
        case _:
            return []


def _read(outcome: Outcome) -> Iterable[Place]:
    """The copies that were read for it, in order: up to the one that proved good, or all of them."""
    if isinstance(outcome.action, Replicate | Restore):
        for name in outcome.action.sources:
            yield outcome.action.key, name
            if name == outcome.verified:
                return


def slots(
    here: Here, target: TargetId, wanted: Sequence[Artifact], todo: Work
) -> dict[Tier, tuple[Slot, ...]]:
    """The slots of each tier, newest first: what is due, and the artifacts ``wanted`` here."""
    found: dict[Tier, list[Slot]] = {}
    due = todo.due.get(target)
    if due and here.destination in due.destinations and (tier := counts_as(due.tier, here.retention)):
        found[tier] = [Slot(time=None, state="failed" if here.stuck else "missing")]
    for artifact in sorted(wanted, key=lambda item: (item.stamp, item.key), reverse=True):
        if tier := counts_as(artifact.tier, here.retention):
            slot = Slot(time=artifact.time, state=_state(here, artifact, todo))
            found.setdefault(tier, []).append(slot)
    return {tier: tuple(row) for tier, row in found.items()}


def _state(here: Here, artifact: Artifact, todo: Work) -> SlotState:
    copy, place = here.copies.get(artifact.key), (artifact.key, here.destination)
    if copy and not copy.broken:
        before = place not in todo.tried | todo.doubted and _was(here, artifact, "verified")
        return "verified" if before or place in todo.verified else "held"
    if place in todo.failed or (place not in todo.tried and _was(here, artifact, "failed")):
        return "failed"
    if place in todo.healing:
        return "healing"
    return "failed" if copy else "missing"


def _was(here: Here, artifact: Artifact, state: SlotState) -> bool:
    """Whether the last status said so. It is told until a run writes the copy, or tries to."""
    tiers = here.before.tiers if here.before else ()
    return any(slot.time == artifact.time and slot.state == state for tier in tiers for slot in tier.slots)
