"""A world in memory: what applying a plan, or a part of it, makes of an observation. Knows nothing of how plans are made."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from reconciler.model import (
    Action,
    Adopt,
    Artifact,
    Copy,
    Create,
    Listing,
    Observation,
    Plan,
    Prune,
    Recover,
    Replicate,
    Restore,
)

SIZE = 1000
"""Size in bytes of what a Create makes."""


def apply(seen: Observation, plan: Plan, *, failing: Collection[Action] = ()) -> Observation:
    """The observation after ``plan``; the actions ``failing`` change nothing.

    AssertionError when an action is impossible: an unknown destination, no good source, a copy that is not there.
    """
    for action in plan.actions:
        if action not in failing:
            seen = step(seen, action, plan)
    return seen


def step(seen: Observation, action: Action, plan: Plan) -> Observation:
    """The observation after one action."""
    match action:
        case Adopt():
            return _put(seen, action.destination, adopt=False, marker=f"id of {action.destination}")
        case Recover():
            left = seen.listings[action.destination].leftovers
            rest = tuple(item for item in left if item.key != action.key)
            assert len(rest) == len(left) - 1
            return _put(seen, action.destination, leftovers=rest)
        case Create():
            made = Artifact(action.key, action.target, f"{plan.now:%Y-%m-%dT%H%M%SZ}", action.tier)
            for name in action.destinations:
                assert action.key not in copies(seen, name)
                seen = _add(seen, name, Copy(made, SIZE, 500))
            return seen
        case Replicate():
            source = copies(seen, action.sources[0])[action.key]
            assert not source.broken
            old = copies(seen, action.destination).get(action.key)
            assert old is None or old.broken
            return _add(seen, action.destination, source)
        case Prune():
            here = copies(seen, action.destination)
            del here[action.key]
            return _put(seen, action.destination, copies=tuple(here.values()))
        case Restore():  # the cases call each document's digest as its name
            return msgspec.structs.replace(seen, restores={**seen.restores, action.name: "done"})


def copies(seen: Observation, destination: str) -> dict[str, Copy]:
    """The copies at one destination by key."""
    return {copy.artifact.key: copy for copy in seen.listings[destination].copies}


def good(seen: Observation, destination: str) -> set[Artifact]:
    """The artifacts of which a destination holds a good copy."""
    return {copy.artifact for copy in seen.listings[destination].copies if not copy.broken}


def _add(seen: Observation, destination: str, copy: Copy) -> Observation:
    here = copies(seen, destination) | {copy.artifact.key: copy}
    return _put(seen, destination, copies=tuple(here.values()))


def _put(seen: Observation, destination: str, **changes: object) -> Observation:
    listing: Listing = seen.listings[destination]
    assert not listing.unknown, f"an action at {destination}, which is unknown"
    changed = msgspec.structs.replace(listing, **changes)
    return msgspec.structs.replace(seen, listings={**seen.listings, destination: changed})
