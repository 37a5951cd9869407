"""Which targets the labels of a container are for. Pure; used by ``resolve``. docs/labels.md tells it to users."""

from __future__ import annotations

from typing import NamedTuple

from reconciler.model import Backup, TargetId
from reconciler.observe.labels import OFFEN, Labelled


class Beside(NamedTuple):
    """What the labels' meaning depends on: ``own`` targets are those of this Backup that the container mounts.

    ``claimed``: it mounts targets of another Backup that reads labels. ``named`` are the exec-labels of all Backups.
    """

    own: tuple[TargetId, ...] = ()
    claimed: bool = False
    named: frozenset[str] = frozenset()


class Meant(NamedTuple):
    """The targets for which a container's commands run, it is stopped, and its errors count; and what to warn of."""

    commands: tuple[TargetId, ...] = ()
    stops: tuple[TargetId, ...] = ()
    errors: tuple[TargetId, ...] = ()
    warnings: tuple[str, ...] = ()


def meant(backup: Backup, labelled: Labelled, beside: Beside) -> Meant:
    """What the labels of one container are for, in ``backup``."""
    own = beside.own
    if backup.hooks_from_labels == "velero":
        return Meant(commands=own, errors=own)
    every = own or tuple(target.id for target in backup.targets)
    runs = labelled.tie == backup.exec_label if backup.exec_label else not labelled.tie or bool(own)
    halts = _halts(backup, labelled, beside, runs)
    return Meant(
        commands=every if runs else (),
        stops=every if halts else (),
        errors=every if own or runs or halts else (),
        warnings=_differences(backup, labelled, beside, (runs, halts)),
    )


def _halts(backup: Backup, labelled: Labelled, beside: Beside, runs: bool) -> bool:
    """Whether it is stopped. ``true`` is for whoever reads its data; another value is for the Backup of that execLabel."""
    if labelled.stop == "true":
        return bool(beside.own) or (runs and not beside.claimed)
    return bool(labelled.stop) and labelled.stop == backup.exec_label


def _differences(
    backup: Backup, labelled: Labelled, beside: Beside, does: tuple[bool, bool]
) -> tuple[str, ...]:
    """Where docker-volume-backup would do more."""
    runs, halts = does
    told = []
    if labelled.hooks and not runs and not backup.exec_label:
        told.append(
            f"its commands (exec-label {labelled.tie}) do not run for backup {backup.name}, which has no execLabel and"
            f" nothing that it mounts; docker-volume-backup would run them"
        )
    if labelled.stop == "true" and not halts and not beside.claimed:
        told.append(
            f"it is not stopped for backup {backup.name}, which has nothing that it mounts; docker-volume-backup would"
            f" stop it: name it in quiesce if it has to be"
        )
    if beside.own and not halts and labelled.stop and labelled.stop not in beside.named:
        told.append(
            f"it is not stopped for backup {backup.name}, whose data it mounts: {OFFEN}stop-during-backup is"
            f' "{labelled.stop}", which is the execLabel of no Backup; name it in quiesce if it has to be'
        )
    return tuple(told)
