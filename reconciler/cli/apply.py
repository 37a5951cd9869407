"""``reconciler apply``: make the backups what the specs want, and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.complete import targets
from reconciler.cli.metrics import metrics_option, rejection_in, write_metrics
from reconciler.cli.output import jobs_option, output_option, print_json, safe, specs_argument

if TYPE_CHECKING:
    from reconciler.loop import Applied, Session
    from reconciler.model import Fleet, Observation, Plan, TargetId


@click.command(short_help="Make the backups what the specs want.")
@specs_argument
@output_option
@click.option(
    "--only",
    multiple=True,
    metavar="SERVICE[/TYPE]",
    shell_complete=targets,
    help="Only these targets; may be given several times.",
)
@click.option(
    "--now", "forced", is_flag=True, help="Make a backup of each chosen target although none is due."
)
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing.")
@jobs_option
@metrics_option
def apply(
    path: Path,
    output: str,
    only: tuple[str, ...],
    jobs: int,
    metrics: Path | None,
    **flags: bool,
) -> None:
    """Make the backups what the specs want: create, replicate, prune; then report.

    PATH holds the specs (backup.d by default), or is a plan that `plan --out FILE` saved: that is carried out only if the world
    is still the one that was planned for. Exit code 0: all is as it should be; 1: something failed, and the rest was done.

    \b
    Examples:
      reconciler apply
      reconciler apply --only shop --now       a backup of each target of shop, due or not
      reconciler apply --jobs 4
      reconciler apply --metrics /var/lib/prometheus/node-exporter/reconciler.prom
      reconciler plan --out next.json          … look at it …  then:  reconciler apply next.json
    """  # noqa: D301 - click wants the real \b
    from reconciler import loop
    from reconciler.cli import planfile
    from reconciler.cli.progress import bars
    from reconciler.cli.show import show_plan

    forced, dry_run = flags["forced"], flags["dry_run"]
    saved = planfile.load(path)
    _check_together(saved=bool(saved), chosen=bool(only or forced), dry_run=dry_run, metrics=bool(metrics))
    opened = loop.session if dry_run else loop.acting_session
    specs = Path(saved.specs) if saved else path
    with rejection_in(metrics, specs), opened(specs) as session:
        _show_remarks(session)
        seen = session.observe()
        chosen = _chosen(session.fleet, only) if only else None

        def planned(session: Session, seen: Observation) -> Plan:
            todo = session.plan(seen, chosen, _forced(session, chosen) if forced else ())
            if saved:
                planfile.check_same(saved.plan, todo)
            return todo

        todo = planned(session, seen)
        if dry_run:
            print_json(todo) if output == "json" else show_plan(todo)
            raise click.exceptions.Exit(int(todo.failed))
        with bars(quiet=output == "json") as progress:
            applied = session.apply(todo, seen, progress, planned, jobs=jobs)
        if metrics:
            write_metrics(metrics, applied.status)
    _show(applied, output)
    if not applied.ok:
        raise click.exceptions.Exit(1)


def _show_remarks(session: Session) -> None:
    """What was put right, and what the specs' own warnings are."""
    from reconciler.cli.validate import show_problems

    for told in session.recovered.told:
        click.secho(f"warning: {told}", fg="yellow", err=True)
    show_problems(session.warnings, session.unreadable)


def _check_together(*, saved: bool, chosen: bool, dry_run: bool, metrics: bool) -> None:
    """Refuse options that contradict each other. Raises UsageError."""
    if saved and chosen:
        raise click.UsageError("a saved plan is carried out as it is: --only and --now do not go with it")
    if dry_run and metrics:
        raise click.UsageError("--dry-run does nothing that --metrics could tell of: leave one of them out")


def _chosen(fleet: Fleet, names: tuple[str, ...]) -> frozenset[TargetId]:
    """The targets that ``SERVICE`` or ``SERVICE/TYPE`` name. UsageError when one names nothing."""
    targets = [target.id for backup in fleet.backups for target in backup.targets]
    chosen: set[TargetId] = set()
    for name in names:
        found = {target for target in targets if name in (target.service, str(target))}
        if not found:
            there = ", ".join(sorted(map(str, targets)))
            raise click.UsageError(f"no spec names the target {name}; there are: {there}")
        chosen |= found
    return frozenset(chosen)


def _forced(session: Session, chosen: frozenset[TargetId] | None) -> frozenset[TargetId]:
    if chosen is not None:
        return chosen
    return frozenset(target.id for backup in session.fleet.backups for target in backup.targets)


def _show(applied: Applied, output: str) -> None:
    if output == "json":
        print_json(
            {
                "plan": applied.plan,
                "outcomes": applied.outcomes,
                "statusCommit": applied.commit,
                "statusError": applied.report_error,
                "warnings": applied.warnings,
            }
        )
        return
    from reconciler.cli.show import applied_summary, show_notes, summary

    show_notes(note for note in applied.plan.notes if note.topic != "held")  # these were told at once
    click.echo(applied_summary(applied.outcomes) if applied.outcomes else summary(applied.plan))
    if applied.commit:
        click.echo(f"status: commit {applied.commit[:12]} on {applied.place}")
    if applied.report_error:
        click.secho(f"the status could not be written: {applied.report_error}", fg="red", err=True)
    for warning in applied.warnings:
        click.secho(f"warning: {safe(warning)}", fg="yellow", err=True)
