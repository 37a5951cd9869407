"""``STATUS.md``: the status for people, what is wrong first. Pure; every text from outside is escaped."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.status import DestinationStatus, Holding, OutcomeStatus, Status, Success, TargetStatus
from reconciler.report.headline import headline
from reconciler.report.markup import contents, escape, section, table
from reconciler.report.picture import described
from reconciler.report.text import few, moment
from reconciler.wording import counted, growth_text, size_text

PICTURE = "status.svg"
"""Name of the picture beside the page."""
LONG = 20
"""Targets past which the picture fills more than a screen, so that links lead to what is below it."""


def render(status: Status) -> str:
    """The whole page; its picture lies beside it."""
    parts = {
        "What is wrong": _wrong(status),
        "Conditions": _conditions(status),
        "Machines": _machines(status),
        "Changes": _changes(status),
        "Targets": _targets(status),
        "Destinations": _destinations(status),
        "3-2-1": [f"* **{escape(item.backup)}**: {escape(item.message)}" for item in status.rule321],
        "Restores": _restores(status),
        "Orphans": _orphans(status),
        "Foreign files": _foreign(status),
        "To know": _notes(status),
        "Last run": _last_run(status),
    }
    sections = {title: text for title, lines in parts.items() if (text := section(title, lines))}
    links = contents(sections) if len(status.targets) > LONG else ""
    shown = f"![{escape(described(status))}]({PICTURE})"
    return "\n\n".join(filter(None, (_head(status), links, shown, *sections.values()))) + "\n"


def _head(status: Status) -> str:
    specs = f", specs at {escape(status.spec_commit[:12])}" if status.spec_commit else ""
    where = f" on {escape(status.node)}" if status.node else ""
    if status.nodes:
        where = f", from {counted(len(status.nodes), 'machine')}, the last one {escape(status.node)}"
    return f"# Backups: {escape(headline(status))}\n\nAs of {moment(status.time)}{where}{specs}."


def _wrong(status: Status) -> Iterable[str]:
    ready, converged = status.condition("Ready"), status.condition("Converged")
    if ready.reason == "SpecsInvalid":
        yield f"* **specs**: {escape(ready.message)}. Until they are mended nothing is backed up; the rest is as it was before."
    if ready.reason == "RevisionRejected":
        yield f"* **specs**: {escape(ready.message)}"
    for item in status.destinations:
        if item.state == "unknown":
            yield f"* **{escape(item.name)}** cannot be looked at, so nothing is done there: {escape(item.why)}"
    for target in status.targets:
        yield from (f"* **{target.name}**: {escape(problem)}" for problem in target.problems)
    yield from _failures(status)
    if converged.reason in ("ActionsPending", "DeletionsWithheld"):
        yield f"* {escape(converged.message)}"
    yield from _errors(status)


def _errors(status: Status) -> Iterable[str]:
    """Machines that cannot be understood, and error notes that are told neither with a destination nor with a target."""
    for node in status.nodes:
        if node.time is None:
            yield f"* **{escape(node.node)}**: what this machine reports cannot be read here"
    told = {target.name for target in status.targets}
    for note in status.notes:
        if note.severity == "error" and note.topic != "destination" and note.subject not in told:
            yield f"* **{escape(note.subject)}**: {escape(note.message)}"


def _failures(status: Status) -> Iterable[str]:
    """What the last run failed to do, while that is still so; a failed backup is told with its target."""
    if status.last_run is None or status.condition("Converged").reason != "ActionsFailed":
        return
    for outcome in status.last_run.outcomes:
        if outcome.state != "done" and outcome.action != "create":
            yield f"* {_done(outcome)}: {escape(_why(outcome))}"


def _conditions(status: Status) -> Iterable[str]:
    rows = [
        (
            item.type,
            f"**{item.status}**" if item.status != "True" else "True",
            moment(item.last_transition_time),
            escape(item.message),
        )
        for item in status.conditions
    ]
    return table(("Condition", "Status", "Since", ""), rows)


def _machines(status: Status) -> Iterable[str]:
    """Where several report: when each had something new to say, and what is missing."""
    rows = [
        (
            escape(item.node),
            moment(item.time) if item.time else "**cannot be read**",
            escape(item.spec_commit[:12]) if item.spec_commit else "",
            str(item.targets) if item.time else "?",
            f"**not reported: {escape(few(item.overdue, separator=', '))}**" if item.overdue else "",
        )
        for item in status.nodes
    ]
    return table(("Machine", "Last news", "Specs", "Targets", ""), rows)


def _changes(status: Status) -> Iterable[str]:
    """What is not as in the report before, with the commit of the specs where they caused it."""
    if status.changes is None:
        return
    yield f"Since the report of {moment(status.changes.since)}:\n"
    for item in status.changes.items:
        cause = f" (specs at {escape(item.commit[:12])})" if item.commit else ""
        yield f"* **{escape(item.subject)}**: {escape(item.message)}{cause}"
    if status.changes.more:
        yield f"* and {status.changes.more} more"


def _targets(status: Status) -> Iterable[str]:
    names = [item.name for item in status.destinations]
    rows = [
        (
            target.name,
            target.state if target.state == "good" else f"**{target.state}**",
            moment(target.last_success.time if target.last_success else None),
            _size(target.last_success) if target.last_success else "",
            "suspended" if target.state == "suspended" and not target.next_run else moment(target.next_run),
            *(_held(target, name) for name in names),
        )
        for target in status.targets
    ]
    if rows:
        yield "At each destination: good copies, of how many are kept at most.\n"
    yield from table(("Target", "State", "Last success", "Size", "Next run", *map(escape, names)), rows)


def _size(newest: Success) -> str:
    """Of the newest backup, and how much more or less than the one before it."""
    if newest.size_before in (None, newest.size):
        return size_text(newest.size)
    return f"{size_text(newest.size)} ({growth_text(newest.size, newest.size_before or 0)})"


def _held(target: TargetStatus, destination: str) -> str:
    """What a destination holds of a target: each tier, held of wanted."""
    holding = next((item for item in target.holdings if item.destination == destination), None)
    if holding is None:
        return "–"
    if not holding.known:
        return "?"
    tiers = ", ".join(f"{item.tier} {item.held}/{item.wanted}" for item in holding.tiers)
    return f"{tiers}{_faults(holding)}"


def _faults(holding: Holding) -> str:
    faults = [
        f"**{len(items)} {word}**"
        for items, word in ((holding.missing, "missing"), (holding.broken, "broken"))
        if items
    ]
    return "".join(f"; {fault}" for fault in faults)


def _destinations(status: Status) -> Iterable[str]:
    rows = [
        (
            escape(item.name),
            escape(item.url),
            escape(item.media) + (", off-site" if item.offsite else ""),
            *_content(item),
        )
        for item in status.destinations
    ]
    return table(("Destination", "URL", "Media", "Copies", "Size"), rows)


def _content(item: DestinationStatus) -> tuple[str, str]:
    if item.copies is None or item.size is None:
        return "**unknown**", "?"
    leftovers = f" and {counted(item.leftovers, 'leftover')}" if item.leftovers else ""
    return f"{item.copies}{leftovers}", size_text(item.size)


def _restores(status: Status) -> Iterable[str]:
    """The newest few Restore documents that were carried out."""
    for item in reversed(status.restores[-10:]):
        state = item.state if item.state == "done" else f"**{item.state}**"
        why = f": {escape(item.error)}" if item.error else ""
        yield f"* {escape(item.name)}: {item.target}, {state} {moment(item.time)}{why}"


def _orphans(status: Status) -> Iterable[str]:
    if status.orphans:
        yield "No spec names these any more. Their copies are kept as long as the Policy says.\n"
    for item in status.orphans:
        where = ", ".join(map(escape, item.destinations))
        yield f"* {item.service}/{item.type}: {counted(item.copies, 'copy')} at {where}, {size_text(item.size)}"


def _foreign(status: Status) -> Iterable[str]:
    some = [item for item in status.destinations if item.foreign]
    if some:
        yield "These are not ours and are left alone.\n"
    for item in some:
        names = [escape(name) for name in item.foreign_names]
        more = (item.foreign or 0) - len(names)
        yield f"* {escape(item.name)}: {', '.join(names)}{f' and {more} more' if more else ''}"


def _notes(status: Status) -> Iterable[str]:
    """Notes that no other section tells."""
    elsewhere = ("destination", "rule321", "orphan", "foreign", "suspended", "deletions", "stale")
    for note in status.notes:
        if note.severity != "error" and note.topic not in elsewhere:
            yield f"* **{escape(note.subject)}**: {escape(note.message)}"
    for target in status.targets:
        for warning in target.last_attempt.warnings if target.last_attempt else ():
            yield f"* **{target.name}**: {escape(warning)}"


def _last_run(status: Status) -> Iterable[str]:
    if status.last_run is None:
        return
    yield f"{moment(status.last_run.time)}: {counted(len(status.last_run.outcomes), 'action')}.\n"
    for outcome in status.last_run.outcomes:
        cost = f", {size_text(outcome.size)} in {outcome.seconds:.1f} s" if outcome.size else ""
        verdict = outcome.state if outcome.state == "done" else f"**{outcome.state}**"
        yield f"* {_done(outcome)}: {verdict}{cost} ({escape(outcome.reason)})"


def _done(outcome: OutcomeStatus) -> str:
    """An action in a few words."""
    where = ", ".join(map(escape, outcome.destinations))
    if outcome.action == "create":
        return f"create {outcome.target} at {where}"
    return (
        f"{outcome.action} {escape(outcome.key)} at {where}" if outcome.key else f"{outcome.action} {where}"
    )


def _why(outcome: OutcomeStatus) -> str:
    return (
        outcome.error
        or outcome.skipped
        or "; ".join(f"{name}: {why}" for name, why in outcome.failures.items())
    )
