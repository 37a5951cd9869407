"""What people should know although no action follows: unknown destinations, orphans, foreign files, 3-2-1, suspended backups."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from reconciler.copies321 import rule321
from reconciler.model import Note
from reconciler.model.actions import Severity
from reconciler.plan.orphans import orphans
from reconciler.plan.view import View
from reconciler.retention import horizon

NAMED = 3
"""How many foreign files a note names."""


def fleet_notes(view: View, now: datetime) -> Iterable[Note]:
    """Notes about destinations and the fleet as a whole."""
    yield from _destinations(view)
    yield from _orphans(view)
    yield from _rule321(view)
    yield from _future(view, now)
    yield from _live(view)


def _destinations(view: View) -> Iterable[Note]:
    for name, listing in sorted(view.seen.listings.items()):
        if listing.unknown:
            yield Note("error", "destination", name, f"unknown, so nothing is done there: {listing.unknown}")
        if listing.foreign:
            shown = ", ".join(repr(key) for key in sorted(listing.foreign)[:NAMED])
            more = f" and {len(listing.foreign) - NAMED} more" if len(listing.foreign) > NAMED else ""
            yield Note(
                "info",
                "foreign",
                name,
                f"not ours and left alone ({len(listing.foreign)}): {shown}{more}",
            )


def _orphans(view: View) -> Iterable[Note]:
    rule = view.fleet.policy.orphans
    fate = f"are deleted when the newest is over {rule.delete_after} old" if rule else "are kept"
    for target in orphans(view):
        held = view.held(target)
        count = sum(len(copies) for copies in held.values())
        where = ", ".join(sorted(held))
        message = f"no spec names it any more; its copies ({count}) at {where} {fate}"
        yield Note("info", "orphan", str(target), message)


def _rule321(view: View) -> Iterable[Note]:
    severity = {"require": "error", "warn": "warning"}.get(view.fleet.policy.rule321)
    if severity is None:
        return
    for backup, message in rule321(view.fleet):
        yield Note("error" if severity == "error" else "warning", "rule321", backup, message)


def _future(view: View, now: datetime) -> Iterable[Note]:
    latest = horizon(now)
    for name, listing in sorted(view.seen.listings.items()):
        count = sum(copy.artifact.stamp > latest for copy in listing.copies)
        if count:
            yield Note(
                "warning", "clock", name, f"copies dated after now: {count}; they are kept, and not counted"
            )


def _live(view: View) -> Iterable[Note]:
    """What the containers of the moment add, and what is wrong with their labels."""
    live = view.fleet.live
    told: tuple[tuple[Severity, Iterable[tuple[str, str]]], ...] = (
        ("info", live.found),
        ("warning", live.warnings),
        ("error", live.errors),
    )
    for severity, pairs in told:
        for subject, text in sorted(set(pairs)):
            topic = "labels" if subject.startswith("container ") else "discovered"
            yield Note(severity, topic, subject, text)
