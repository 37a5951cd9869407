"""What runs that died have left: removed at once when it is our own, else when no run can be that old."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.model import Fleet, Leftover, Note, Observation, Recover
from reconciler.naming import manifest_key
from reconciler.plan.guard import FLOOR, cap

OLD = timedelta(days=7)
"""Longer than any run could take."""


def recoveries(fleet: Fleet, seen: Observation, now: datetime) -> tuple[list[Recover], list[Note]]:
    """A Recover for each leftover to remove, and a note for each that may still be being written."""
    ours = {target.id for backup in fleet.backups for target in backup.targets}
    lost = sum(
        _is_lost(leftover, now) for listing in seen.listings.values() for leftover in listing.leftovers
    )
    most = max(cap(fleet), FLOOR)
    too_many = lost > most
    actions: list[Recover] = []
    notes: list[Note] = []
    for name, listing in sorted(seen.listings.items()):
        for leftover in sorted(listing.leftovers, key=lambda item: item.keys):
            if too_many and _is_lost(leftover, now):
                continue
            own = bool(leftover.node) and leftover.node == seen.node and leftover.target in ours
            if _is_empty(leftover):
                actions.append(_recover(name, leftover, "a run that took over and stood still made it"))
            elif own or abs(now - leftover.time) > OLD:
                actions.append(
                    _recover(name, leftover, "an earlier run here died" if own else "older than any run")
                )
            else:
                notes.append(Note("info", "leftover", name, _waiting(leftover)))
    return actions, [*notes, Note("error", "leftover", "policy", _mass(lost, most))] if too_many else notes


def _is_lost(leftover: Leftover, now: datetime) -> bool:
    """Whether an old artifact lies there that no run has on record: one may have died, or its manifest got lost."""
    return not leftover.node and leftover.key in leftover.keys and abs(now - leftover.time) > OLD


def _is_empty(leftover: Leftover) -> bool:
    """Whether it is an empty manifest alone, of no data and no record: nobody can be at it."""
    return leftover.keys == (manifest_key(leftover.key),)


def _mass(lost: int, most: int) -> str:
    return (
        f"artifacts without a manifest, and without a record of a run that died: {lost}, more than {most} "
        "(Policy deletions.maxPerRun): none is removed. Were manifests deleted? Put the .json files back; "
        "if the artifacts are rubbish, delete them by hand or raise deletions.maxPerRun"
    )


def _recover(destination: str, leftover: Leftover, why: str) -> Recover:
    if _is_empty(leftover):
        what = "an empty manifest is left, without any data"
    else:
        what = "its record is left" if leftover.committed else "a half-made upload is left"
    return Recover(destination, leftover.key, leftover.keys, leftover.committed, f"{why}; {what}")


def _waiting(leftover: Leftover) -> str:
    who = f"node {leftover.node}" if leftover.node else "another run"
    what = "is whole, with a record that it is being written" if leftover.committed else "has no manifest"
    return f"{leftover.key} {what}: {who} is at it, or died; what is left is removed after {OLD.days} days"
