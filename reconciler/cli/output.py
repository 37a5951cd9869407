"""How commands print: rich tables and colours for people, plain text when piped, JSON on request."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


def specs_argument(command: Command) -> Command:
    """The argument PATH: the specs, ``backup.d`` by default."""
    return click.argument("path", type=PATH, default="backup.d")(command)


def output_option(command: Command) -> Command:
    """The option ``--output``: text, or JSON whose fields docs/json.md lists."""
    return click.option(
        "--output",
        "-o",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="Text for people, or JSON with stable fields.",
    )(command)


def print_json(data: object) -> None:
    """``data`` as indented JSON on stdout."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
    """A table: boxed and coloured on a terminal, aligned plain text when piped. ``right`` names right-aligned columns."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty()
    table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column, justify="right" if column in right else "left", overflow="fold", no_wrap=not terminal
        )
    for row in rows:
        table.add_row(*(safe(cell) for cell in row))
    console = Console(width=None if terminal else 1000, highlight=False, markup=False, soft_wrap=not terminal)
    if terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


def safe(cell: str) -> str:
    """``cell`` without control characters: names at a destination are not to be trusted with the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cell)


def size_text(size: int) -> str:
    """Bytes for people, in powers of 1,024."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def age_text(moment: datetime, now: datetime) -> str:
    """How long ago, in its two largest units."""
    seconds = int((now - moment).total_seconds())
    if seconds < 0:
        return "in the future"
    days, hours, minutes = seconds // 86400, seconds % 86400 // 3600, seconds % 3600 // 60
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes}m" if hours else f"{minutes}m"


def time_text(moment: datetime) -> str:
    """A UTC time to the minute."""
    return f"{moment:%Y-%m-%d %H:%M}Z"
