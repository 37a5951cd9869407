"""One target's part of the status: what each destination holds of it, and what is wrong. Pure; used by ``assemble``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from reconciler import freshness
from reconciler.model import (
    TIERS,
    Artifact,
    Backup,
    Copy,
    Create,
    Fleet,
    Note,
    Observation,
    Outcome,
    Probe,
    Target,
    TargetId,
)
from reconciler.model.observed import to_stamp
from reconciler.model.status import (
    Attempt,
    BrokenCopy,
    Holding,
    OutcomeState,
    Success,
    TargetState,
    TargetStatus,
    TierCount,
)
from reconciler.report.slots import Here, Work, slots
from reconciler.report.text import clean, moment
from reconciler.retention import counts_as, horizon, retention_at, verdicts
from reconciler.slots import Turn

Copies = Mapping[str, Mapping[str, Copy]]
"""One target's copies: by destination, then by key."""


class Facts(NamedTuple):
    """What the status of every target is made from. ``planned`` is when the plan was made, ``now`` when all was done.

    ``work`` is what was done about copies and is to be done next.
    """

    fleet: Fleet
    seen: Observation
    copies: Mapping[TargetId, Copies]
    notes: Sequence[Note]
    outcomes: Sequence[Outcome]
    planned: datetime
    now: datetime
    work: Work


def target_status(
    facts: Facts, backup: Backup, target: Target, previous: TargetStatus | None
) -> TargetStatus:
    """The status of one target; ``previous`` is its last one."""
    held = facts.copies.get(target.id, {})
    good = _good(held, facts.planned)
    attempt = _last_attempt(facts, target.id, good) or (previous.last_attempt if previous else None)
    stuck = attempt is not None and attempt.state == "failed"
    before = {holding.destination: holding for holding in (previous.holdings if previous else ())}
    holdings = tuple(
        _holding(
            facts,
            target.id,
            Here(name, retention_at(facts.fleet, backup, name), held.get(name, {}), before.get(name), stuck),
            good,
        )
        for name in backup.destinations
    )
    unknown = any(not holding.known for holding in holdings)
    last_success = _last_success(held, good, previous if unknown else None)
    stale = "" if backup.suspend else _stale(facts, backup, target, last_success)
    problems = () if backup.suspend else tuple(_problems(facts, backup, target, holdings, last_success))
    if stale:
        problems = tuple(dict.fromkeys((*problems, stale)))
    if attempt and attempt.state != "done" and set(problems) - _left_down(facts, target):
        problems = (cause(attempt), *problems)
    if attempt and not backup.suspend:
        problems += tuple(f"its last backup is there, but its {text}" for text in attempt.hooks)
    return TargetStatus(
        service=target.id.service,
        type=target.id.type,
        kind=target.kind,
        backup=backup.name,
        schedule=backup.schedule,
        timezone=backup.timezone,
        max_age=backup.max_age or None,
        state=_state(backup, problems, unknown=unknown),
        stale=bool(stale),
        problems=problems,
        next_run=Turn(backup, target.id, facts.seen.node).next_run(
            last_success.time if last_success else None, facts.now
        ),
        last_success=last_success,
        last_attempt=attempt,
        holdings=holdings,
    )


def _state(backup: Backup, problems: Sequence[str], *, unknown: bool) -> TargetState:
    if backup.suspend:
        return "suspended"
    if problems:
        return "failing"
    return "unknown" if unknown else "good"


def _good(held: Copies, now: datetime) -> list[Artifact]:
    """The artifacts with a good copy somewhere, newest first; those dated after now are not believed."""
    latest = horizon(now)
    found = {
        key: copy.artifact
        for copies in held.values()
        for key, copy in copies.items()
        if not copy.broken and copy.artifact.stamp <= latest
    }
    return sorted(found.values(), key=lambda artifact: (artifact.stamp, artifact.key), reverse=True)


def _holding(facts: Facts, target: TargetId, here: Here, good: Sequence[Artifact]) -> Holding:
    listing = facts.seen.listings.get(here.destination)
    if listing is None or listing.unknown:
        return Holding(destination=here.destination, known=False)
    copies, retention = here.copies, here.retention
    kept = [verdict.artifact for verdict in verdicts(good, retention, facts.planned) if verdict.keep]
    sound = [counts_as(copy.artifact.tier, retention) for copy in copies.values() if not copy.broken]
    rows = slots(here, target, [*kept, *_lost(copies, good, horizon(facts.planned))], facts.work)
    return Holding(
        destination=here.destination,
        known=True,
        copies=len(copies),
        size=sum(copy.size for copy in copies.values()),
        tiers=tuple(
            TierCount(
                tier=tier, held=sound.count(tier), wanted=retention.count(tier), slots=rows.get(tier, ())
            )
            for tier in TIERS
            if retention.count(tier)
        ),
        missing=tuple(artifact.key for artifact in kept if artifact.key not in copies),
        broken=tuple(
            BrokenCopy(key=key, why=clean(copy.broken)) for key, copy in sorted(copies.items()) if copy.broken
        ),
    )


