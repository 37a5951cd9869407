"""The targets as they are now: there or missing, and whether their content is the one already backed up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import cast

import msgspec

from reconciler.errors import ReconcilerError
from reconciler.manifests import decode
from reconciler.model import Backup, Copy, Fleet, Listing, Manifest, Probe, Target, TargetId
from reconciler.model.observed import to_stamp
from reconciler.naming import manifest_key
from reconciler.ports import TargetKind, World
from reconciler.retention import horizon
from reconciler.slots import Turn


def probe_targets(
    fleet: Fleet, world: World, listings: Mapping[str, Listing], now: datetime
) -> dict[TargetId, Probe]:
    """A probe of every target of every backup that is not suspended."""
    stored = _Stored(fleet, world, listings, now)
    probes: dict[TargetId, Probe] = {}
    for backup in fleet.backups:
        for target in () if backup.suspend else backup.targets:
            problem = fleet.live.problems.get(target.id, "")
            probe = Probe(problem=problem) if problem else _probe(target, world)
            manifest = stored.manifest(backup, target.id) if probe.fingerprint or probe.empty else None
            if manifest is not None:
                probe = msgspec.structs.replace(
                    probe, stored_fingerprint=manifest.fingerprint, stored_files=manifest.files or 0
                )
            probes[target.id] = probe
    return probes


def _probe(target: Target, world: World) -> Probe:
    try:
        return cast(TargetKind, target).probe(world.host)
    except ReconcilerError as error:
        return Probe(problem=str(error))


class _Stored:
    """The manifests of newest artifacts; each is read only when its target may be due."""

    def __init__(self, fleet: Fleet, world: World, listings: Mapping[str, Listing], now: datetime) -> None:
        self._fleet = fleet
        self._world = world
        self._listings = listings
        self._now = now

    @cached_property
    def _newest(self) -> dict[TargetId, tuple[str, Copy]]:
        """The newest good copy of every target that is not dated after now, and where it is."""
        latest = horizon(self._now)
        newest: dict[TargetId, tuple[str, Copy]] = {}
        for name, listing in sorted(self._listings.items()):
            for copy in listing.copies:
                artifact = copy.artifact
                if copy.broken or artifact.stamp > latest:
                    continue
                held = newest.get(artifact.target)
                if held is None or held[1].artifact.stamp < artifact.stamp:
                    newest[artifact.target] = (name, copy)
        return newest

    def manifest(self, backup: Backup, target: TargetId) -> Manifest | None:
        """That of the newest artifact; None when there is none, or the target is not due, or it cannot be read."""
        held = self._newest.get(target)
        slot = Turn(backup, target, self._world.node).newest(self._now)
        if held is None or slot is None or held[1].artifact.stamp >= to_stamp(slot.tick):
            return None
        name, copy = held
        key = copy.artifact.key
        try:
            store = self._world.store(self._fleet.destination(name))
            return decode(store.get(manifest_key(key)), key)
        except ReconcilerError:
            return None  # not known to be the same: it is saved again, which loses nothing
