"""What is there: every destination listed once, every target looked at. Reads, and never writes.

Called by the loop. A destination that cannot be told is unknown, which is not the same as empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from reconciler.errors import ReconcilerError
from reconciler.model import Destination, Fleet, Listing, Observation, Probe, TargetId
from reconciler.observe.compare import mark_broken
from reconciler.observe.listing import read_listing
from reconciler.observe.probes import probe_targets
from reconciler.ports import World

__all__ = ["destinations", "everything"]

_AT_ONCE = 8  # destinations that are listed at the same time


def everything(fleet: Fleet, world: World, seen: Mapping[str, str] | None, now: datetime) -> Observation:
    """Listings and probes. ``seen``: marker ids by the names of destinations seen before; None when that cannot be told."""
    listings = destinations(fleet, world, seen)
    probes: dict[TargetId, Probe] = probe_targets(fleet, world, listings, now)
    return Observation(listings, probes, world.node)


def destinations(fleet: Fleet, world: World, seen: Mapping[str, str] | None) -> dict[str, Listing]:
    """A listing of each destination, all at once; manifests are read only where copies of one artifact differ in size."""
    with ThreadPoolExecutor(_AT_ONCE, "observe") as pool:
        found = pool.map(lambda item: _listing(item, world, seen), fleet.destinations)
        listings = {item.name: listing for item, listing in zip(fleet.destinations, found, strict=True)}
    return mark_broken(fleet, world, listings)


def _listing(destination: Destination, world: World, seen: Mapping[str, str] | None) -> Listing:
    before = seen.get(destination.name, "") if seen is not None else ""
    try:
        listing = read_listing(world.store(destination), destination.name, before)
    except ReconcilerError as error:
        return Listing(unknown=str(error).removeprefix(f"destination {destination.name}: "))
    if listing.adopt and seen is None:
        return Listing(
            unknown="it has no marker, and the last status, which would tell whether it ever had one, cannot be read: "
            "mend or delete that first"
        )
    return listing
