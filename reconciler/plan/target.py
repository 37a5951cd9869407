"""What one target needs: an artifact when it is due, copies where they are missing or broken, and what may go."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from reconciler import freshness
from reconciler.model import Artifact, Backup, Copy, Create, Note, Prune, Replicate, Retention, Target
from reconciler.model.observed import to_stamp
from reconciler.naming import artifact_key
from reconciler.plan.view import Holdings, View, good_artifacts
from reconciler.retention import (
    Verdict,
    counts_as,
    horizon,
    new_tier,
    retention_at,
    sparing_newest,
    tiers_of,
    verdicts,
)
from reconciler.slots import Turn
from reconciler.wording import time_text

LONG_GAP = timedelta(days=366)
"""A newest artifact older than this means a clock far ahead, or a machine long off: nothing is pruned in that run."""


class Wish(NamedTuple):
    """What one target needs, before the guard has looked at the deletions."""

    create: Create | None = None
    replicates: tuple[Replicate, ...] = ()
    prunes: tuple[Prune, ...] = ()
    notes: tuple[Note, ...] = ()


def plan_target(view: View, backup: Backup, target: Target, now: datetime, *, forced: bool) -> Wish:
    """The wish of one target. Nothing but a note for a suspended backup."""
    if backup.suspend:
        return Wish(notes=(Note("info", "suspended", str(target.id), _suspension(backup)),))
    held = view.held(target.id)
    artifacts = good_artifacts(held)
    due = _due(view, backup, target, artifacts.values(), now, forced=forced)
    stale = _stale(view, backup, target, artifacts.values(), now)
    problem = _problem(view, target) or (_emptied(view, target) if due and not forced else None)
    create: Create | None = None
    later: tuple[str, ...] = ()
    waits = _waits(view, backup, target, now, due) if due and not forced else None
    if due and not problem and not waits:
        create, problem = _create(view, backup, target, artifacts, now, due)
    if create:
        create, later = _quick_first(view, create)
        artifacts[create.key] = Artifact(create.key, target.id, to_stamp(now), create.tier)
    judged = _judge(view, backup, artifacts.values(), held, now)
    objective = Note("warning" if create else "error", "stale", str(target.id), stale) if stale else None
    notes = [*_broken(held, artifacts, target), *filter(None, (problem or waits, objective))]
    hold = "it cannot be backed up" if problem else _clock(held, now)
    if hold and not problem:
        notes.append(Note("warning", "clock", str(target.id), f"nothing is pruned in this run: {hold}"))
    awaited = _awaited(view, backup, artifacts.values(), judged, now)
    prunes = [] if hold else list(_prunes(held, judged))
    if held_back := sum(prune.key in awaited for prune in prunes):
        message = f"copies past retention that stay until an unknown destination which wants them is back: {held_back}"
        notes.append(Note("info", "deletions", str(target.id), message))
    return Wish(
        create,
        (*_followers(view, create, later), *_replicates(view, held, judged, create)),
        tuple(prune for prune in prunes if prune.key not in awaited),
        tuple(notes),
    )


def _suspension(backup: Backup) -> str:
    until = f" until {time_text(backup.suspend_until)}" if backup.suspend_until else ""
    why = f": {backup.suspend_reason}" if backup.suspend_reason else ""
    return f"suspended by {backup.where or backup.name}{until}{why}"


def _awaited(
    view: View,
    backup: Backup,
    artifacts: Collection[Artifact],
    judged: Mapping[str, list[Verdict]],
    now: datetime,
) -> set[str]:
    """Keys that an unknown destination may want and lack, and that no known one keeps: their copies may be the last."""
    unseen = {retention_at(view.fleet, backup, name) for name in backup.destinations if not view.known(name)}
    wanted = {
        verdict.artifact.key
        for retention in unseen
        for verdict in verdicts(artifacts, retention, now)
        if verdict.keep
    }
    return wanted - {verdict.artifact.key for here in judged.values() for verdict in here if verdict.keep}


def _judge(
    view: View, backup: Backup, artifacts: Iterable[Artifact], held: Holdings, now: datetime
) -> dict[str, list[Verdict]]:
    """The verdicts at each known destination; destinations with the same retention share them."""
    listed = list(artifacts)
    shared: dict[Retention, list[Verdict]] = {}
    result: dict[str, list[Verdict]] = {}
    for name in backup.destinations:
        if view.known(name):
            retention = retention_at(view.fleet, backup, name)
            if retention not in shared:
                shared[retention] = verdicts(listed, retention, now)
            good = {key for key, copy in held.get(name, {}).items() if not copy.broken}
            result[name] = sparing_newest(shared[retention], good)
    return result


def _due(
    view: View,
    backup: Backup,
    target: Target,
    artifacts: Collection[Artifact],
    now: datetime,
    *,
    forced: bool,
) -> str:
    """Why an artifact is due; empty when none is. Due: the newest artifact is older than the newest slot that has begun."""
    if forced:
        return "asked for with --now"
    slot = Turn(backup, target.id, view.seen.node).newest(now)
    latest = horizon(now)
    newest = max((artifact.stamp for artifact in artifacts if artifact.stamp <= latest), default="")
    if slot is None or newest >= to_stamp(slot.tick):
        return ""
    probe = view.probe(target.id)
    if newest and probe.fingerprint and probe.fingerprint == probe.stored_fingerprint:
        return ""  # the newest artifact holds this very content and stands for the slots since
    if not newest:
        none = "no backup dated before now" if artifacts else "no backup yet"
        return f"{none}; due since {slot.begins:%Y-%m-%d %H:%M}Z"
    return (
        f"due since {slot.begins:%Y-%m-%d %H:%M}Z; newest is {newest[:10]} {newest[11:13]}:{newest[13:15]}Z"
    )


def _waits(view: View, backup: Backup, target: Target, now: datetime, due: str) -> Note | None:
    """The note of a target that is ``due`` inside a blackout; None outside of one."""
    ends = Turn(backup, target.id, view.seen.node).waits_until(now)
    told = f"{due}; it waits for the end of a blackout, {time_text(ends)}" if ends else ""
    return Note("info", "blackout", str(target.id), told) if told else None


def _stale(view: View, backup: Backup, target: Target, artifacts: Iterable[Artifact], now: datetime) -> str:
    """Why the target misses its maxAge; nothing is concluded while none of its destinations is known."""
    if not backup.max_age or not any(map(view.known, backup.destinations)):
        return ""
    latest, probe = horizon(now), view.probe(target.id)
    newest = max((artifact.time for artifact in artifacts if artifact.stamp <= latest), default=None)
    if newest and probe.fingerprint and probe.fingerprint == probe.stored_fingerprint:
        return ""  # the newest artifact holds this very content
    return freshness.missed(backup, newest, now)


def _create(
    view: View, backup: Backup, target: Target, artifacts: Mapping[str, Artifact], now: datetime, reason: str
) -> tuple[Create | None, Note | None]:
    """The Create of a due target, or the note that says why there can be none."""
    tier = new_tier(artifacts.values(), tiers_of(view.fleet, backup), now, backup.timezone)
    wanting = tuple(
        name
        for name in backup.destinations
        if view.known(name) and counts_as(tier, retention_at(view.fleet, backup, name))
    )
    if not wanting:
        return None, Note(
            "error", "target", str(target.id), "is due, but none of its destinations can be used"
        )
    key = artifact_key(target, now, tier, backup.compression.codec, backup.encryption)
    if any(key in copies for copies in view.held(target.id).values()):
        return None, None  # asked for twice within a second: a name is never used again
    return Create(target.id, tier, key, wanting, _last_size(view.held(target.id)), reason), None


def _quick_first(view: View, create: Create) -> tuple[Create, tuple[str, ...]]:
    """Nobody waits for a slow destination where a quick one can be written first; the others follow from that.

    While containers are held only local destinations are written, if there is one. No source is read at the pace of a
    limited bandwidth, if there is a local destination without.
    """
    names = create.destinations
    free = tuple(name for name in names if not view.fleet.destination(name).bandwidth)
    here = tuple(name for name in names if view.fleet.destination(name).protocol == "file")
    both = tuple(name for name in here if name in free)
    if view.fleet.quiesce_of(create.target) or create.target in view.fleet.live.stops:
        held = view.fleet.live.holds.get(create.target, ())
        first = both or here or free or names
        create = msgspec.structs.replace(create, holds=held)
    else:
        first = free if both else names
    later = tuple(name for name in names if name not in first)
    return msgspec.structs.replace(create, destinations=first), later


def _followers(view: View, create: Create | None, later: tuple[str, ...]) -> Iterable[Replicate]:
    """Copies of an artifact that is about to be made, at the destinations for which nobody waits."""
    if create is None:
        return
    for name in later:
        limited = view.fleet.destination(name).bandwidth
        why = f"right after the backup: {'nothing waits for its bandwidth' if limited else 'no container waits for it'}"
        yield Replicate(create.target, create.key, create.destinations, name, create.estimate, why)


def _problem(view: View, target: Target) -> Note | None:
    """Why the target cannot be backed up, whether or not it is due."""
    problem = view.probe(target.id).problem
    return Note("error", "target", str(target.id), problem) if problem else None


def _emptied(view: View, target: Target) -> Note | None:
    """A tree that lost everything: backed up like any other, it would push out the good artifacts one by one."""
    probe = view.probe(target.id)
    if not probe.empty or probe.stored_files <= 1:
        return None
    message = (
        f"it is empty, and its newest backup is not ({probe.stored_files} files and folders): is its disk not mounted? "
        f"Nothing is backed up or pruned; if it is meant to be empty, run reconciler apply --only {target.id} --now"
    )
    return Note("error", "target", str(target.id), message)


def _last_size(held: Holdings) -> int:
    """Size in bytes of the newest artifact's largest copy; 0 when there is none."""
    sizes = {(copy.artifact.stamp, copy.size) for copies in held.values() for copy in copies.values()}
    return max(sizes, default=("", 0))[1]


