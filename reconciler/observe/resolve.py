"""The specs and the containers of the moment → the fleet as it is now: what labels and discovery add to it.

Called by the loop before every look. The Engine is asked once, and only when a Backup needs it.
"""

from __future__ import annotations

import msgspec

from reconciler.errors import EngineError
from reconciler.holders import holders
from reconciler.model import Backup, Fleet, LabelStop, Live, Quiesce, Target, TargetId
from reconciler.observe.gather import Now, gather
from reconciler.observe.labelled import Labels
from reconciler.ports import World
from reconciler.targets.container import ContainerTarget
from reconciler.targets.volume import is_in_memory


def resolve(fleet: Fleet, world: World) -> Fleet:
    """The fleet with concrete targets, and what labels add. An Engine that does not answer is a problem of what needs it."""
    if not any(map(_needs_engine, fleet.backups)):
        return fleet
    try:
        engine = world.host.engine()
        volumes = {volume.name: volume for volume in engine.volumes()}
        return _resolved(fleet, Now(engine, engine.containers(), volumes))
    except EngineError as error:
        return msgspec.structs.replace(fleet, live=_blind(fleet, str(error)))


def _needs_engine(backup: Backup) -> bool:
    """Also where it is suspended: what it would find are no orphans."""
    of_containers = any(isinstance(target, ContainerTarget) for target in backup.targets)
    quiesced = backup.quiesce is not None or any(target.quiesce for target in backup.targets)
    works = not backup.suspend and (backup.hooks_from_labels or quiesced)
    return bool(works or backup.discover or of_containers)


def _blind(fleet: Fleet, why: str) -> Live:
    """The Engine does not answer: what needs it is not backed up, and nothing that it alone knows is an orphan."""
    problems: dict[TargetId, str] = {}
    unresolved: list[str] = []
    errors: list[tuple[str, str]] = []
    for backup in fleet.backups:
        for target in backup.targets:
            is_container = isinstance(target, ContainerTarget)
            if backup.hooks_from_labels or is_container or fleet.quiesce_of(target.id):
                problems[target.id] = why
            if is_container:
                unresolved.append(target.name)
        if backup.discover and not backup.suspend:
            errors.append((f"backup {backup.name}", f"nothing can be discovered: {why}"))
    blind = any(backup.discover for backup in fleet.backups)
    return Live(problems=problems, unresolved=tuple(unresolved), blind=blind, errors=tuple(errors))


def _resolved(fleet: Fleet, now: Now) -> Fleet:
    """The same, with what an Engine that answers says. Raises EngineError."""
    gathered = gather(fleet, now)
    labels = Labels(gathered, now)
    labels.read()
    concrete = msgspec.structs.replace(fleet, backups=gathered.backups)
    holds: dict[TargetId, tuple[str, ...]] = {}
    for target in (target for backup in concrete.backups for target in backup.targets):
        stops = labels.stops.get(target.id, [])
        if held := _holds(concrete, target, stops, now):
            holds[target.id] = held
        if why := _loss(concrete, target, stops, now):
            gathered.problems[target.id].append(why)
    live = Live(
        hooks={key: tuple(value) for key, value in labels.hooks.items()},
        stops={key: tuple(value) for key, value in labels.stops.items()},
        holds=holds,
        problems={key: "; ".join(dict.fromkeys(value)) for key, value in gathered.problems.items() if value},
        containers=gathered.containers,
        unresolved=gathered.unresolved,
        found=gathered.found,
        warnings=(*gathered.warnings, *labels.warnings),
        errors=(*gathered.errors, *labels.errors),
    )
    return msgspec.structs.replace(concrete, live=live)


def _holds(fleet: Fleet, target: Target, stops: list[LabelStop], now: Now) -> tuple[str, ...]:
    """What is held while the target is read, in words."""
    quiesce = fleet.quiesce_of(target.id)
    idle = {item.name for item in now.containers if item.state not in ("running", "restarting")}
    mode = quiesce.mode if quiesce else "stop"
    names = _held_names(quiesce, target, stops, now)
    return tuple(f"{mode} {name}" for name in dict.fromkeys(names) if name not in idle)


def _held_names(quiesce: Quiesce | None, target: Target, stops: list[LabelStop], now: Now) -> list[str]:
    names = [stop.container for stop in stops]
    if quiesce and quiesce.containers:
        names += quiesce.containers
    elif quiesce:
        names += [item.name for item in holders(now.containers, target.uses, now.volumes.values())]
    return names


def _loss(fleet: Fleet, target: Target, stops: list[LabelStop], now: Now) -> str:
    """Why what is held would destroy what is read; empty where it would not."""
    quiesce = fleet.quiesce_of(target.id)
    if quiesce and quiesce.mode == "pause":
        return ""
    held = _held_names(quiesce, target, stops, now)
    if isinstance(target, ContainerTarget):
        if target.container not in held:
            return ""
        return (
            f"what lives in container {target.container} alone is lost when it is stopped: use quiesce: pause for it,"
            f" or leave it out with mounts"
        )
    for volume in (now.volumes[name] for name in target.uses.volumes if name in now.volumes):
        users = {item.name for item in now.containers if volume.name in item.volumes and item.is_up}
        if is_in_memory(volume.options) and users and users <= set(held):
            return (
                f"volume {volume.name} is a tmpfs: what it holds is lost when {', '.join(sorted(users))} is stopped,"
                f" as nothing else keeps it: use quiesce: pause for it"
            )
    return ""
