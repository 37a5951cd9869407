"""Progress of an apply or restore: a bar with bytes, rate and time left on a terminal, a line for each outcome always."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from reconciler.cli.show import show_outcome
from reconciler.model import Action, Create, Outcome, Replicate


class Bars:
    """One bar at a time. Its total is the size of the last artifact of the same target: an estimate."""

    def __init__(self, bars: Progress, *, quiet: bool) -> None:
        self._bars = bars
        self._quiet = quiet
        self._task: TaskID | None = None

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
        self._task = self._bars.add_task(text, total=total or None)

    def advanced(self, size: int) -> None:
        """Move the bar by ``size`` bytes."""
        if self._task is not None:
            self._bars.advance(self._task, size)

    def finished(self, outcome: Outcome) -> None:
        """Replace the bar with a line."""
        self.end()
        if not self._quiet:
            show_outcome(outcome)

    def end(self) -> None:
        """Take the bar away."""
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None


@contextmanager
def bars(*, quiet: bool) -> Iterator[Bars]:
    """Bars on stderr; none where that is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=quiet or not sys.stderr.isatty()
    ) as progress:
        yield Bars(progress, quiet=quiet)
