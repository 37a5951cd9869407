"""Progress of an apply or restore: a bar with bytes, rate and time left on a terminal, a line for each outcome always."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from reconciler.cli.show import show_outcome
from reconciler.model import Action, Create, Outcome, Replicate

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def _progress() -> Progress:
    """A bar on stderr; rich is loaded only where there is a terminal to draw on."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


class Bars:
    """One bar at a time. Its total is the size of the last artifact of the same target: an estimate."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._shown = not quiet and sys.stderr.isatty()
        self._bar: tuple[Progress, TaskID] | None = None

    def started(self, action: Action) -> None:
        """Show a bar for what moves bytes."""
        match action:
            case Create():
                self.begin(f"+ {action.target}", action.estimate)
            case Replicate():
                self.begin(f"~ {action.target} → {action.destination}", action.size)
            case _:
                self.end()

    def begin(self, text: str, total: int) -> None:
        """Show a bar; a total of 0 bytes is one that is not known."""
        if self._shown:
            bar = _progress()
            self._bar = bar, bar.add_task(text, total=total or None)
            bar.start()

    def advanced(self, size: int) -> None:
        """Move the bar by ``size`` bytes."""
        if self._bar is not None:
            bar, task = self._bar
            bar.advance(task, size)

    def said(self, who: str, line: str) -> None:
        """A line that a hook wrote, above the bar."""
        if self._quiet:
            return
        with suppress(OSError):
            if self._bar is not None:
                self._bar[0].console.print(f"  {who}: {line}", markup=False, highlight=False)
            else:
                click.echo(f"  {who}: {line}", err=True)

    def finished(self, outcome: Outcome) -> None:
        """Replace the bar with a line. No backup waits for an output that fails: the last words of the command tell of it."""
        self.end()
        if not self._quiet:
            with suppress(OSError):
                show_outcome(outcome)

    def end(self) -> None:
        """Take the bar away, before anything is printed."""
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None


@contextmanager
def bars(*, quiet: bool) -> Iterator[Bars]:
    """Bars on stderr; none where that is no terminal."""
    shown = Bars(quiet=quiet)
    try:
        yield shown
    finally:
        shown.end()
