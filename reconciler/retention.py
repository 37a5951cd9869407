"""Which tier a new artifact gets, and which artifacts retention keeps, each with its reason.

Pure; used by plan, report and the command line.
Every rule counts artifacts and none looks at an age, so a gap of any length deletes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from reconciler.model.fleet import TIERS, Backup, Fleet, Retention, Tier
from reconciler.model.observed import Artifact, from_stamp, to_stamp
from reconciler.schedule import period

SKEW = timedelta(minutes=10)
"""Clocks of several machines may differ by this much; an artifact dated later than that was made by a wrong clock."""


class Verdict(NamedTuple):
    """Whether retention keeps ``artifact``, and why."""

    artifact: Artifact
    keep: bool
    reason: str


def horizon(now: datetime) -> str:
    """The newest stamp that is believed at ``now``: later ones come from a wrong clock."""
    return to_stamp(now + SKEW)


def retention_at(fleet: Fleet, backup: Backup, destination: str) -> Retention:
    """The retention that holds for ``backup`` at ``destination``: the destination's own, else the backup's."""
    return fleet.destination(destination).retention or backup.retention


def tiers_of(fleet: Fleet, backup: Backup) -> tuple[Tier, ...]:
    """The tiers that some destination of ``backup`` has a rule for, lowest first."""
    ruled = {tier for name in backup.destinations for tier in retention_at(fleet, backup, name).tiers}
    return tuple(tier for tier in TIERS if tier in ruled)


def counts_as(tier: Tier, retention: Retention) -> Tier | None:
    """The tier that an artifact of ``tier`` counts as: its own, else the next lower one with a rule, else none."""
    for candidate in reversed(TIERS[: TIERS.index(tier) + 1]):
        if retention.count(candidate):
            return candidate
    return None


def new_tier(artifacts: Iterable[Artifact], tiers: Collection[Tier], now: datetime, zone: str) -> Tier:
    """The highest of ``tiers`` in whose local period there is no artifact of that tier or above yet; else the lowest.

    ``tiers`` holds at least one. Artifacts dated after ``now`` are not counted.
    """
    latest = horizon(now)
    newest: dict[Tier, str] = {}
    for artifact in artifacts:
        if newest.get(artifact.tier, "") < artifact.stamp <= latest:
            newest[artifact.tier] = artifact.stamp
    above = ""
    for tier in reversed(TIERS):
        above = max(above, newest.get(tier, ""))
        if tier in tiers and not (above and period(from_stamp(above), tier, zone) == period(now, tier, zone)):
            return tier
    return next(tier for tier in TIERS if tier in tiers)


def verdicts(artifacts: Iterable[Artifact], retention: Retention, now: datetime) -> list[Verdict]:
    """A verdict for each of one target's artifacts, newest first, whatever their order.

    Keeps the newest N of each tier, and the newest ``minimum`` of all that count as some tier here. Artifacts dated after
    ``now`` are kept and not counted.
    """
    latest = horizon(now)
    ordered = sorted(artifacts, key=lambda artifact: (artifact.stamp, artifact.key), reverse=True)
    counts: dict[Tier, int] = dict.fromkeys(TIERS, 0)
    effective = {tier: counts_as(tier, retention) for tier in TIERS}
    limits = {tier: retention.count(tier) for tier in TIERS}
    seen = 0
    result: list[Verdict] = []
    for artifact in ordered:
        if artifact.stamp > latest:
            result.append(Verdict(artifact, keep=True, reason="dated after now: kept, not counted"))
            continue
        tier = effective[artifact.tier]
        if tier is None:
            result.append(Verdict(artifact, keep=False, reason=f"no {artifact.tier} rule here"))
            continue
        seen += 1
        counts[tier] += 1
        if counts[tier] <= limits[tier]:
            result.append(Verdict(artifact, keep=True, reason=f"{tier} {counts[tier]} of {limits[tier]}"))
        elif seen <= retention.minimum:
            result.append(Verdict(artifact, keep=True, reason=f"among the newest {retention.minimum}"))
        else:
            result.append(Verdict(artifact, keep=False, reason=f"past {tier} {limits[tier]}"))
    return result


def sparing_newest(judged: list[Verdict], present: Collection[str]) -> list[Verdict]:
    """``judged`` for a destination that holds good copies of the keys ``present``: the newest of them is never given up.

    It goes when a newer one that retention keeps has taken its place.
    """
    for index, verdict in enumerate(judged):
        if verdict.keep:
            break
        if verdict.artifact.key in present:
            spared = Verdict(verdict.artifact, keep=True, reason=f"newest copy here ({verdict.reason})")
            return [*judged[:index], spared, *judged[index + 1 :]]
    return judged
