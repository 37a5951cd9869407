"""A plan and its outcomes as text, in the manner of Terraform. Used by plan and apply."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence

import click

from reconciler.cli.output import safe
from reconciler.model import (
    Action,
    Adopt,
    Create,
    Note,
    Outcome,
    Plan,
    Prune,
    Recover,
    Replicate,
    Restore,
    Severity,
)
from reconciler.report.actions import details, sign, subject, verb
from reconciler.wording import size_text

_INDENT = " " * 12
_COLOUR: dict[Severity, str] = {"error": "red", "warning": "yellow", "info": "blue"}
_OF_ACTION: dict[type[Action], str] = {
    Create: "green",
    Adopt: "green",
    Replicate: "yellow",
    Recover: "yellow",
    Restore: "magenta",
    Prune: "red",
}


def show_plan(plan: Plan) -> None:
    """Every action with its reason, the notes, and a summary line."""
    for action in plan.actions:
        click.echo(explained(line(action), action.reason))
    show_notes(plan.notes)
    click.echo(summary(plan))


def show_notes(notes: Iterable[Note]) -> None:
    """Notes, the worst first; errors on stderr. The 3-2-1 rule was told with the specs, by file and line."""
    order: tuple[Severity, ...] = ("error", "warning", "info")
    told = (note for note in notes if note.topic != "rule321")
    for note in sorted(told, key=lambda note: order.index(note.severity)):
        text = f"{note.severity}: {safe(note.subject)}: {safe(note.message)}"
        click.secho(text, fg=_COLOUR[note.severity], err=note.severity == "error")


def line(action: Action) -> str:
    """One action as ``sign verb what where``."""
    signed = click.style(f"{sign(action)} {verb(action):<9}", fg=_OF_ACTION[type(action)])
    return f"{signed} {subject(action)}  {details(action)}".rstrip()


def explained(text: str, reason: str) -> str:
    """``text`` and its reason: on one line when piped or where the terminal is wide enough, else on a second one."""
    why = f"({safe(reason)})"
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    if len(click.unstyle(text)) + len(why) + 2 <= room:
        return f"{text}  {click.style(why, dim=True)}"
    folded = click.wrap_text(why, room, initial_indent=_INDENT, subsequent_indent=f"{_INDENT} ")
    return f"{text}\n{click.style(folded, dim=True)}"


def summary(plan: Plan) -> str:
    """The last line: what there is to do."""
    if not plan.actions:
        return _idle(plan)
    counts = Counter(verb(action) for action in plan.actions)
    return "Plan: " + ", ".join(f"{count} to {verb}" for verb, count in counts.items()) + "."


def _idle(plan: Plan) -> str:
    if plan.failed:
        return "Nothing can be done about the errors."
    if any(note.topic == "deletions" for note in plan.notes):
        return "Nothing to do but the deletions, which wait for an approval."
    return "Nothing to do: the backups are as the specs want them."


def applied_summary(outcomes: Sequence[Outcome]) -> str:
    """The last line of an apply: how many actions did what they promised, and how many did not."""
    skipped = sum(bool(outcome.skipped) for outcome in outcomes)
    done = sum(outcome.ok for outcome in outcomes)
    counts = {"done": done, "failed": len(outcomes) - done - skipped, "skipped": skipped}
    return f"Applied: {', '.join(f'{count} {word}' for word, count in counts.items() if count)}."


def show_outcome(outcome: Outcome) -> None:
    """One outcome: what was done, or what failed where and why."""
    text = line(outcome.action)
    if outcome.ok:
        click.echo(explained(f"{text}: {_done(outcome)}", outcome.action.reason))
    elif outcome.skipped:
        click.echo(explained(f"{text}: {click.style('skipped', fg='yellow')}", outcome.skipped))
    elif outcome.error:
        click.secho(f"{click.unstyle(text)}: failed: {safe(outcome.error)}", fg="red", err=True)
    else:
        click.echo(explained(f"{text}: {click.style('done in part', fg='yellow')}", outcome.action.reason))
    for name, why in outcome.failures.items():
        click.secho(f"  failed at {name}: {safe(why)}", fg="red", err=True)
    for warning in outcome.warnings:
        click.secho(f"  warning: {safe(warning)}", fg="yellow", err=True)


def _done(outcome: Outcome) -> str:
    done = click.style("done", fg="green")
    if not isinstance(outcome.action, Create | Replicate):
        return done
    return f"{done}, {size_text(outcome.size)} in {outcome.seconds:.1f} s"
