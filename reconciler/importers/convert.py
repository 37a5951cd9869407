"""A compose file to the text of specs. Called by the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from reconciler.errors import ReconcilerError
from reconciler.importers import backups, plain
from reconciler.importers.compose import conf_files, load
from reconciler.importers.emit import Noted, Off, comment, document
from reconciler.importers.findings import Findings
from reconciler.importers.places import Place, places
from reconciler.importers.project import Project, free, slug
from reconciler.importers.sealing import sealing
from reconciler.importers.settings import Config, configs_of, is_backup, tell_lost

_HEAD = "Made from {file} by `reconciler import compose`. Read it, change it, then: reconciler validate\n"


class Imported(msgspec.Struct, frozen=True):
    """Specs as text. ``files`` belong beside them, by path; ``sections`` are lists of what to look at, with titles."""

    name: str
    text: str
    files: Mapping[str, str]
    sections: tuple[tuple[str, list[str]], ...]


def imported(path: Path, environment: Mapping[str, str]) -> Imported:
    """The specs for a compose file; ``environment`` holds the variables beside those in ``.env``. Raises ReconcilerError."""
    project = load(path, environment)
    findings = Findings()
    for place, key, why in project.unread:
        findings.lose(place, key, why)
    configs = [
        config
        for service in project.services
        if is_backup(service)
        for config in configs_of(service, findings, conf_files(service, environment))
    ]
    made = _Fleet(project, findings)
    if configs:
        made.take(configs)
    else:
        made.propose()
    sections = tuple(findings.sections())
    return Imported(slug(project.name), _text(project, sections, made.documents), made.files, sections)


class _Fleet:
    """The documents that are made of one compose file."""

    def __init__(self, project: Project, findings: Findings) -> None:
        self.project = project
        self.findings = findings
        self.name = slug(project.name)
        self.documents: list[str] = []
        self.files: dict[str, str] = {}
        self.places: dict[str, str] = {}
        self.types: dict[str, str] = {}

    def take(self, configs: list[Config]) -> None:
        """Documents for every docker-volume-backup."""
        working = []
        for config in configs:
            if targets := list(backups.targets(config, self.project)):
                working.append((config, targets))
            else:
                why = "backs up nothing: no volume or folder is mounted where it looks"
                self.findings.lose(config.service.place, config.name, why)
        if not working:
            raise ReconcilerError(
                f"{self.project.file}: nothing is mounted where its docker-volume-backup looks"
            )
        documents = [self._backup(config, targets, single=len(working) == 1) for config, targets in working]
        self.documents += documents
        backups.tell_labels(self.project, configs)

    def propose(self) -> None:
        """Documents for everything that the file names."""
        targets = plain.proposed(self.project)
        if all(isinstance(target, Off) for target in targets):
            raise ReconcilerError(
                f"{self.project.file}: no docker-volume-backup, no volume and no known database in it"
            )
        destination = self._add("", f"{self.name}-local", plain.destination(self.project))
        spec = {**plain.backup([destination], self.project), "targets": targets}
        self.documents.append(document("Backup", self.name, spec))

    def _backup(self, config: Config, targets: list[dict[str, Any]], *, single: bool) -> str:
        """The Backup of one configuration; its Destinations that are new go into the documents."""
        name = self.name if single else slug(f"{self.name}-{config.name}")
        sealed = sealing(config, name)
        self.files |= sealed.files
        destinations = [self._destination(config, place) for place in places(config, self.project)]
        tell_lost(config)
        spec = backups.backup(config, self.project, sealed, destinations or [self._invented(config)])
        spec["targets"] = [self._identified(config, target) for target in targets]
        return document("Backup", name, spec)

    def _destination(self, config: Config, place: Place) -> str:
        """The name of a Destination; the same place has one name, whoever uses it."""
        if place.address in self.places:
            return self.places[place.address]
        spec = place.spec()
        unpruned = config.text("BACKUP_SKIP_BACKENDS_FROM_PRUNE").lower().split(",")
        if place.theirs in unpruned and not backups.keeps_all(config):
            spec["retention"] = Noted(backups.everything(config), "nothing is pruned here, as with theirs")
        return self._add(place.address, f"{self.name}-{place.kind}", spec)

    def _invented(self, config: Config) -> str:
        """A Destination in place of those that cannot be carried over."""
        spec = plain.destination(self.project)
        address = str(spec["url"].value)
        why = f"has no storage that is known here: {address} stands in"
        self.findings.differ(config.service.place, config.name, why)
        return self.places.get(address) or self._add(address, f"{self.name}-local", spec)

    def _add(self, address: str, name: str, spec: dict[str, Any]) -> str:
        chosen = free(name, self.places.values())
        self.places[address] = chosen
        self.documents.append(document("Destination", chosen, spec))
        return chosen

    def _identified(self, config: Config, target: dict[str, Any]) -> dict[str, Any] | Noted:
        """The target with a type of its own, also where several configurations read the same."""
        kind = target["type"]
        if kind not in self.types:
            self.types[kind] = config.name
            return target
        first = self.types[kind]
        own = free(slug(f"{kind}-{config.name}"), self.types)
        self.types[own] = config.name
        if first == config.name:
            return {**target, "type": own}
        why = (
            f"also read by {first}: one Backup with a retention such as {{daily: 7, weekly: 4}} replaces both"
        )
        return Noted({**target, "type": own}, why)


def _text(project: Project, sections: tuple[tuple[str, list[str]], ...], documents: list[str]) -> str:
    lists = "".join(f"\n{title}:\n" + "".join(f"- {entry}\n" for entry in found) for title, found in sections)
    head = comment((_HEAD.format(file=project.file) + lists).rstrip("\n"))
    return head + "---\n".join(documents)
