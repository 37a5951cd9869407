"""What the labels of all containers add to the targets: hooks, stops, and what is wrong with them. Used by ``resolve``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from reconciler.holders import holders
from reconciler.model import Backup, LabelStop, Placed, Target, TargetId
from reconciler.observe.discover import COMPOSE
from reconciler.observe.gather import Gathered, Now
from reconciler.observe.labels import NONE, Labelled, offen, strangers, velero
from reconciler.observe.meant import Beside, meant
from reconciler.ports import Container


class Labels:
    """Looks at every container for every Backup that reads labels. ``problems`` are added to those of ``gathered``."""

    def __init__(self, gathered: Gathered, now: Now) -> None:
        self.hooks: dict[TargetId, list[Placed]] = defaultdict(list)
        self.stops: dict[TargetId, list[LabelStop]] = defaultdict(list)
        self.warnings: list[tuple[str, str]] = []
        self.errors: list[tuple[str, str]] = []
        self._gathered = gathered
        self._now = now
        self._readers = [backup for backup in gathered.backups if backup.hooks_from_labels]
        self._services: dict[str, Mapping[str, str]] = {}

    def read(self) -> None:
        """Fill the fields. Raises EngineError where a Swarm service cannot be looked at."""
        named = frozenset(backup.exec_label for backup in self._readers if backup.exec_label)
        for container in sorted(self._now.containers, key=lambda item: item.name):
            owned = {backup.name: self._own(container, backup) for backup in self._readers}
            for backup in self._readers:
                claimed = any(own for name, own in owned.items() if name != backup.name)
                self._read(backup, container, Beside(owned[backup.name], claimed, named))

    def _read(self, backup: Backup, container: Container, beside: Beside) -> None:
        labelled = self._labelled(backup, container)
        does = meant(backup, labelled, beside)
        subject = f"container {container.name}"
        self.warnings += [(subject, text) for text in does.warnings]
        if beside.own and (others := strangers(container.labels, backup.hooks_from_labels or "velero")):
            asked = f"hooksFromLabels of backup {backup.name} is {backup.hooks_from_labels}"
            self.warnings.append((subject, f"its labels {', '.join(others)} are not read: {asked}"))
        if does.errors:
            self.errors += [(subject, text) for text in labelled.errors]
            for target in does.errors:
                self._gathered.problems[target] += [f"{subject}: {text}" for text in labelled.errors]
        if does.commands and labelled.hooks and not container.is_up:
            self.warnings.append(
                (subject, f"it is {container.state}, so the commands of its labels do not run")
            )
        for target in does.commands if container.is_up else ():
            self.hooks[target] += [Placed(subject, hook, paired=True) for hook in labelled.hooks]
        for target in does.stops:
            self.stops[target].append(LabelStop(container.name, labelled.restart))

    def _labelled(self, backup: Backup, container: Container) -> Labelled:
        if backup.hooks_from_labels == "docker-volume-backup":
            return offen(container, self._of_service(container.service))
        return velero(container, self._siblings(container))

    def _of_service(self, name: str) -> Mapping[str, str]:
        """The labels of a Swarm service; none where this Engine does not manage the Swarm."""
        if name and name not in self._services:
            found = self._now.engine.service(name)
            self._services[name] = found.labels if found else NONE
        return self._services.get(name, NONE)

    def _siblings(self, container: Container) -> dict[str, str]:
        """Containers by name, and by compose service of the same project; where there are several, itself or the first."""
        project = container.labels.get(f"{COMPOSE}project")
        names = {item.name: item.name for item in self._now.containers}
        services = {
            item.labels.get(f"{COMPOSE}service", ""): item.name
            for item in sorted(self._now.containers, key=lambda item: item.name, reverse=True)
            if project and item.labels.get(f"{COMPOSE}project") == project
        }
        own = {container.labels.get(f"{COMPOSE}service", ""): container.name}
        return names | services | own | {container.name: container.name}

    def _own(self, container: Container, backup: Backup) -> tuple[TargetId, ...]:
        return tuple(target.id for target in backup.targets if self._holds(container, target))

    def _holds(self, container: Container, target: Target) -> bool:
        """Whether the target is the container's: it was found in it, runs in it, or reads what it mounts."""
        if container.name in (target.uses.container, self._gathered.containers.get(target.id)):
            return True
        return bool(holders([container], target.uses, self._now.volumes.values(), readers=True))
