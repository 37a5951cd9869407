"""What is there: every destination listed once, every target looked at. Reads, and never writes.

Called by the loop. A destination that cannot be told is unknown, which is not the same as empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from datetime import datetime
from threading import Thread

from reconciler.errors import ReconcilerError
from reconciler.model import Destination, Fleet, Listing, Observation, Probe, TargetId
from reconciler.observe.compare import mark_broken
from reconciler.observe.keys import keys_needed
from reconciler.observe.listing import read_listing
from reconciler.observe.probes import probe_targets
from reconciler.observe.resolve import resolve
from reconciler.ports import World

__all__ = ["destinations", "everything", "keys_needed", "resolve"]


def everything(
    fleet: Fleet,
    world: World,
    seen: Mapping[str, str] | None,
    now: datetime,
    before: Observation | None = None,
) -> Observation:
    """Listings and probes. ``seen``: marker ids by the names of destinations seen before; None when that cannot be told.

    ``before`` is an earlier look of the same run: what was unknown then still is, and is not waited for again.
    """
    unknown = (
        {name: listing for name, listing in before.listings.items() if listing.unknown} if before else {}
    )
    listings = destinations(fleet, world, seen, unknown)
    probes: dict[TargetId, Probe] = probe_targets(fleet, world, listings, now)
    return Observation(listings, probes, world.node)


def destinations(
    fleet: Fleet, world: World, seen: Mapping[str, str] | None, unknown: Mapping[str, Listing] | None = None
) -> dict[str, Listing]:
    """A listing of each destination but the ``unknown`` ones, all at once.

    Manifests are read only where copies of one artifact differ in size.
    """
    listings = dict(unknown or {})
    looks = {item.name: _look(item, world, seen) for item in fleet.destinations if item.name not in listings}
    listings |= {name: look.result() for name, look in looks.items()}
    return mark_broken(fleet, world, {item.name: listings[item.name] for item in fleet.destinations})


def _look(destination: Destination, world: World, seen: Mapping[str, str] | None) -> Future[Listing]:
    """List it in a thread of its own, for which an interrupted process does not wait: a dead server answers late or never."""
    found: Future[Listing] = Future()

    def run() -> None:
        try:
            found.set_result(_listing(destination, world, seen))
        except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
            found.set_exception(error)

    Thread(target=run, name=f"list-{destination.name}", daemon=True).start()
    return found


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
