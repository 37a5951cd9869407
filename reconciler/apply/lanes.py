"""Which actions may go on at the same time. Pure, but for links of this machine that are followed. Used by ``side_by_side``.

Targets that share a volume, a path or a container take turns. So do those whose containers are held, since two that are read
at once are down for longer each; and while one is held, no other is read through a container, which may need the held one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from reconciler.holders import overlap, real
from reconciler.lifecycle.hooks import hooks_of
from reconciler.model import Create, Fleet, Replicate, Target

Moving = Create | Replicate
"""What moves an artifact, and can go on beside others."""


class Touched(NamedTuple):
    """What reading a target touches: ``names`` of volumes and containers, real ``paths``.

    ``holds``: containers are stopped or paused meanwhile. ``inside``: commands run in containers.
    """

    names: frozenset[str] = frozenset()
    paths: tuple[PurePosixPath, ...] = ()
    holds: bool = False
    inside: bool = False

    def clashes(self, other: Touched) -> bool:
        """Whether the two must not be read at the same time."""
        if (self.holds and (other.holds or other.inside)) or (other.holds and self.inside):
            return True
        if self.names & other.names:
            return True
        return any(overlap(one, two) for one in self.paths for two in other.paths)


class Lanes:
    """Knows of every target what it touches, and of every destination how much it bears."""

    def __init__(self, fleet: Fleet) -> None:
        self._touched = {
            target.id: _touched(fleet, target) for backup in fleet.backups for target in backup.targets
        }
        self._most = {item.name: item.connections for item in fleet.destinations if item.connections}

    def next(self, waiting: Sequence[Moving], going: Collection[Moving]) -> Moving | None:
        """The first of ``waiting`` that may begin beside ``going``; a target's own keep their order. None when none may."""
        passed = {action.target for action in going}
        used = Counter(place for action in going for place in _places(action))
        for action in waiting:
            if action.target in passed:
                continue
            if self._fits(action, going, used):
                return action
            passed.add(action.target)
        return None

    def _fits(self, action: Moving, going: Collection[Moving], used: Mapping[str, int]) -> bool:
        if any(used[place] >= self._most.get(place, used[place] + 1) for place in _places(action)):
            return False
        if isinstance(action, Replicate):
            return True
        own = self._touched.get(action.target, Touched())
        reading = (item.target for item in going if isinstance(item, Create))
        return not any(own.clashes(self._touched.get(target, Touched())) for target in reading)


def _places(action: Moving) -> tuple[str, ...]:
    """The destinations that it goes to, or comes from."""
    if isinstance(action, Create):
        return action.destinations
    return (action.destination, *action.sources[:1])


def _touched(fleet: Fleet, target: Target) -> Touched:
    quiesce = fleet.quiesce_of(target.id)
    stops = fleet.live.stops.get(target.id, ())
    within = {placed.hook.exec.container for placed in hooks_of(fleet, target.id) if placed.hook.exec}
    own = fleet.live.containers.get(target.id, target.uses.container)
    containers = {own, *within, *(quiesce.containers if quiesce else ()), *(stop.container for stop in stops)}
    return Touched(
        names=frozenset(
            (
                *(f"volume {name}" for name in target.uses.volumes),
                *(f"container {name}" for name in containers if name),
            )
        ),
        paths=tuple(map(real, target.uses.paths)),
        holds=bool(stops) or (quiesce is not None and quiesce.mode != "none"),
        inside=bool(own or within),
    )