def _replicates(
    view: View, held: Holdings, judged: Mapping[str, list[Verdict]], create: Create | None
) -> Iterable[Replicate]:
    for name, verdicts_here in judged.items():
        here = held.get(name, {})
        for artifact, keep, reason in verdicts_here:
            copy = here.get(artifact.key)
            if not keep or (copy and not copy.broken) or (create and artifact.key == create.key):
                continue
            sources = _sources(view, held, artifact.key, name)
            size = held[sources[0]][artifact.key].size
            why = f"broken here: {copy.broken}" if copy else f"missing here ({reason})"
            yield Replicate(artifact.target, artifact.key, sources, name, size, why)


def _sources(view: View, held: Holdings, key: str, wanting: str) -> tuple[str, ...]:
    """The destinations with a good copy, local ones first, and those without a limit before others."""
    good = [
        name for name, copies in held.items() if name != wanting and key in copies and not copies[key].broken
    ]
    local = {item.name for item in view.fleet.destinations if item.protocol == "file"}
    limited = {item.name for item in view.fleet.destinations if item.bandwidth}
    return tuple(sorted(good, key=lambda name: (name not in local, name in limited, name)))


def _prunes(held: Holdings, judged: Mapping[str, list[Verdict]]) -> Iterable[Prune]:
    for name, verdicts_here in judged.items():
        here = held.get(name, {})
        for artifact, keep, reason in verdicts_here:
            copy = here.get(artifact.key)
            if copy and not keep:
                yield Prune(artifact.target, artifact.key, name, copy.size, reason)


def _broken(held: Holdings, artifacts: Mapping[str, Artifact], target: Target) -> Iterable[Note]:
    """Copies that are broken and cannot be healed: kept, in case somebody can save them, and told."""
    for name, copies in held.items():
        for key, copy in copies.items():
            if copy.broken and key not in artifacts:
                message = f"{key} at {name} is broken ({copy.broken}) and there is no good copy elsewhere; it is kept"
                yield Note("error", "broken", str(target.id), message)


def _clock(held: Mapping[str, Mapping[str, Copy]], now: datetime) -> str:
    """Why the clock is not to be trusted with deletions; empty when it is."""
    stamps = [copy.artifact.stamp for copies in held.values() for copy in copies.values() if not copy.broken]
    if not stamps:
        return ""
    newest = max(stamps)
    if newest > horizon(now):
        return f"an artifact is dated {newest}, after now ({to_stamp(now)}); a clock is or was wrong"
    if newest < to_stamp(now.astimezone(UTC) - LONG_GAP):
        return f"the newest artifact is dated {newest}, over a year before now ({to_stamp(now)}); is the clock right?"
    return ""
