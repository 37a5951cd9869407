"""Restore documents: each is carried out once. Used by ``make``."""

from __future__ import annotations

from datetime import datetime

from reconciler.model import Copy, Note, Restore, RestoreOrder
from reconciler.model.observed import to_stamp
from reconciler.plan.view import View
from reconciler.retention import horizon


def restore_wishes(view: View, now: datetime) -> tuple[list[Restore], list[Note]]:
    """A Restore for each document that was not carried out yet, and what speaks against the others."""
    actions: list[Restore] = []
    notes: list[Note] = []
    for order in sorted(view.fleet.restores, key=lambda item: item.name):
        found = _wish(view, order, now)
        if isinstance(found, Restore):
            actions.append(found)
        elif found:
            notes.append(Note("error", "restore", order.name, found))
    return actions, notes


def _wish(view: View, order: RestoreOrder, now: datetime) -> Restore | str:
    """The action, or why there is none; an empty text where it is done."""
    state = view.seen.restores.get(order.digest, "")
    if state == "done":
        return ""
    if state:
        return (
            f"it was {state}, and is not tried again by itself: look at what is there, then change the document"
            f" (its name is enough) to try again, or remove it"
        )
    if view.seen.forgetful and order.overwrite:
        return (
            f"nothing here remembers whether it was carried out already, and it would replace data: run reconciler restore"
            f" {order.target} --overwrite by hand, or remove the document"
        )
    return _chosen(view, order, now)


def _chosen(view: View, order: RestoreOrder, now: datetime) -> Restore | str:
    """The newest artifact that is meant, from every destination that has a good copy, local ones first."""
    latest = to_stamp(order.at) if order.at else horizon(now)
    copies = [
        (name, copy)
        for name, held in view.held(order.target).items()
        for copy in held.values()
        if order.source in ("", name) and not copy.broken and copy.artifact.stamp <= latest
    ]
    if not copies:
        unknown = [name for name, listing in view.seen.listings.items() if listing.unknown]
        hint = f"; {', '.join(unknown)} cannot be looked at" if unknown else ""
        return f"there is no good copy of {order.target} made at or before {latest}{hint}; it is tried again"
    stamp = max(copy.artifact.stamp for _, copy in copies)
    meant = [(name, copy) for name, copy in copies if copy.artifact.stamp == stamp]
    return Restore(
        name=order.name,
        target=order.target,
        key=meant[0][1].artifact.key,
        sources=_local_first(view, meant),
        to=str(order.to) if order.to else "",
        overwrite=order.overwrite,
        size=meant[0][1].size,
        reason=f"Restore {order.name} is not done yet",
    )


def _local_first(view: View, copies: list[tuple[str, Copy]]) -> tuple[str, ...]:
    local = {item.name for item in view.fleet.destinations if item.protocol == "file"}
    return tuple(sorted((name for name, _ in copies), key=lambda name: (name not in local, name)))
