"""What may be unexpected of containers that are held, as warnings. Used by ``rules``."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import Backup, Fleet, Target
from reconciler.spec.problems import Path


def holding_doubts(fleet: Fleet, backup: Backup) -> Iterator[tuple[Path, str]]:
    """Where in the document of ``backup``, and what about it."""
    held = [(at, item) for at, item in enumerate(backup.targets) if fleet.quiesce_of(item.id)]
    if not (held or (backup.quiesce and backup.quiesce.mode != "none" and backup.discover)):
        return
    at: Path = ("spec", "quiesce") if backup.quiesce else ("spec", "targets", held[0][0], "quiesce")
    places = [item for item in fleet.destinations if item.name in backup.destinations]
    here = [item for item in places if item.protocol == "file"]
    if len(places) == len(backup.destinations) and not here:
        yield at, "the containers wait for the network: none of the destinations is on this machine (file://)"
    elif here and all(item.bandwidth for item in here):
        names = ", ".join(item.name for item in here)
        yield (
            at,
            f"the containers wait for the bandwidth of {names}: add a file:// destination without a limit",
        )
    for position, target in held:
        if not _holds_anything(fleet, target):
            where: Path = ("spec", "targets", position)
            yield (
                where,
                f"quiesce holds no container for a target of kind {target.kind}: name them with containers",
            )


def _holds_anything(fleet: Fleet, target: Target) -> bool:
    quiesce = fleet.quiesce_of(target.id)
    named = bool(quiesce and quiesce.containers)
    return named or target.kind == "container" or bool(target.uses.volumes or target.uses.paths)
