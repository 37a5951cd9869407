"""New files for people, none of which replaces another. Used by ``import`` and ``init``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from reconciler.errors import ReconcilerError, Refused


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raises Refused where one of them is there, be it a link to nowhere."""
    found = [str(path) for path in paths if path.exists() or path.is_symlink()]
    if found:
        said = "is there already: move it away" if len(found) == 1 else "are there already: move them away"
        raise Refused(f"{', '.join(found)} {said}, or name another folder")


def write_new(folder: Path, texts: Mapping[Path, str]) -> None:
    """Write all of them or none, and say so; ``folder`` is the one that errors name.

    Raises Refused before anything is written, ReconcilerError where that is impossible.
    """
    refuse_existing(texts)
    written: list[Path] = []
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink()
        raise ReconcilerError(f"{folder} cannot be written: {error.strerror}") from None
    for path in written:
        click.echo(f"wrote {path}")
