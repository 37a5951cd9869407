"""``reconciler import``: specs from other systems' files. It only reads them, and writes nowhere but where it is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.output import PATH, safe
from reconciler.cli.writing import write_new
from reconciler.errors import Refused

if TYPE_CHECKING:
    from reconciler.importers import Imported


@click.group("import", short_help="Make specs from another system's files.")
def import_() -> None:
    """Make specs from another system's files.

    docs/migrate.md has a page for each system.

    \b
    Examples:
      reconciler import compose compose.yaml
    """  # noqa: D301 - click wants the real \b


@import_.command(short_help="From a compose file, with or without docker-volume-backup.")
@click.argument("file", type=PATH)
@click.option(
    "--output", "folder", type=PATH, metavar="DIR", help="Write files into DIR; none is overwritten."
)
def compose(file: Path, folder: Path | None) -> None:
    """Make specs from a compose FILE, and say on stderr what could not be carried over.

    A service that runs offen/docker-volume-backup becomes Destinations and a Backup; its labels stay where they are and are
    honoured. Without one, volumes and known databases become a proposal. Variables come from the environment, then from .env
    beside FILE. No secret is written: references to variables or files stand in.

    \b
    Examples:
      reconciler import compose compose.yaml
      reconciler import compose compose.yaml --output backup.d
    """  # noqa: D301 - click wants the real \b
    from reconciler.importers import imported

    found = imported(file, os.environ)
    if folder is None:
        if found.files:
            raise Refused(
                f"{file} holds public keys, which go into a file of their own: name a folder with --output"
            )
        click.echo(found.text, nl=False)
    else:
        _write(found, folder)
    for title, entries in found.sections:
        click.echo(f"{title}:", err=True)
        for entry in entries:
            click.echo(f"  {safe(entry)}", err=True)


def _write(found: Imported, folder: Path) -> None:
    """Write the specs and what belongs beside them. Raises Refused if one of them is there."""
    texts = {folder / f"{found.name}.yaml": found.text}
    texts |= {folder / name: text for name, text in found.files.items()}
    write_new(folder, texts)
    click.echo(f"next: reconciler validate {folder}")
