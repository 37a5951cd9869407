"""Carries out a Restore document: once, remembered before it begins and after it ended. Called by the loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from reconciler.choosing import Choice
from reconciler.errors import ReconcilerError
from reconciler.model import Copy, Fleet, HookOutcome, Listing, Restore
from reconciler.ports import Progress, World
from reconciler.restore.bringing import Asked, Bringing

_BEGUN, _DONE, _FAILED = b"begun", b"done", b"failed"


class Carried(NamedTuple):
    """What came of it; ``error`` is empty on success, ``size`` is in stored bytes. ``verified``: the destination of the copy."""

    error: str = ""
    warnings: tuple[str, ...] = ()
    hooks: tuple[HookOutcome, ...] = ()
    size: int = 0
    verified: str = ""


def remembered(fleet: Fleet, world: World) -> dict[str, str]:
    """How each document ended, by its digest, as this machine remembers it. Raises ReconcilerError."""
    states: dict[str, str] = {}
    for order in fleet.restores:
        note = world.journal.recall(_name(order.name, order.digest))
        if note is not None:
            states[order.digest] = "interrupted" if note == _BEGUN else note.decode(errors="replace")
    return states


def carry_out(
    action: Restore, fleet: Fleet, listings: Mapping[str, Listing], world: World, progress: Progress
) -> Carried:
    """Restore what the action names. What fails is not tried again, nor what was begun when this process died.

    Raises ReconcilerError where nothing could be remembered, and therefore nothing was done.
    """
    name = _name(action.name, next(order.digest for order in fleet.restores if order.name == action.name))
    world.journal.remember(name, _BEGUN)
    told: list[str] = []
    bringing = Bringing(
        _choice(action, listings), Asked(action.to or None, action.overwrite), fleet, world, told.append
    )
    try:
        done = bringing.run(progress)
    except ReconcilerError as error:
        told += _remember(name, _FAILED, world)
        return Carried(str(error), tuple(told), bringing.hooks)
    told += _remember(name, _DONE, world)
    return Carried("", (*told, *done.warnings), done.hooks, done.manifest.size, done.destination)


def _remember(name: str, how: bytes, world: World) -> list[str]:
    """The status remembers it, too: a journal that fails now is no failure of the restore."""
    try:
        world.journal.remember(name, how)
    except ReconcilerError as error:
        return [str(error)]
    return []


def _choice(action: Restore, listings: Mapping[str, Listing]) -> Choice:
    copies: list[tuple[str, Copy]] = [
        (name, copy)
        for name in action.sources
        for copy in listings[name].copies
        if copy.artifact.key == action.key
    ]
    return Choice(copies[0][1].artifact, tuple(copies))


def _name(order: str, digest: str) -> str:
    return f"restore-{order}-{digest}"
