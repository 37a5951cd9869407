"""A restore from the choice of an artifact to its end, with all that comes before the first byte.

Called by the command line and for Restore documents: both go the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from reconciler.choosing import Choice
from reconciler.lifecycle.hooks import Hooks
from reconciler.model import Fleet, HookOutcome, Manifest, TargetId
from reconciler.ports import Progress, World
from reconciler.restore import Restored, Way, restore, stopping
from reconciler.restore.fetch import read_manifest
from reconciler.restore.hooks import restore_hooks
from reconciler.restore.keys import proven_keys
from reconciler.restore.sinks import find_sink


class Asked(NamedTuple):
    """What is asked for: ``to`` as ``restore --to`` takes it, None for where the data came from; files with keys.

    ``stop`` false refuses where a container would have to be stopped.
    """

    to: str | None = None
    overwrite: bool = False
    stop: bool = True
    identities: tuple[Path, ...] = ()


class Bringing:
    """One restore. ``hooks`` says what they did, also after a failure."""

    def __init__(
        self, choice: Choice, asked: Asked, fleet: Fleet, world: World, warn: Callable[[str], None]
    ) -> None:
        self._choice = choice
        self._asked = asked
        self._fleet = fleet
        self._world = world
        self._warn = warn
        self._hooks: Hooks | None = None

    @property
    def hooks(self) -> tuple[HookOutcome, ...]:
        """What they did so far."""
        return tuple(self._hooks.outcomes) if self._hooks else ()

    def run(self, progress: Progress) -> Restored:
        """Do it. Raises ReconcilerError; the old data is in place then, or the error says where."""
        choice, asked, fleet, world = self._choice, self._asked, self._fleet, self._world
        manifest = read_manifest(choice, fleet, world)
        keys = proven_keys(choice, manifest, fleet, world, asked.identities)
        sink = find_sink(asked.to, manifest, fleet, world.host)
        sink.check(overwrite=asked.overwrite)
        self._hooks, told = restore_hooks(choice, manifest, asked.to, fleet, world, progress)
        for text in (*_moved(asked.to, manifest, fleet), *told):
            self._warn(text)
        how = stopping(fleet, choice.artifact.target, allowed=asked.stop)
        advanced = partial(progress.advanced, choice.artifact.target)
        way = Way(sink, self._hooks, advanced, keys, how, partial(progress.said, "restore"))
        return restore(choice, way, fleet, world)


def _moved(to: str | None, manifest: Manifest, fleet: Fleet) -> tuple[str, ...]:
    """Where the data came from, when its target is somewhere else now."""
    before = manifest.facts.get("path", "") or manifest.facts.get("volume", "")
    wanted = TargetId(manifest.service, manifest.type)
    for backup in fleet.backups:
        for target in backup.targets:
            places = (*target.uses.paths, *target.uses.volumes)
            if to is None and before and target.id == wanted and target.kind == manifest.kind and places:
                return () if before in places else (f"it was made of {before}, and goes to {places[0]} now",)
    return ()
