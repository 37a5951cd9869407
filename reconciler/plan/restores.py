"""Restore documents: each is carried out once. Used by ``make``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from reconciler.choosing import choose, passed_over
from reconciler.errors import Refused
from reconciler.model import Note, Restore, RestoreOrder, TargetId
from reconciler.plan.target import Wish
from reconciler.plan.view import View
from reconciler.retention import SKEW

_ENDED = {"failed": "it failed", "interrupted": "it was interrupted"}


class Orders(NamedTuple):
    """What is to be restored, and what there is to know about it."""

    actions: tuple[Restore, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def replaced(self) -> frozenset[TargetId]:
        """The targets whose own data is replaced: in the same run nothing is made of it, and nothing of them is deleted."""
        return frozenset(action.target for action in self.actions if not action.to)


def restore_orders(view: View, now: datetime, only: Collection[TargetId] | None) -> Orders:
    """A Restore for each document that was not carried out yet, and what speaks against the others."""
    actions: list[Restore] = []
    notes: list[Note] = []
    elsewhere = {target.id for backup in view.fleet.elsewhere for target in backup.targets}
    for order in sorted(view.fleet.restores, key=lambda item: item.name):
        if order.target in elsewhere or (only is not None and order.target not in only):
            continue
        try:
            found = _action(view, order, now)
        except Refused as why:
            notes.append(Note("error", "restore", order.name, str(why)))
            continue
        if found:
            actions.append(found)
            notes += _doubts(view, order, found, now)
    return Orders(tuple(actions), tuple(notes))


def spare(wish: Wish, replaced: Collection[TargetId]) -> Wish:
    """The wish without what would read or delete data of a target that is ``replaced``, or complain that it is missing."""
    create = wish.create if wish.create and wish.create.target not in replaced else None
    unmade = wish.create.key if wish.create and not create else ""
    subjects = set(map(str, replaced))
    return Wish(
        create,
        tuple(item for item in wish.replicates if item.key != unmade),
        tuple(item for item in wish.prunes if item.target not in replaced),
        tuple(note for note in wish.notes if note.topic != "target" or note.subject not in subjects),
    )


def _action(view: View, order: RestoreOrder, now: datetime) -> Restore | None:
    """The action; None where it is done. Raises Refused, saying why there is none."""
    state = view.seen.restores.get(order.digest, "")
    if state == "done":
        return None
    _insist_remembered(view, order, state)
    listings = view.seen.listings
    unknown = [name for name, listing in listings.items() if listing.unknown and order.source in ("", name)]
    if unknown:
        hint = "" if order.source else "; `from:` another one restores without it"
        raise Refused(
            f"{', '.join(unknown)} cannot be looked at, and may hold what is asked for: it is tried again{hint}"
        )
    try:
        choice = choose(view.fleet, listings, str(order.target), order.at or now + SKEW, order.source)
    except Refused as why:
        raise Refused(f"{why}; it is tried again") from None
    good = [(name, copy) for name, copy in choice.copies if not copy.broken]
    return Restore(
        name=order.name,
        target=order.target,
        key=choice.artifact.key,
        sources=tuple(name for name, _ in good),
        to=str(order.to) if order.to else "",
        overwrite=order.overwrite,
        size=good[0][1].size,
        reason=f"Restore {order.name} is not done yet{_meanwhile(order)}",
    )


def _insist_remembered(view: View, order: RestoreOrder, state: str) -> None:
    """Raises Refused where it was tried, or where it cannot be told whether it was."""
    if view.seen.memory.unreadable:
        raise Refused(f"it cannot be told whether it was carried out already: {view.seen.memory.unreadable}")
    if state == "withheld" or (not state and view.seen.memory.empty and order.overwrite):
        raise Refused(
            f"nothing here remembers whether it was carried out already, and it would replace data: run reconciler restore"
            f" {order.target} --overwrite by hand and remove the document, or change the document (its name is enough)"
        )
    if state in _ENDED:
        raise Refused(
            f"{_ENDED[state]}, and is not tried again by itself: look at what is there, then change the document"
            f" (its name is enough) to try again, or remove it"
        )


def _meanwhile(order: RestoreOrder) -> str:
    return "; what uses the place is stopped for the swap" if order.overwrite else ""


def _doubts(view: View, order: RestoreOrder, action: Restore, now: datetime) -> Iterable[Note]:
    listings = view.seen.listings
    choice = choose(view.fleet, listings, str(order.target), order.at or now + SKEW, order.source)
    for text in passed_over(choice, listings, order.at or now + SKEW, order.source):
        yield Note("warning", "restore", action.name, text)
