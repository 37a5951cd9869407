"""Copies of targets that no spec names any more: kept, unless the Policy gives them an age. Used by ``make``."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.durations import seconds
from reconciler.model import Artifact, Prune, TargetId
from reconciler.model.observed import to_stamp
from reconciler.plan.target import LONG_GAP, Wish
from reconciler.plan.view import View
from reconciler.retention import horizon


def orphans(view: View) -> list[TargetId]:
    """Targets with copies that no Backup of any node names."""
    return view.fleet.orphans(view.holdings)


def orphan_wishes(view: View, now: datetime) -> list[Wish]:
    """The deletions of orphans whose newest artifact is older than the Policy allows.

    None while it is not sure that they are orphans, or how old: when the specs name nothing, discovery failed, or no
    artifact of a named target is recent, as after a clock that jumped.
    """
    rule = view.fleet.policy.orphans
    if rule is None or view.fleet.live.errors or not _clock_is_plausible(view, now):
        return []
    oldest = to_stamp(now - timedelta(seconds=seconds(rule.delete_after)))
    why = f"no spec names {{}} any more, and its newest backup is over {rule.delete_after} old (Policy orphans.deleteAfter)"
    return [
        Wish(prunes=_all(view, target, why.format(target)))
        for target in orphans(view)
        if max(artifact.stamp for artifact in _artifacts(view, target)) < oldest
    ]


def _all(view: View, target: TargetId, why: str) -> tuple[Prune, ...]:
    return tuple(
        Prune(target, key, name, copy.size, why)
        for name, copies in view.held(target).items()
        for key, copy in copies.items()
    )


def _artifacts(view: View, target: TargetId) -> list[Artifact]:
    return [copy.artifact for copies in view.held(target).values() for copy in copies.values()]


def _clock_is_plausible(view: View, now: datetime) -> bool:
    """Whether a target that the specs name has an artifact of the last year, and none is dated after now."""
    named = [target.id for backup in view.fleet.backups for target in backup.targets]
    stamps = [artifact.stamp for target in named for artifact in _artifacts(view, target)]
    return bool(stamps) and to_stamp(now - LONG_GAP) < max(stamps) <= horizon(now)
