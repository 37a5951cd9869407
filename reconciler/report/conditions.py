"""Ready, Converged, Healthy: three statements about the whole, in words that change only when their cause does. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reconciler.model import Action, Adopt, Create, Outcome, Plan, Recover, Rejected, Restore
from reconciler.model.status import (
    Condition,
    ConditionType,
    DestinationStatus,
    NoteStatus,
    Status,
    TargetStatus,
    Truth,
)
from reconciler.report.text import clean, few
from reconciler.wording import counted

Statement = tuple[Truth, str, str]
"""Status, reason, message."""


def condition(
    type_: ConditionType, statement: Statement, now: datetime, previous: Status | None
) -> Condition:
    """The condition; its transition time is kept while its status is the same."""
    truth, reason, message = statement
    since = now
    if previous and previous.condition(type_).status == truth:
        since = previous.condition(type_).last_transition_time
    return Condition(type=type_, status=truth, reason=reason, message=message, last_transition_time=since)


def ready(destinations: Sequence[DestinationStatus], rejected: Rejected | None = None) -> Statement:
    """Whether the newest specs are in force and every destination can be looked at."""
    if rejected:
        why = few([*map(clean, rejected.problems)])
        stays = f"commit {rejected.in_force[:12]} stays in force"
        return "False", "RevisionRejected", f"commit {rejected.commit[:12]} cannot be used ({stays}): {why}"
    unknown = [f"{item.name} is unknown: {item.why}" for item in destinations if item.state == "unknown"]
    if unknown:
        return "False", "DestinationUnknown", few(unknown)
    return "True", "SpecsInForce", "the specs are valid and every destination is known"


def specs_invalid(problems: Sequence[str]) -> Statement:
    """What Ready says when the newest specs cannot be used."""
    return (
        "False",
        "SpecsInvalid",
        f"{counted(len(problems), 'error')} in the specs: {few([*map(clean, problems)])}",
    )


def converged(
    rest: Plan, outcomes: Sequence[Outcome], destinations: Sequence[DestinationStatus]
) -> Statement:
    """Whether every action was done and none is left."""
    failed = [describe(outcome.action) for outcome in outcomes if not outcome.ok]
    if failed:
        return "False", "ActionsFailed", f"{counted(len(failed), 'action')} failed: {few(failed)}"
    pending = [describe(action) for action in rest.actions]
    if pending:
        return "False", "ActionsPending", f"{counted(len(pending), 'action')} pending: {few(pending)}"
    withheld = [clean(note.message) for note in rest.notes if note.topic == "deletions"]
    if withheld:
        return "False", "DeletionsWithheld", few(withheld)
    unknown = [item.name for item in destinations if item.state == "unknown"]
    if unknown:
        return "Unknown", "DestinationUnknown", f"what is to do at {', '.join(unknown)} cannot be told"
    return "True", "UpToDate", "no action is left to do"


def healthy(targets: Sequence[TargetStatus], notes: Sequence[NoteStatus]) -> Statement:
    """Whether every target has a good, recent copy wherever one is wanted, and nothing else is wrong."""
    failing = [target.name for target in targets if target.problems]
    names = {target.name for target in targets}
    # An unknown destination makes its targets unknown, and Ready false: whether they are healthy cannot be told.
    others = [
        f"{note.subject}: {note.message}"
        for note in notes
        if note.severity == "error" and note.subject not in names and note.topic != "destination"
    ]
    if failing:
        verb = "needs" if len(failing) == 1 else "need"
        whole = f"{len(failing)} of {counted(len(targets), 'target')} {verb} attention: {few(failing, separator=', ')}"
        return "False", "TargetsFailing", whole
    if others:
        return "False", "Problems", few(others)
    unknown = [target.name for target in targets if target.state == "unknown"]
    if unknown:
        return "Unknown", "DestinationUnknown", f"not every destination of {few(unknown)} can be looked at"
    if not targets:
        return "Unknown", "NothingToProtect", "the specs ask for no backup"
    return (
        "True",
        "AllProtected",
        "every target that is not suspended has a good, recent copy wherever one is wanted",
    )


def describe(action: Action) -> str:
    """An action in a few words."""
    match action:
        case Create():
            return f"create {action.target}"
        case Adopt():
            return f"adopt {action.destination}"
        case Recover():
            return f"recover {clean(action.key)} at {action.destination}"
        case Restore():
            return f"restore {action.target}"
        case _:
            return f"{type(action).__name__.lower()} {action.target} at {action.destination}"
