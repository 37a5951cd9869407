"""``reconciler schema``: the JSON Schemas of the specs, as the models make them."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.output import PATH, print_json
from reconciler.errors import ReconcilerError


@click.command(short_help="Print the JSON Schema of the specs.")
@click.argument(
    "kind",
    required=False,
    type=click.Choice(["Destination", "Backup", "Policy", "Restore"], case_sensitive=False),
)
@click.option("--write", "folder", type=PATH, help="Write all of them as files into this folder.")
def schema(kind: str | None, folder: Path | None) -> None:
    """Print the JSON Schema (2020-12) of one KIND of document, or of any document.

    For editors and other validators; the same files are in schemas/.

    \b
    Examples:
      reconciler schema > reconciler.json
      reconciler schema Backup
    """  # noqa: D301 - click wants the real \b
    from reconciler import spec

    if folder:
        try:
            spec.write_schemas(folder)
        except OSError as error:
            raise ReconcilerError(f"the schemas cannot be written to {folder}: {error.strerror}") from None
    else:
        print_json(spec.schema(kind))
