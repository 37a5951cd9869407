"""What to do: a pure function of the specs, what was observed, and the time. No I/O, no clock, no memory.

Called by the loop. ``make`` collects what each target needs (``target.py``), what destinations need, and what is only to be
told (``notes.py``), and withholds deletions that look like a mistake (``guard.py``).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from reconciler.model import (
    Action,
    Adopt,
    Create,
    Fleet,
    Observation,
    Plan,
    Prune,
    Recover,
    Replicate,
    Restore,
    TargetId,
)
from reconciler.plan.guard import withhold
from reconciler.plan.notes import fleet_notes
from reconciler.plan.orphans import orphan_wishes
from reconciler.plan.recovery import recoveries
from reconciler.plan.restores import restore_orders, spare
from reconciler.plan.target import Wish, plan_target
from reconciler.plan.view import View

__all__ = ["make", "shape"]


def make(
    fleet: Fleet,
    seen: Observation,
    now: datetime,
    *,
    only: Collection[TargetId] | None = None,
    forced: Collection[TargetId] = (),
) -> Plan:
    """The plan: actions in the order in which they run, each with its reason, and notes.

    ``only`` limits it to those targets; ``forced`` targets get an artifact although none is due.
    """
    view = View.of(fleet, seen)
    recover, waiting = recoveries(fleet, seen, now)
    wishes = [
        plan_target(view, backup, target, now, forced=target.id in forced)
        for backup in fleet.backups
        for target in backup.targets
        if only is None or target.id in only
    ]
    wishes += orphan_wishes(view, now) if only is None else []
    orders = restore_orders(view, now, only)
    wishes = [spare(wish, orders.replaced) for wish in wishes]
    prunes, withheld = withhold(fleet, wishes, seen.clock)
    notes = [
        *fleet_notes(view, now),
        *waiting,
        *orders.notes,
        *(note for wish in wishes for note in wish.notes),
        *withheld,
    ]
    return Plan(
        now=now,
        actions=(*recover, *_adoptions(seen), *orders.actions, *_made(wishes), *prunes),
        notes=tuple(sorted(notes, key=lambda note: (note.topic, note.subject, note.message))),
        commit=fleet.commit,
    )


def _adoptions(seen: Observation) -> list[Adopt]:
    return [
        Adopt(
            name, "never seen before: gets the marker that tells it from an unmounted disk or a wrong bucket"
        )
        for name, listing in sorted(seen.listings.items())
        if listing.adopt
    ]


def _made(wishes: list[Wish]) -> list[Create | Replicate]:
    creates = sorted((wish.create for wish in wishes if wish.create), key=lambda action: action.target)
    copies = [action for wish in wishes for action in wish.replicates]
    return [*creates, *sorted(copies, key=lambda action: (action.target, action.key, action.destination))]


def shape(plan: Plan) -> tuple[tuple[str, ...], ...]:
    """What a plan does, without the times: equal for two plans exactly when applying either means the same."""
    return tuple(_shape(action) for action in plan.actions)


def _shape(action: Action) -> tuple[str, ...]:
    match action:
        case Create():
            return ("create", str(action.target), action.tier, *action.destinations)
        case Recover() | Replicate() | Prune():
            return (type(action).__name__.lower(), action.key, action.destination)
        case Adopt():
            return ("adopt", action.destination)
        case Restore():
            return ("restore", action.name, action.key, action.to)
