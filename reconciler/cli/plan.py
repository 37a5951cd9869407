"""``reconciler plan``: what apply would do, each action with its reason; changes nothing."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.output import PATH, output_option, print_json, specs_argument

PENDING = 2


@click.command(short_help="Show what apply would do, and why.")
@specs_argument
@output_option
@click.option(
    "--out", type=PATH, help="Save the plan; `apply FILE` carries out exactly this one, or refuses."
)
def plan(path: Path, output: str, out: Path | None) -> None:
    """Show what apply would do, and why. Changes nothing.

    + makes something, ~ makes it again, - deletes it. PATH holds the specs, backup.d by default. Exit code 0: nothing to do;
    2: changes are pending; 1: an error.

    \b
    Examples:
      reconciler plan
      reconciler plan --output json | jq -r '.actions[].type'
      reconciler plan --out next.json
    """  # noqa: D301 - click wants the real \b
    from reconciler import loop
    from reconciler.cli.planfile import save
    from reconciler.cli.show import show_plan
    from reconciler.cli.validate import show_problems

    with loop.session(path) as session:
        show_problems(session.warnings, session.unreadable)
        made = session.plan(session.observe())
    if out:
        save(out, path, made)
    if output == "json":
        print_json(made)
    else:
        show_plan(made)
    if made.failed:
        raise click.exceptions.Exit(1)
    if made.actions:
        raise click.exceptions.Exit(PENDING)
