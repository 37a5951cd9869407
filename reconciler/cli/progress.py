"""Progress of an apply or restore: bars with bytes, rate and time left on a terminal, a line for each outcome always."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from reconciler.cli.show import show_outcome
from reconciler.model import Action, Create, Outcome, Replicate, TargetId

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
    """A bar for each target at work. Its total is the size of the last artifact of the same target: an estimate."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._shown = not quiet and sys.stderr.isatty()
        self._lock = threading.RLock()
        self._display: Progress | None = None
        self._bars: dict[TargetId, TaskID] = {}

    def started(self, action: Action) -> None:
        """Show a bar for what moves bytes."""
        match action:
            case Create():
                self.begin(action.target, f"+ {action.target}", action.estimate)
            case Replicate():
                self.begin(action.target, f"~ {action.target} → {action.destination}", action.size)
            case _:
                return

    def begin(self, target: TargetId, text: str, total: int) -> None:
        """Show a bar; a total of 0 bytes is one that is not known."""
        if self._shown:
            with self._lock:
                self._display = self._display or _progress()
                self._bars[target] = self._display.add_task(text, total=total or None)
                self._display.start()

    def advanced(self, target: TargetId, size: int) -> None:
        """Move the bar of ``target`` by ``size`` bytes."""
        with self._lock:
            if self._display and target in self._bars:
                self._display.advance(self._bars[target], size)

    def said(self, who: str, line: str) -> None:
        """A line that a hook wrote, above the bars."""
        if self._quiet:
            return
        with suppress(OSError), self._lock:
            if self._display and self._bars:
                self._display.console.print(f"  {who}: {line}", markup=False, highlight=False)
            else:
                click.echo(f"  {who}: {line}", err=True)

    def finished(self, outcome: Outcome) -> None:
        """Replace the bar with a line. No backup waits for an output that fails: the last words of the command tell of it."""
        with self._lock, self._away(getattr(outcome.action, "target", None)):
            if not self._quiet:
                with suppress(OSError):
                    show_outcome(outcome)

    def end(self) -> None:
        """Take all bars away, before anything is printed."""
        with self._lock:
            self._bars.clear()
            if self._display:
                self._display.stop()
                self._display = None

    @contextmanager
    def _away(self, target: TargetId | None) -> Iterator[None]:
        """Take the bar of ``target`` away, and for the block those of the others."""
        bar = self._bars.pop(target, None) if target else None
        if self._display is None:
            yield
            return
        if bar is not None:
            self._display.remove_task(bar)
        self._display.stop()
        yield
        if self._bars:
            self._display.start()


@contextmanager
def bars(*, quiet: bool) -> Iterator[Bars]:
    """Bars on stderr; none where that is no terminal."""
    shown = Bars(quiet=quiet)
    try:
        yield shown
    finally:
        shown.end()