def _lost(copies: Mapping[str, Copy], good: Sequence[Artifact], latest: str) -> list[Artifact]:
    """Artifacts that are broken here and good nowhere."""
    fine = {artifact.key for artifact in good}
    return [
        copy.artifact for key, copy in copies.items() if key not in fine and copy.artifact.stamp <= latest
    ]


def _last_success(held: Copies, good: Sequence[Artifact], previous: TargetStatus | None) -> Success | None:
    """The newest good artifact; where a destination cannot be looked at, the last one that was seen may be newer."""
    seen = None
    if good:
        sizes = [_size(held, artifact.key) for artifact in good[:2]]
        seen = Success(
            time=good[0].time, key=good[0].key, size=sizes[0], size_before=sizes[1] if sizes[1:] else None
        )
    known = [success for success in (seen, previous.last_success if previous else None) if success]
    return max(known, key=lambda success: success.time, default=None)


def _size(held: Copies, key: str) -> int:
    return max(copies[key].size for copies in held.values() if key in copies and not copies[key].broken)


def _last_attempt(facts: Facts, target: TargetId, good: Sequence[Artifact]) -> Attempt | None:
    for outcome in facts.outcomes:
        if isinstance(outcome.action, Create) and outcome.action.target == target:
            return Attempt(
                time=facts.now,
                state=outcome_state(outcome),
                seconds=None if outcome.skipped else round(outcome.seconds, 3),
                error=clean(outcome.error or outcome.skipped),
                failures={name: clean(why) for name, why in sorted(outcome.failures.items())},
                warnings=tuple(map(clean, outcome.warnings)),
                hooks=tuple(_failed_hooks(outcome, good)),
            )
    return None


def _failed_hooks(outcome: Outcome, good: Sequence[Artifact]) -> Iterable[str]:
    """Those that failed although the artifact was committed: nothing else would say so once the run is over."""
    action = outcome.action
    if isinstance(action, Create) and any(artifact.key == action.key for artifact in good):
        for hook in outcome.hooks:
            if hook.error and not hook.ignored:
                yield clean(f"{hook.phase} hook of {hook.origin} failed: {hook.error}")


def outcome_state(outcome: Outcome) -> OutcomeState:
    """How an action ended, in one word."""
    if outcome.error:
        return "failed"
    if outcome.skipped:
        return "skipped"
    if not outcome.failures:
        return "done"
    committed = isinstance(outcome.action, Create) and set(outcome.action.destinations) - set(
        outcome.failures
    )
    return "partial" if committed else "failed"


def cause(attempt: Attempt) -> str:
    """Why the last attempt did not do what it should have done."""
    where = "; ".join(f"{name}: {why}" for name, why in attempt.failures.items())
    if attempt.state == "partial":
        return f"its last backup did not reach {where}"
    return f"its last backup {'was skipped' if attempt.state == 'skipped' else 'failed'}: {attempt.error or where}"


def _stale(facts: Facts, backup: Backup, target: Target, last: Success | None) -> str:
    """Why it misses its maxAge; one whose content has not changed since its newest backup does not."""
    if last and _stands(facts, target.id):
        return ""
    return freshness.missed(backup, last.time if last else None, facts.planned)


def _stands(facts: Facts, target: TargetId) -> bool:
    """Whether the newest backup holds what the target holds now, and stands for the slots since."""
    probe = facts.seen.probes.get(target, Probe())
    return bool(probe.fingerprint) and probe.fingerprint == probe.stored_fingerprint


def _problems(
    facts: Facts, backup: Backup, target: Target, holdings: Iterable[Holding], last: Success | None
) -> dict[str, None]:
    """What is wrong with the target, each thing once, in sentences that do not change while nothing else does."""
    probe = facts.seen.probes.get(target.id, Probe())
    told = [
        note.message for note in facts.notes if note.severity == "error" and note.subject == str(target.id)
    ]
    found = [clean(text) for text in (probe.problem, *told) if text]
    if last is None:
        return dict.fromkeys([*found, "there is no good copy of it anywhere"])
    slot = Turn(backup, target.id, facts.seen.node).reached(facts.planned)
    if slot and to_stamp(last.time) < to_stamp(slot.tick) and not _stands(facts, target.id):
        found.append(f"it is overdue: its newest backup is of {moment(last.time)}")
    for holding in holdings:
        found.extend(lacking(holding, last))
    return dict.fromkeys(found)


def _left_down(facts: Facts, target: Target) -> set[str]:
    """What is wrong with its containers alone: no word on its copies, which may all be there."""
    notes = (note for note in facts.notes if note.topic == "held" and note.subject == str(target.id))
    return {clean(note.message) for note in notes}


def lacking(holding: Holding, last: Success) -> Iterable[str]:
    """Whether a destination lacks a good copy of the newest artifact, in sentences."""
    for broken in holding.broken:
        if broken.key == last.key:
            yield f"its newest backup is broken at {holding.destination}: {broken.why}"
    if last.key in holding.missing:
        yield f"its newest backup, of {moment(last.time)}, is missing at {holding.destination}"
