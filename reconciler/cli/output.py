"""How commands print: rich tables and colours for people, plain text when piped, JSON on request."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


def specs_argument(command: Command) -> Command:
    """The argument PATH: the specs, ``backup.d`` by default."""
    return click.argument("path", type=PATH, default="backup.d")(command)


def output_option(command: Command) -> Command:
    """The option ``--output``: text, or JSON whose fields docs/json.md lists."""
    return output_choice("text", "json", told="Text for people, or JSON with stable fields.")(command)


def output_choice(*formats: str, told: str) -> Callable[[Command], Command]:
    """The option ``--output`` of a command that knows other ``formats``; the first is the default."""
    return click.option(
        "--output", "-o", type=click.Choice(formats), default=formats[0], show_default=True, help=told
    )


def jobs_option(command: Command) -> Command:
    """The option ``--jobs`` of commands that make artifacts."""
    return click.option(
        "--jobs",
        "-j",
        type=click.IntRange(1, 64),
        default=1,
        show_default=True,
        metavar="N",
        help="Back up as many targets at a time. What shares containers, volumes or paths takes turns.",
    )(command)


def print_json(data: object) -> None:
    """``data`` as indented JSON on stdout."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Sequence[str] = (),
    fold: Sequence[str] = (),
) -> None:
    """A table, aligned. ``right`` names right-aligned columns, ``fold`` those that wrap where a terminal is too narrow."""
    cells = [[safe(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        _print_plain([list(columns), *cells], [column in right for column in columns])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in right else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column not in fold)
    for row in cells:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)


def _print_plain(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    """Columns two spaces apart: a pipe may carry many thousand rows, and needs no more."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (
            cell.rjust(width) if to_the_right else cell.ljust(width)
            for cell, width, to_the_right in zip(row, widths, right, strict=True)
        )
        click.echo("  ".join(padded).rstrip())


def safe(cell: str) -> str:
    """``cell`` without control characters: names at a destination are not to be trusted with the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cell)


def span_text(span: timedelta) -> str:
    """How long, in its largest unit; a span below zero has a minus."""
    seconds = int(abs(span).total_seconds())
    sign = "-" if span < timedelta(0) else ""
    for unit, length in (("d", 86400), ("h", 3600)):
        if seconds >= length:
            return f"{sign}{seconds // length}{unit}"
    return f"{sign}{seconds // 60}m"
