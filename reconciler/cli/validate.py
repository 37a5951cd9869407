"""``reconciler validate``: every error of every file at once, for CI and pre-commit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.output import PATH, output_option, print_json
from reconciler.wording import counted

if TYPE_CHECKING:
    from reconciler.spec import Problem


@click.command(short_help="Check specs: every error of every file at once.")
@click.argument("paths", nargs=-1, type=PATH, metavar="[PATH]...")
@output_option
def validate(paths: tuple[Path, ...], output: str) -> None:
    """Check specs: every error of every file, as file:line:column: field: what is wrong.

    PATH is a file or a folder, backup.d by default. All of them together are one fleet. Exit code 1 when there is an error;
    warnings alone do not fail.

    \b
    Examples:
      reconciler validate
      reconciler validate backup.d/shop.yaml backup.d/destinations.yaml
    """  # noqa: D301 - click wants the real \b
    from reconciler import spec
    from reconciler.adapters.journal import FileJournal, state_folder
    from reconciler.lifecycle.recovery import pending

    report = spec.check(paths or (Path("backup.d"),))
    errors = sum(problem.severity == "error" for problem in report.problems)
    if output == "json":
        print_json({"files": report.files, "errors": errors, "problems": report.problems})
    else:
        show_problems(report.problems)
        warnings = len(report.problems) - errors
        click.echo(
            f"{counted(report.files, 'file')}, {counted(errors, 'error')}, {counted(warnings, 'warning')}"
        )
    for told in pending(FileJournal(state_folder())):
        click.secho(f"warning: {told}; reconciler apply puts it right", err=True, fg="yellow")
    if errors:
        raise click.exceptions.Exit(1)


def show_problems(problems: tuple[Problem, ...], unreadable: str = "") -> None:
    """Problems of the specs on stderr, a line each; then why the last status cannot be read, if it cannot."""
    for problem in problems:
        click.secho(str(problem), err=True, fg="red" if problem.severity == "error" else "yellow")
    if unreadable:
        click.secho(f"error: the last status: {unreadable}", err=True, fg="red")
