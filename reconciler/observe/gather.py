"""The targets of each Backup as concrete ones: of a container one for each mount, and what discovery finds.

Used by ``resolve``. Asks the Engine for each container that is a target, and for nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from reconciler.model import Backup, Fleet, Target, TargetId
from reconciler.observe.discover import discovered
from reconciler.observe.mounts import expand
from reconciler.ports import Container, Engine, Volume
from reconciler.targets.container import ContainerTarget


class Now(NamedTuple):
    """The Engine, and all of its containers and volumes of the moment."""

    engine: Engine
    containers: tuple[Container, ...]
    volumes: Mapping[str, Volume]


class Gathered(NamedTuple):
    """What ``gather`` made; the fields are as in ``model.Live``."""

    backups: tuple[Backup, ...]
    containers: dict[TargetId, str]
    problems: dict[TargetId, list[str]]
    unresolved: tuple[str, ...]
    found: tuple[tuple[str, str], ...]
    warnings: tuple[tuple[str, str], ...]
    errors: tuple[tuple[str, str], ...]


class _One(NamedTuple):
    """A target, the Backup that it is of, and the container that it was found in. ``rank``: the lowest has the identity."""

    backup: str
    target: Target
    container: str
    rank: int


_WRITTEN, _MOUNTED, _DISCOVERED = range(3)


def gather(fleet: Fleet, now: Now) -> Gathered:
    """Every Backup of ``fleet`` with concrete targets. Raises EngineError."""
    return _Gathering(fleet, now).gathered()


class _Gathering:
    def __init__(self, fleet: Fleet, now: Now) -> None:
        self._fleet = fleet
        self._now = now
        self._all: list[_One] = []
        self._problems: dict[TargetId, list[str]] = defaultdict(list)
        self._unresolved: list[str] = []
        self._found: list[tuple[str, str]] = []
        self._warnings: list[tuple[str, str]] = []
        self._errors: list[tuple[str, str]] = []

    def gathered(self) -> Gathered:
        """Written targets first: what discovery finds gives way to them."""
        for backup in self._fleet.backups:
            for target in backup.targets:
                rank = _MOUNTED if isinstance(target, ContainerTarget) else _WRITTEN
                self._all += self._concrete(backup.name, target, rank)
        for backup in self._fleet.backups:
            if backup.discover:
                self._discover(backup)
        kept = self._unique()
        backups = tuple(
            msgspec.structs.replace(
                backup, targets=tuple(one.target for one in kept if one.backup == backup.name)
            )
            for backup in self._fleet.backups
        )
        return Gathered(
            backups,
            {one.target.id: one.container for one in kept if one.container},
            self._problems,
            tuple(self._unresolved),
            tuple(self._found),
            tuple(self._warnings),
            tuple(self._errors),
        )

    def _concrete(self, backup: str, target: Target, rank: int) -> list[_One]:
        """The target itself, or of a container one for each mount."""
        if not isinstance(target, ContainerTarget):
            return [_One(backup, target, "", rank)]
        container = self._now.engine.container(target.container)
        if container is None:
            self._unresolved.append(target.name)
            return [_One(backup, target, "", rank)]
        expanded = expand(target, container, self._now.volumes)
        self._found += [(f"container {container.name}", text) for text in expanded.left_out]
        if expanded.problem:
            self._unresolved.append(target.name)
            self._problems[target.id].append(expanded.problem)
            return [_One(backup, target, "", rank)]
        return [_One(backup, made, container.name, rank) for made in expanded.targets]

    def _discover(self, backup: Backup) -> None:
        assert backup.discover is not None
        subject = f"backup {backup.name}"
        found = discovered(backup.discover, self._now.containers, self._now.volumes)
        taken = {place: one.target.id for one in self._all for place in _places(one.target)}
        names = []
        for target in found.targets:
            for one in self._concrete(backup.name, target, _DISCOVERED):
                held = {taken[place] for place in _places(one.target) if place in taken}
                if held:
                    continue  # two containers may share a volume; and what the specs name themselves is theirs
                taken |= dict.fromkeys(_places(one.target), one.target.id)
                self._all.append(one)
                names.append(str(one.target.id))
        self._found += [(subject, text) for text in found.left_out]
        if names:
            self._found.append((subject, f"discovered: {', '.join(names)}"))
        else:
            self._warnings.append(
                (subject, "nothing was discovered: no container or volume is as it asks for")
            )

    def _unique(self) -> list[_One]:
        """One target for each identity: two in one history would push each other's artifacts out."""
        by_id: dict[TargetId, list[_One]] = defaultdict(list)
        for one in self._all:
            by_id[one.target.id].append(one)
        return [self._chosen(identity, ones) for identity, ones in by_id.items()]

    def _chosen(self, identity: TargetId, ones: Sequence[_One]) -> _One:
        first, *others = sorted(ones, key=lambda one: one.rank)
        if not others:
            return first
        what = " and ".join(_described(one) for one in (first, *others))
        told = f"{what} would both be {identity}: name them in targets, each with a name or type of its own"
        self._errors.append((f"backup {others[0].backup}", told))
        if others[0].rank == first.rank:
            self._problems[identity].append(told)
        return first


def _places(target: Target) -> Iterator[tuple[str, str]]:
    """What a target reads, so that it is not found twice."""
    uses = target.uses
    yield from (("volume", name) for name in uses.volumes)
    yield from (("path", path) for path in uses.paths)


def _described(one: _One) -> str:
    uses = one.target.uses
    what = [*(f"volume {name}" for name in uses.volumes), *uses.paths]
    where = f" of container {one.container}" if one.container else ""
    return f"{', '.join(what) or one.target.kind}{where}"
