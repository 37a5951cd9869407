"""The specs and the containers of the moment → the fleet as it is now: what labels and discovery add to it.

Called by the loop before every look. The Engine is asked once, and only when a Backup needs it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from reconciler.errors import EngineError
from reconciler.holders import holders
from reconciler.model import Backup, Fleet, LabelStop, Live, Placed, Target, TargetId
from reconciler.observe.discover import discovered
from reconciler.observe.labels import Labelled, offen, velero
from reconciler.observe.mounts import expand
from reconciler.ports import Container, Engine, Volume, World
from reconciler.targets.container import ContainerTarget

_COMPOSE = "com.docker.compose."


def resolve(fleet: Fleet, world: World) -> Fleet:
    """The fleet with concrete targets, and what labels add. An Engine that does not answer is a problem of what needs it."""
    if not any(map(_needs_engine, fleet.backups)):
        return fleet
    try:
        engine = world.host.engine()
        present = engine.containers()
        volumes = {volume.name: volume for volume in engine.volumes()}
    except EngineError as error:
        return msgspec.structs.replace(fleet, live=_blind(fleet, str(error)))
    return _Resolving(fleet, engine, present, volumes).fleet()


def _needs_engine(backup: Backup) -> bool:
    if backup.suspend:
        return False
    quiesced = backup.quiesce is not None or any(target.quiesce for target in backup.targets)
    of_containers = any(isinstance(target, ContainerTarget) for target in backup.targets)
    return bool(backup.hooks_from_labels or backup.discover or quiesced or of_containers)


def _blind(fleet: Fleet, why: str) -> Live:
    """The Engine does not answer: what needs it is not backed up, and nothing that it alone knows is an orphan."""
    problems: dict[TargetId, str] = {}
    unresolved: list[str] = []
    errors: list[tuple[str, str]] = []
    for backup in fleet.backups:
        for target in backup.targets:
            if backup.hooks_from_labels or isinstance(target, ContainerTarget) or fleet.quiesce_of(target.id):
                problems[target.id] = why
            if isinstance(target, ContainerTarget):
                unresolved.append(target.name)
        if backup.discover and not backup.suspend:
            errors.append((f"backup {backup.name}", f"nothing can be discovered: {why}"))
    return Live(problems=problems, unresolved=tuple(unresolved), errors=tuple(errors))


class _Resolving:
    """One fleet, being looked at beside the containers of the moment."""

    def __init__(
        self, fleet: Fleet, engine: Engine, present: tuple[Container, ...], volumes: Mapping[str, Volume]
    ) -> None:
        self._specs = fleet
        self._engine = engine
        self._present = present
        self._volumes = volumes
        self._hooks: dict[TargetId, list[Placed]] = defaultdict(list)
        self._stops: dict[TargetId, list[LabelStop]] = defaultdict(list)
        self._holds: dict[TargetId, tuple[str, ...]] = {}
        self._problems: dict[TargetId, list[str]] = defaultdict(list)
        self._containers: dict[TargetId, str] = {}
        self._unresolved: list[str] = []
        self._notes: list[tuple[str, str]] = []
        self._errors: list[tuple[str, str]] = []
        self._seen: set[TargetId] = set()

    def fleet(self) -> Fleet:
        """The fleet as it is now."""
        backups = tuple(self._expanded(backup) for backup in self._specs.backups)
        found = msgspec.structs.replace(self._specs, backups=backups)
        for backup in backups:
            if backup.hooks_from_labels:
                self._labels(backup)
        for backup in backups:
            for target in backup.targets:
                self._hold(found, target)
        live = Live(
            hooks={key: tuple(value) for key, value in self._hooks.items()},
            stops={key: tuple(value) for key, value in self._stops.items()},
            holds=self._holds,
            problems={key: "; ".join(value) for key, value in self._problems.items()},
            containers=self._containers,
            unresolved=tuple(self._unresolved),
            notes=tuple(self._notes),
            errors=tuple(self._errors),
        )
        return msgspec.structs.replace(found, live=live)

    def _expanded(self, backup: Backup) -> Backup:
        """The backup with a target for every mount and every discovered thing."""
        if backup.suspend:
            return backup
        targets = [made for target in backup.targets for made in self._concrete(target)]
        if backup.discover:
            taken = {
                name
                for item in self._specs.backups
                for target in item.targets
                for name in target.uses.volumes
            }
            found = discovered(backup.discover, self._present, self._volumes, taken)
            more = [made for target in found.targets for made in self._concrete(target)]
            self._tell(backup, more, found.notes)
            targets += more
        return msgspec.structs.replace(backup, targets=tuple(self._unique(backup, targets)))

    def _tell(self, backup: Backup, found: list[Target], left_out: Iterable[str]) -> None:
        subject = f"backup {backup.name}"
        what = ", ".join(str(target.id) for target in found) or "nothing"
        self._notes.append((subject, f"discovered: {what}"))
        self._notes += [(subject, text) for text in left_out]

    def _unique(self, backup: Backup, targets: list[Target]) -> Iterable[Target]:
        for target in targets:
            if target.id in self._seen:
                self._errors.append(
                    (
                        f"backup {backup.name}",
                        f"{target.id} is found twice: the second is left out; name it in targets",
                    )
                )
                continue
            self._seen.add(target.id)
            yield target

    def _concrete(self, target: Target) -> list[Target]:
        if not isinstance(target, ContainerTarget):
            return [target]
        container = self._engine.container(target.container)
        if container is None:
            self._unresolved.append(target.name)
            return [target]
        expanded = expand(target, container, self._volumes)
        self._notes += [(f"container {container.name}", text) for text in expanded.notes]
        if expanded.problem:
            self._unresolved.append(target.name)
            self._problems[target.id].append(expanded.problem)
            return [target]
        self._containers.update((made.id, container.name) for made in expanded.targets)
        return list(expanded.targets)

    def _labels(self, backup: Backup) -> None:
        for container in sorted(self._present, key=lambda item: item.name):
            labelled = self._labelled(backup, container)
            own = [target.id for target in backup.targets if self._is_of(container, target)]
            if not _concerns(backup, labelled, own):
                self._differs(backup, container, labelled)
                continue
            targets = own or [target.id for target in backup.targets]
            if labelled.errors:
                self._errors += [(f"container {container.name}", text) for text in labelled.errors]
                for target in targets:
                    self._problems[target] += [
                        f"container {container.name}: {text}" for text in labelled.errors
                    ]
            if labelled.hooks and not container.is_up:
                self._notes.append(
                    (f"container {container.name}", f"is {container.state}: its commands do not run")
                )
            for target in targets:
                self._add(backup, target, container, labelled)

    def _add(self, backup: Backup, target: TargetId, container: Container, labelled: Labelled) -> None:
        if container.is_up:
            self._hooks[target] += [Placed(f"container {container.name}", hook) for hook in labelled.hooks]
        for value, restart in ((labelled.stop, True), (labelled.stay, False)):
            if value and value == (backup.exec_label if value != "true" else "true"):
                self._stops[target].append(LabelStop(container.name, restart))

    def _labelled(self, backup: Backup, container: Container) -> Labelled:
        if backup.hooks_from_labels == "docker-volume-backup":
            return offen(container)
        project = container.labels.get(f"{_COMPOSE}project")
        siblings = {
            item.labels[f"{_COMPOSE}service"]: item.name
            for item in self._present
            if project
            and item.labels.get(f"{_COMPOSE}project") == project
            and f"{_COMPOSE}service" in item.labels
        }
        return velero(container, siblings)

    def _differs(self, backup: Backup, container: Container, labelled: Labelled) -> None:
        """Say where docker-volume-backup would have run commands that are not run here."""
        if labelled.hooks and labelled.tie and not backup.exec_label:
            why = f"backup {backup.name}, which has no execLabel and none of its volumes"
            told = f"its commands (exec-label {labelled.tie}) do not run for {why}; docker-volume-backup would run them"
            self._notes.append((f"container {container.name}", told))

    def _is_of(self, container: Container, target: Target) -> bool:
        if container.name in (target.uses.container, self._containers.get(target.id)):
            return True
        return bool(holders([container], target.uses)) or bool(
            set(container.volumes) & set(target.uses.volumes)
        )

    def _hold(self, fleet: Fleet, target: Target) -> None:
        """Say in words what is held while the target is read, and refuse what would destroy what is read."""
        quiesce = fleet.quiesce_of(target.id)
        stopped = [stop.container for stop in self._stops.get(target.id, ())]
        if quiesce and quiesce.containers:
            stopped += quiesce.containers
        elif quiesce:
            stopped += [
                item.name
                for item in holders(self._present, target.uses, self._volumes.values())
                if item.is_up
            ]
        mode = quiesce.mode if quiesce else "stop"
        if stopped:
            self._holds[target.id] = tuple(f"{mode} {name}" for name in dict.fromkeys(stopped))
        if isinstance(target, ContainerTarget) and mode == "stop" and target.container in stopped:
            lost = f"container {target.container} would lose {', '.join(target.mounts)} when it is stopped"
            self._problems[target.id].append(f"{lost}: use quiesce: pause")


def _concerns(backup: Backup, labelled: Labelled, own: list[TargetId]) -> bool:
    """Whether a container's labels are for this backup; see docs/labels.md."""
    asked = labelled.hooks or labelled.stop or labelled.stay or labelled.errors
    if not asked:
        return False
    if backup.hooks_from_labels == "velero":
        return bool(own)
    if backup.exec_label:
        return labelled.tie == backup.exec_label or backup.exec_label in (labelled.stop, labelled.stay)
    return not labelled.tie or bool(own)
