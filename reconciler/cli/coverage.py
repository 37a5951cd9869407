"""``reconciler coverage``: the volumes and local images that no spec protects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.output import output_option, print_json, print_table, specs_argument
from reconciler.wording import size_text

if TYPE_CHECKING:
    from reconciler.coverage import Item


@click.command(short_help="Show volumes and images that no spec protects.")
@specs_argument
@output_option
def coverage(path: Path, output: str) -> None:
    """Show which volumes and local images no spec protects.

    Asks the Docker Engine (DOCKER_HOST, or the local socket). An image that a registry holds too counts as protected. Exit code
    0: everything is; 2: something is not; 1: an error.

    \b
    Examples:
      reconciler coverage
      reconciler coverage --output json | jq -r '.items[] | select(.covered | not) | .name'
    """  # noqa: D301 - click wants the real \b
    from reconciler import loop
    from reconciler.coverage import survey

    with loop.session(path) as session:
        items = survey(session.fleet, session.world.host.engine())
    bare = [item for item in items if not item.covered]
    if output == "json":
        print_json({"items": items, "unprotected": len(bare)})
    else:
        _print(items, bare)
    if bare:
        raise click.exceptions.Exit(2)


def _print(items: list[Item], bare: list[Item]) -> None:
    if bare:
        rows = (
            (item.kind, item.name, ", ".join(item.used_by) or "-", size_text(item.size) if item.size else "-")
            for item in bare
        )
        print_table(("KIND", "NAME", "USED BY", "SIZE"), rows, right=("SIZE",))
    click.echo(f"{len(bare)} of {len(items)} volumes and images: protected by no spec")
