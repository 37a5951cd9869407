"""``reconciler status``: is the data safe? The state in words, then every target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.output import age_text, output_option, print_table, size_text, specs_argument, time_text

if TYPE_CHECKING:
    from reconciler.model.status import Holding, Status, TargetStatus


@click.command()
@specs_argument
@output_option
@click.option("--markdown", is_flag=True, help="Print it as STATUS.md has it.")
def status(path: Path, output: str, *, markdown: bool) -> None:
    """Show whether everything is backed up, as it is now: conditions, what is wrong, and every target.

    Looks at the destinations and changes nothing. Exit code 1 unless Ready and Healthy.
    """
    from reconciler import loop, report

    with loop.session(path) as session:
        now = session.status()
    if output == "json":
        click.echo(report.encode(now).decode(), nl=False)
    elif markdown:
        click.echo(report.render(now), nl=False)
    else:
        _print(now)
    if not all(condition.status == "True" for condition in now.conditions if condition.type != "Converged"):
        raise click.exceptions.Exit(1)


def _print(now: Status) -> None:
    for condition in now.conditions:
        colour = {"True": "green", "False": "red", "Unknown": "yellow"}[condition.status]
        text = click.style(f"{condition.type:<10} {condition.status:<8}", fg=colour)
        click.echo(f"{text} {condition.reason}: {condition.message}")
    for note in now.notes:
        click.secho(
            f"{note.severity}: {note.subject}: {note.message}", fg="red" if note.severity == "error" else None
        )
    for destination in now.destinations:
        if destination.state == "unknown":
            click.secho(f"error: destination {destination.name}: {destination.why}", fg="red")
    columns = ("TARGET", "STATE", "LAST SUCCESS", "AGE", "NEXT RUN", "HELD OF WANTED")
    print_table(columns, (_row(target, now) for target in now.targets), right=("AGE",))


def _row(target: TargetStatus, now: Status) -> tuple[str, ...]:
    last = target.last_success
    return (
        target.name,
        target.state,
        f"{time_text(last.time)} {size_text(last.size)}" if last else "never",
        age_text(last.time, now.time) if last else "-",
        time_text(target.next_run) if target.next_run else "-",
        "; ".join(map(_holding, target.holdings)),
    )


def _holding(holding: Holding) -> str:
    if not holding.known:
        return f"{holding.destination} unknown"
    tiers = " ".join(f"{item.tier} {item.held}/{item.wanted}" for item in holding.tiers)
    return f"{holding.destination} {tiers}"
