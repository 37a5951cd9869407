"""Carries out a Restore document: once, remembered before it begins and after it ended. Called by the loop."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.errors import ReconcilerError
from reconciler.model import Copy, Fleet, Listing, Restore
from reconciler.ports import Progress, World
from reconciler.restore import Restored, Way, read_manifest, restore, stopping
from reconciler.restore.choose import Choice
from reconciler.restore.hooks import restore_hooks
from reconciler.restore.keys import proven_keys
from reconciler.restore.sinks import find_sink

_BEGUN, _DONE, _FAILED = b"begun", b"done", b"failed"


def remembered(fleet: Fleet, world: World) -> dict[str, str]:
    """How each document ended, by its digest, as this machine remembers it."""
    states: dict[str, str] = {}
    for order in fleet.restores:
        note = world.journal.recall(_name(order.digest))
        if note is not None:
            states[order.digest] = "interrupted" if note == _BEGUN else note.decode(errors="replace")
    return states


def carry_out(
    action: Restore, fleet: Fleet, listings: Mapping[str, Listing], world: World, progress: Progress
) -> Restored:
    """Restore what the action names. Raises ReconcilerError; it is not tried again then, nor when this process dies."""
    digest = next(order.digest for order in fleet.restores if order.name == action.name)
    world.journal.remember(_name(digest), _BEGUN)
    try:
        choice = _choice(action, listings)
        manifest = read_manifest(choice, fleet, world)
        keys = proven_keys(choice, manifest, fleet, world, ())
        to = action.to or None
        sink = find_sink(to, manifest, fleet, world.host)
        sink.check(overwrite=action.overwrite)
        hooks = restore_hooks(choice, manifest, to, fleet, world, progress)
        done = restore(
            choice, Way(sink, hooks, progress.advanced, keys, stopping(fleet, action.target)), fleet, world
        )
    except ReconcilerError:
        world.journal.remember(_name(digest), _FAILED)
        raise
    world.journal.remember(_name(digest), _DONE)
    return done


def _choice(action: Restore, listings: Mapping[str, Listing]) -> Choice:
    copies: list[tuple[str, Copy]] = [
        (name, copy)
        for name in action.sources
        for copy in listings[name].copies
        if copy.artifact.key == action.key
    ]
    return Choice(copies[0][1].artifact, tuple(copies))


def _name(digest: str) -> str:
    return f"restore-{digest}"
