"""Tab completion: what the specs name, and how a URL begins. Called by the shell, through click."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from reconciler.model import Fleet


def targets(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """``SERVICE/TYPE`` of every target that begins so."""
    fleet = _fleet(context)
    names = [str(target.id) for backup in fleet.backups for target in backup.targets] if fleet else []
    return sorted(name for name in names if name.startswith(begun))


def destinations(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Every destination that begins so."""
    fleet = _fleet(context)
    return sorted(item.name for item in fleet.destinations if item.name.startswith(begun)) if fleet else []


def protocols(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """How every destination's URL begins."""
    from reconciler import registry

    return [f"{name}://" for name in registry.names("destinations") if f"{name}://".startswith(begun)]


def _fleet(context: click.Context) -> Fleet | None:
    """The specs that the command line names so far; None when they cannot be used: a shell is no place for errors."""
    from reconciler import spec

    try:
        return spec.load(Path(context.params.get("path") or "backup.d"))[0]
    except ReconcilerError:
        return None
