"""``reconciler status``: is the data safe? The state in words, then every target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.output import output_choice, print_table, safe, span_text, specs_argument
from reconciler.wording import time_text

if TYPE_CHECKING:
    from reconciler.model.status import Holding, Status, TargetStatus


@click.command(short_help="Show whether everything is backed up, as it is now.")
@specs_argument
@output_choice(
    "text",
    "json",
    "prometheus",
    told="Text for people, JSON with stable fields, or metrics for Prometheus (needs the extra metrics).",
)
@click.option("--markdown", is_flag=True, help="Print it as STATUS.md has it.")
@click.option("--picture", is_flag=True, help="Print its picture, as status.svg has it.")
def status(path: Path, output: str, *, markdown: bool, picture: bool) -> None:
    """Show whether everything is backed up, as it is now: conditions, what is wrong, and every target.

    Looks at the destinations and changes nothing; AGE is that of the last success, NEXT is how long until the next run. Exit
    code 0 when Ready and Healthy, else 1.

    \b
    Examples:
      reconciler status
      reconciler status --markdown > STATUS.md
      reconciler status --output prometheus
      reconciler status --picture > status.svg
    """  # noqa: D301 - click wants the real \b
    from reconciler import loop, report

    with loop.session(path) as session:
        now = session.status()
    if output == "json":
        click.echo(report.encode(now).decode(), nl=False)
    elif output == "prometheus":
        from reconciler.adapters.exposition import text
        from reconciler.report.metrics import families

        click.echo(text(families(now)).decode(), nl=False)
    elif markdown:
        click.echo(report.render(now), nl=False)
    elif picture:
        click.echo(report.picture(now), nl=False)
    else:
        _print(now)
    if not all(condition.status == "True" for condition in now.conditions if condition.type != "Converged"):
        raise click.exceptions.Exit(1)


def _print(now: Status) -> None:
    for condition in now.conditions:
        colour = {"True": "green", "False": "red", "Unknown": "yellow"}[condition.status]
        text = click.style(f"{condition.type:<10} {condition.status:<8}", fg=colour)
        click.echo(f"{text} {condition.message}")
    for severity, subject, message in _remarks(now):
        text = f"{severity}: {safe(subject)}: {safe(message)}"
        click.secho(text, fg="red" if severity == "error" else None)
    places = tuple(destination.name for destination in now.destinations)
    columns = ("TARGET", "STATE", "LAST SUCCESS", "AGE", "NEXT", *places)
    rows = (_row(target, places, now) for target in now.targets)
    print_table(columns, rows, right=("AGE", "NEXT"), fold=places)


def _remarks(now: Status) -> Iterator[tuple[str, str, str]]:
    """What is wrong and what is good to know, the worst first; what a note and a target's problems both say, once."""
    problems = [("error", target.name, problem) for target in now.targets for problem in target.problems]
    notes = [(note.severity, note.subject, note.message) for note in now.notes]
    yield from (note for note in notes if note[0] == "error" and note not in problems)
    yield from problems
    for severity in ("warning", "info"):
        yield from (note for note in notes if note[0] == severity and ("error", *note[1:]) not in problems)


def _row(target: TargetStatus, places: tuple[str, ...], now: Status) -> tuple[str, ...]:
    last = target.last_success
    holdings = {holding.destination: holding for holding in target.holdings}
    return (
        target.name,
        target.state,
        time_text(last.time) if last else "never",
        span_text(now.time - last.time) if last else "-",
        span_text(target.next_run - now.time) if target.next_run else "-",
        *(_holding(holdings.get(place)) for place in places),
    )


def _holding(holding: Holding | None) -> str:
    """Copies held of copies wanted, by tier; a dash where the backup does not name the destination."""
    if holding is None:
        return "-"
    if not holding.known:
        return "unknown"
    return ", ".join(f"{item.tier} {item.held}/{item.wanted}" for item in holding.tiers)
