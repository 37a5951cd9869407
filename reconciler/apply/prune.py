"""The small actions at one destination: delete a copy, clear what a died run left, write the marker."""

from __future__ import annotations

import uuid
from contextlib import suppress

from reconciler.apply.commit import has_manifest
from reconciler.apply.result import Result
from reconciler.errors import StoreError
from reconciler.markers import Marker
from reconciler.model import Adopt, Fleet, Prune, Recover
from reconciler.naming import MARKER, intent_content, intent_key, manifest_key
from reconciler.ports import World


def prune(action: Prune, fleet: Fleet, world: World) -> Result:
    """Delete one copy: manifest first, so that half a deletion is no copy. Raises StoreError."""
    store = world.store(fleet.destination(action.destination))
    intent = intent_key(world.node, action.key)
    with suppress(StoreError):  # a full disk takes no record, and deletions are what it needs
        store.put(intent, intent_content(world.clock.now()))
    store.delete(manifest_key(action.key))
    store.delete(action.key)
    store.delete(intent)
    return Result(size=action.size)


def recover(action: Recover, fleet: Fleet, world: World) -> Result:
    """Remove what a died run left; an artifact that has its manifest stays. Raises StoreError."""
    store = world.store(fleet.destination(action.destination))
    store.abandon(action.key)
    if not action.committed and has_manifest(store, action.key):
        return Result(warnings=(f"{action.key} has a manifest now: it is left as it is",))
    for key in action.keys:  # the intent record is the last of them: a kill on the way is recovered again
        store.delete(key)
    return Result()


def adopt(action: Adopt, fleet: Fleet, world: World) -> Result:
    """Write the marker that tells this destination from an unmounted disk. Raises StoreError."""
    store = world.store(fleet.destination(action.destination))
    marker = Marker(name=action.destination, id=uuid.uuid4().hex)
    store.put(MARKER, marker.text().encode() + b"\n")
    return Result()
