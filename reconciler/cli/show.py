"""A plan and its outcomes as text, in the manner of Terraform. Used by plan and apply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import click

from reconciler.cli.output import safe, size_text
from reconciler.model import Action, Adopt, Create, Note, Outcome, Plan, Prune, Recover, Replicate, Severity
from reconciler.naming import parse

_COLOUR: dict[Severity, str] = {"error": "red", "warning": "yellow", "info": "blue"}


def show_plan(plan: Plan) -> None:
    """Every action with its reason, the notes, and a summary line."""
    for action in plan.actions:
        click.echo(line(action))
    show_notes(plan.notes)
    click.echo(summary(plan))


def show_notes(notes: Iterable[Note]) -> None:
    """Notes, the worst first."""
    order: tuple[Severity, ...] = ("error", "warning", "info")
    for note in sorted(notes, key=lambda note: order.index(note.severity)):
        click.secho(f"{note.severity}: {safe(note.subject)}: {safe(note.message)}", fg=_COLOUR[note.severity])


def line(action: Action) -> str:
    """One action as ``sign verb what where (reason)``."""
    sign, colour, what = _parts(action)
    verb = type(action).__name__.lower()
    return f"{click.style(f'{sign} {verb:<9}', fg=colour)} {what}  ({safe(action.reason)})"


def _parts(action: Action) -> tuple[str, str, str]:
    match action:
        case Create():
            return "+", "green", f"{action.target}  {action.tier} → {', '.join(action.destinations)}"
        case Replicate():
            way = f"{action.sources[0]} → {action.destination}"
            return "~", "yellow", f"{action.target}  {_which(action.key)}  {way}, {size_text(action.size)}"
        case Prune():
            return (
                "-",
                "red",
                f"{action.target}  {_which(action.key)}  at {action.destination}, {size_text(action.size)}",
            )
        case Recover():
            return "~", "yellow", f"{action.key}  at {action.destination}"
        case Adopt():
            return "+", "green", action.destination


def _which(key: str) -> str:
    artifact = parse(key)
    return f"{artifact.tier} {artifact.time:%Y-%m-%d %H:%M}Z" if artifact else key


def summary(plan: Plan) -> str:
    """The last line: what there is to do."""
    if not plan.actions:
        return (
            "Nothing can be done about the errors above."
            if plan.failed
            else "Nothing to do: the backups are as the specs want them."
        )
    counts = Counter(type(action).__name__.lower() for action in plan.actions)
    return "Plan: " + ", ".join(f"{count} to {verb}" for verb, count in counts.items()) + "."


def show_outcome(outcome: Outcome) -> None:
    """One outcome: what was done, or what failed where and why."""
    text = line(outcome.action)
    done = (
        f"{size_text(outcome.size)} in {outcome.seconds:.1f} s"
        if outcome.size
        else f"{outcome.seconds:.1f} s"
    )
    if outcome.ok:
        click.echo(f"{text}: {click.style('done', fg='green')}, {done}")
    elif outcome.skipped:
        click.echo(f"{text}: {click.style('skipped', fg='yellow')}: {outcome.skipped}")
    for why in filter(None, (outcome.error, *(f"{name}: {why}" for name, why in outcome.failures.items()))):
        click.secho(
            f"{text}: failed: {why}" if outcome.error else f"{text}: done elsewhere, failed at {why}",
            fg="red",
            err=True,
        )
    for warning in outcome.warnings:
        click.secho(f"  warning: {safe(warning)}", fg="yellow", err=True)
