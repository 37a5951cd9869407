"""Puts the status together from what was done, seen and left to do. Pure but for striking out secrets; called by the loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from reconciler.copies321 import rule321
from reconciler.model import (
    Action,
    Adopt,
    Copy,
    Create,
    Destination,
    Fleet,
    Listing,
    Note,
    Observation,
    Outcome,
    Plan,
    Recover,
    Restore,
    TargetId,
)
from reconciler.model.status import (
    Condition,
    DestinationStatus,
    Finding,
    Former,
    NoteStatus,
    Orphan,
    OutcomeStatus,
    Run,
    Status,
    TargetStatus,
)
from reconciler.report.conditions import condition, converged, healthy, ready, specs_invalid
from reconciler.report.difference import changes
from reconciler.report.memory import untold
from reconciler.report.restores import hook_status, restores
from reconciler.report.slots import work
from reconciler.report.targets import Copies, Facts, outcome_state, target_status
from reconciler.report.text import clean, public_url

NAMED = 5
"""How many foreign files a status names."""


def status(
    fleet: Fleet,
    seen: Observation,
    rest: Plan,
    outcomes: Sequence[Outcome],
    now: datetime,
    previous: Status | None,
) -> Status:
    """The status after a run. ``previous`` is the last one, if there is one.

    ``seen`` is the world after ``outcomes``, and ``rest`` the plan for it: what is still to do and to know. A run that did
    nothing keeps the outcomes of the last one that did.
    """
    facts = Facts(
        fleet, seen, _by_target(seen), rest.notes, outcomes, rest.now, now, work(rest.actions, outcomes)
    )
    targets = _targets(facts, previous)
    destinations = tuple(
        _destination(item, seen.listings.get(item.name), seen_markers(previous, fleet))
        for item in sorted(fleet.destinations, key=lambda item: item.name)
    )
    told = previous.told if previous else ()
    notes = (*map(_note, rest.notes), *untold(told))
    run = Run(time=now, outcomes=tuple(map(_outcome, outcomes))) if outcomes else None
    found = Status(
        time=now,
        node=seen.node,
        spec_commit=fleet.commit,
        conditions=(
            condition("Ready", ready(destinations, fleet.rejected), now, previous),
            condition("Converged", converged(rest, outcomes, destinations), now, previous),
            condition("Healthy", healthy(targets, notes), now, previous),
        ),
        targets=targets,
        destinations=destinations,
        orphans=_orphans(facts),
        rule321=() if fleet.policy.rule321 == "off" else tuple(_findings(fleet)),
        pending=_pending(rest),
        notes=notes,
        last_run=run or (previous.last_run if previous else None),
        former=_former(previous, destinations),
        clock=seen.clock,
        restores=restores(fleet, seen, outcomes, now, previous),
        told=told,
    )
    return msgspec.structs.replace(found, changes=changes(found, previous))


def rejected(previous: Status | None, problems: Sequence[str], node: str, now: datetime) -> Status:
    """The status when the newest specs cannot be used: the last one, with Ready false and what is wrong with them."""
    wrong = condition("Ready", specs_invalid(problems), now, previous)
    if previous:
        others = tuple(item for item in previous.conditions if item.type != "Ready")
        found = msgspec.structs.replace(previous, time=now, conditions=(wrong, *others))
        return msgspec.structs.replace(found, changes=changes(found, previous))
    others = tuple(
        Condition(
            type=type_,
            status="Unknown",
            reason="SpecsInvalid",
            message="no valid specs were ever in force",
            last_transition_time=now,
        )
        for type_ in ("Converged", "Healthy")
    )
    return Status(time=now, node=node, spec_commit=None, conditions=(wrong, *others))


def seen_markers(previous: Status | None, fleet: Fleet) -> dict[str, str]:
    """Marker ids by destination name, of those that were ever seen at the URL that they have now."""
    urls = {item.name: public_url(item.url) for item in fleet.destinations}
    return {
        item.name: item.marker
        for item in _remembered(previous)
        if item.marker and urls.get(item.name) == item.url
    }


def _remembered(previous: Status | None) -> tuple[Former | DestinationStatus, ...]:
    return (*previous.former, *previous.destinations) if previous else ()


def _former(previous: Status | None, now: Sequence[DestinationStatus]) -> tuple[Former, ...]:
    """What was seen before under a name and URL that the specs do not name now: it may come back, and be unmounted then."""
    named = {(item.name, item.url) for item in now}
    left = {
        (item.name, item.url): item.marker
        for item in _remembered(previous)
        if item.marker and (item.name, item.url) not in named
    }
    return tuple(Former(name=name, url=url, marker=marker) for (name, url), marker in sorted(left.items()))


def _by_target(seen: Observation) -> dict[TargetId, dict[str, dict[str, Copy]]]:
    found: dict[TargetId, dict[str, dict[str, Copy]]] = {}
    for name, listing in sorted(seen.listings.items()):
        for copy in listing.copies:
            found.setdefault(copy.artifact.target, {}).setdefault(name, {})[copy.artifact.key] = copy
    return found


def _targets(facts: Facts, previous: Status | None) -> tuple[TargetStatus, ...]:
    before = {item.name: item for item in previous.targets} if previous else {}
    found = [
        target_status(facts, backup, target, before.get(str(target.id)))
        for backup in facts.fleet.backups
        for target in backup.targets
    ]
    return tuple(sorted(found, key=lambda item: (item.service, item.type)))


def _destination(item: Destination, listing: Listing | None, markers: Mapping[str, str]) -> DestinationStatus:
    url, before = public_url(item.url), markers.get(item.name, "")
    if listing is None or listing.unknown:
        why = clean(listing.unknown) if listing else "it was not looked at"
        return DestinationStatus(
            name=item.name,
            url=url,
            media=item.media,
            offsite=item.offsite,
            state="unknown",
            why=why,
            marker=before,
        )
    return DestinationStatus(
        name=item.name,
        url=url,
        media=item.media,
        offsite=item.offsite,
        state="known",
        marker=listing.marker or before,
        copies=len(listing.copies),
        size=sum(copy.size for copy in listing.copies),
        foreign=len(listing.foreign),
        foreign_names=tuple(map(clean, sorted(listing.foreign)[:NAMED])),
        leftovers=len(listing.leftovers),
    )


def _orphans(facts: Facts) -> tuple[Orphan, ...]:
    return tuple(_orphan(target, facts.copies[target]) for target in facts.fleet.orphans(facts.copies))


def _orphan(target: TargetId, held: Copies) -> Orphan:
    copies = [copy for here in held.values() for copy in here.values()]
    return Orphan(
        service=target.service,
        type=target.type,
        copies=len(copies),
        size=sum(copy.size for copy in copies),
        destinations=tuple(sorted(held)),
    )


def _findings(fleet: Fleet) -> list[Finding]:
    return [Finding(backup=backup, message=clean(message)) for backup, message in sorted(rule321(fleet))]


def _pending(rest: Plan) -> dict[str, int]:
    return dict(sorted(Counter(type(action).__name__.lower() for action in rest.actions).items()))


def _note(note: Note) -> NoteStatus:
    return NoteStatus(
        severity=note.severity, topic=note.topic, subject=clean(note.subject), message=clean(note.message)
    )


def _outcome(outcome: Outcome) -> OutcomeStatus:
    action = outcome.action
    return OutcomeStatus(
        action=type(action).__name__.lower(),
        target="" if isinstance(action, Adopt | Recover) else str(action.target),
        destinations=_destinations(action),
        key="" if isinstance(action, Adopt) else clean(action.key),
        reason=clean(action.reason),
        state=outcome_state(outcome),
        error=clean(outcome.error),
        failures={name: clean(why) for name, why in sorted(outcome.failures.items())},
        skipped=clean(outcome.skipped),
        warnings=tuple(map(clean, outcome.warnings)),
        hooks=tuple(map(hook_status, outcome.hooks)),
        size=outcome.size,
        seconds=round(outcome.seconds, 3),
    )


def _destinations(action: Action) -> tuple[str, ...]:
    match action:
        case Create():
            return action.destinations
        case Restore():
            return action.sources
        case _:
            return (action.destination,)
