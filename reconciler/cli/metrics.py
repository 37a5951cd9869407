"""The option ``--metrics FILE``: a textfile for node_exporter, written after a run. Its failure is a warning, never the run's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.output import PATH, Command
from reconciler.errors import ReconcilerError, SpecError

if TYPE_CHECKING:
    from reconciler.model.status import Status


def metrics_option(command: Command) -> Command:
    """The option ``--metrics``."""
    return click.option(
        "--metrics",
        type=PATH,
        metavar="FILE",
        help="Write metrics for Prometheus into FILE, also when something failed (docs/monitoring.md).",
    )(command)


def write_metrics(file: Path, status: Status) -> None:
    """Replace ``file`` by the metrics of ``status``, or warn."""
    _or_warn(file, lambda: status)


@contextmanager
def rejection_in(file: Path | None, specs: Path) -> Iterator[None]:
    """When the specs turn out not to be usable in the block, ``file`` says so too: no run means no other word of it."""
    from reconciler import loop

    try:
        yield
    except SpecError as error:
        rejected = error
        if file:
            _or_warn(file, lambda: loop.rejected(specs, rejected))
        raise


def _or_warn(file: Path, status: Callable[[], Status]) -> None:
    from reconciler.adapters.exposition import write
    from reconciler.report.metrics import families

    try:
        write(file, families(status()))
    except ReconcilerError as error:
        click.secho(f"warning: the metrics could not be written: {error}", fg="yellow", err=True)
