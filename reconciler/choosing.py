"""Which artifact a restore means, and at which destinations it lies. Pure; used by restore, plan and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import NamedTuple

from reconciler.errors import Refused
from reconciler.model import Artifact, Copy, Destination, Fleet, Listing, TargetId
from reconciler.model.observed import to_stamp


class Choice(NamedTuple):
    """An artifact and its copies, in the order in which they are tried: good ones first, local ones before others."""

    artifact: Artifact
    copies: tuple[tuple[str, Copy], ...]


def choose(
    fleet: Fleet, listings: Mapping[str, Listing], name: str, at: datetime, source: str = ""
) -> Choice:
    """The newest artifact of ``name`` (``SERVICE`` or ``SERVICE/TYPE``) made at or before ``at``. Raises Refused."""
    _insist_known(listings, source)
    target = find_target(listings, name)
    found = [
        (place, copy)
        for place, listing in listings.items()
        for copy in listing.copies
        if copy.artifact.target == target and source in ("", place)
    ]
    latest = to_stamp(at)
    stamps = sorted(
        {copy.artifact.stamp for _, copy in found if copy.artifact.stamp <= latest and not copy.broken}
    )
    if not stamps:
        raise Refused(_nothing(target, found, latest, source))
    key = max(copy.artifact.key for _, copy in found if copy.artifact.stamp == stamps[-1])
    local = {item.name for item in fleet.destinations if _local(item)}
    copies = sorted(
        ((place, copy) for place, copy in found if copy.artifact.key == key),
        key=lambda item: (bool(item[1].broken), item[0] not in local, item[0]),
    )
    return Choice(copies[0][1].artifact, tuple(copies))


def _insist_known(listings: Mapping[str, Listing], source: str) -> None:
    if source and (why := listings[source].unknown):
        raise Refused(f"{source} cannot be looked at: {why}")


def unseen(listings: Mapping[str, Listing]) -> tuple[str, ...]:
    """A warning for each destination that cannot be looked at: what is chosen may not be the newest that there is."""
    return tuple(
        f"{name} cannot be looked at, and may hold a newer copy: {listing.unknown}"
        for name, listing in listings.items()
        if listing.unknown
    )


def passed_over(
    choice: Choice, listings: Mapping[str, Listing], at: datetime, source: str = ""
) -> tuple[str, ...]:
    """A warning for each broken copy of a newer artifact that was meant as well as the chosen one."""
    chosen, latest = choice.artifact, to_stamp(at)
    return tuple(
        f"{copy.artifact.key} is newer and cannot be restored: broken at {place}: {copy.broken}"
        for place, listing in listings.items()
        for copy in listing.copies
        if copy.artifact.target == chosen.target
        and source in ("", place)
        and chosen.stamp < copy.artifact.stamp <= latest
    )


def _local(destination: Destination) -> bool:
    return destination.protocol == "file"


def find_target(listings: Mapping[str, Listing], name: str) -> TargetId:
    """The target that ``SERVICE`` or ``SERVICE/TYPE`` names among those with copies. Raises Refused, with what there is."""
    held = {copy.artifact.target for listing in listings.values() for copy in listing.copies}
    service, _, type_ = name.partition("/")
    matches = sorted(target for target in held if target.service == service and type_ in ("", target.type))
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise Refused(f"{name} has several types: say which, {' or '.join(map(str, matches))}")
    close = get_close_matches(name, [text for target in held for text in (str(target), target.service)], 1)
    hint = f"; did you mean {close[0]}?" if close else "; `reconciler list` shows what there is"
    raise Refused(f"there is no copy of {name} at any destination that can be read{hint}")


def _nothing(target: TargetId, found: list[tuple[str, Copy]], latest: str, source: str) -> str:
    where = f" at {source}" if source else ""
    if not found:
        return f"there is no copy of {target}{where}"
    stamps = sorted(copy.artifact.stamp for _, copy in found if not copy.broken)
    if not stamps:
        return f"every copy of {target}{where} is broken: {found[0][1].broken}"
    return f"there is no copy of {target}{where} made at or before {latest}; the oldest is {stamps[0]}"
