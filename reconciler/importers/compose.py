"""A compose file and the files beside it to a Project: names, mounts, labels and settings, variables replaced.

Used by convert. It reads the file, ``.env`` beside it and what its ``env_file`` names; nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from reconciler.errors import SpecError
from reconciler.importers.project import Label, Mount, MountKind, Project, Service, slug, within
from reconciler.importers.reading import Node, read
from reconciler.importers.variables import Setting, assignments, substitute
from reconciler.spec.files import SpecFile, read_text
from reconciler.spec.problems import Problem, one_line

CONF_D = "/etc/dockervolumebackup/conf.d"
_VOLUME_MODES = re.compile(r"(ro|rw|z|Z|cached|delegated|consistent|nocopy|[rs]?(shared|slave|private)|,)+")
_UNREAD = {
    "include": "files that it includes are not read: import them one by one",
    "extends": "what it extends is not read: import the output of docker compose config instead",
    "configs": "configs are not read",
    "label_file": "its labels are not read: import the output of docker compose config instead",
    "profiles": "a Backup runs whether the profile is active or not",
    "volumes_from": "what it mounts from others is not read: list the volumes at the service",
}
_OVERRIDES = tuple(
    f"{stem}.override.{end}" for stem in ("compose", "docker-compose") for end in ("yaml", "yml")
)


def load(path: Path, environment: Mapping[str, str]) -> Project:
    """The compose file at ``path``. ``environment`` goes before ``.env``, as docker compose does it. Raises SpecError."""
    beside = path.parent / ".env"
    variables = dict(environment)
    if os.path.exists(beside):
        found = _settings_file(beside, variables)
        variables = {**{name: setting.value for name, setting in found.items()}, **variables}
    return _Loader(path, variables).project()


def _settings_file(path: Path, variables: Mapping[str, str]) -> dict[str, Setting]:
    try:
        return assignments(text_of(path), path.name, variables)
    except ValueError as error:
        raise SpecError((one_line(f"{path.parent}/{error}"),)) from None


def text_of(path: Path) -> str:
    """The text of a file under the limits for specs. Raises SpecError."""
    text = read_text(SpecFile(path, path.name))
    if isinstance(text, Problem):
        raise SpecError((str(text),))
    return text


class _Loader:
    """One compose file with its variables."""

    def __init__(self, path: Path, variables: Mapping[str, str]) -> None:
        self.path = path
        self.folder = path.absolute().parent
        self.variables = variables
        self.top = read(str(path), text_of(path)).mapping()
        self.name = self._project_name()
        self.secrets = self._secret_references()

    def project(self) -> Project:
        if "services" not in self.top:
            raise SpecError((f"{self.path}: no “services”: this is no compose file of version 2 or later",))
        services = tuple(self._service(name, node) for name, node in self.top["services"].mapping().items())
        mappings = [self.top, *(node.mapping() for node in self.top["services"].mapping().values())]
        unread = [
            (keys[key].place, key, why) for keys in mappings for key, why in _UNREAD.items() if key in keys
        ]
        unread += self._unread_files(services)
        return Project(
            name=self.name,
            file=self.path.name,
            services=services,
            volumes=self._volume_names(services),
            unread=tuple(unread),
        )

    def _unread_files(self, services: tuple[Service, ...]) -> Iterator[tuple[str, str, str]]:
        """Files that docker compose, or docker-volume-backup, would read and that nothing here does."""
        if self.path.stem in ("compose", "docker-compose"):
            beside = (name for name in _OVERRIDES if os.path.exists(self.folder / name))
            why = "docker compose reads it as well: import the output of docker compose config instead"
            yield from ((self.path.name, name, why) for name in beside)
        for service in services:
            for mount in service.mounts:
                if mount.kind != "bind" and within(CONF_D, mount.target):
                    yield (
                        mount.place,
                        service.name,
                        "the files of its conf.d lie in a volume: they are not read",
                    )

    def _text(self, node: Node) -> str:
        try:
            return substitute(node.text(), self.variables)
        except ValueError as error:
            raise node.error(str(error)) from None

    def _of(self, node: Node, key: str) -> str:
        """The text at ``key`` of a mapping; empty where there is none."""
        found = node.mapping().get(key)
        return self._text(found) if found else ""

    def _project_name(self) -> str:
        given = self.variables.get("COMPOSE_PROJECT_NAME", "")
        if not given and "name" in self.top:
            given = self._text(self.top["name"])
        name = re.sub(r"[^a-z0-9_-]", "", (given or self.folder.name).lower()).lstrip("_-")
        return name or "default"

    def _volume_names(self, services: tuple[Service, ...]) -> dict[str, str]:
        """The names that the Engine knows: given ones, else with the project's name before the key."""
        names = {
            mount.source: f"{self.name}_{mount.source}"
            for service in services
            for mount in service.mounts
            if mount.kind == "volume" and mount.source
        }
        for key, node in self.top["volumes"].mapping().items() if "volumes" in self.top else ():
            names[key] = self._volume_name(key, node)
        return names

    def _volume_name(self, key: str, node: Node) -> str:
        external = node.mapping().get("external")
        inside = self._of(external, "name") if external and isinstance(external.value, dict) else ""
        outside = external is not None and (bool(inside) or self._text(external).lower() == "true")
        return self._of(node, "name") or inside or (key if outside else f"{self.name}_{key}")

    def _secret_references(self) -> dict[str, dict[str, str]]:
        """What each secret of the file refers to; one that is made elsewhere refers to nothing."""
        found: dict[str, dict[str, str]] = {}
        for key, node in self.top["secrets"].mapping().items() if "secrets" in self.top else ():
            file, variable = self._of(node, "file"), self._of(node, "environment")
            found[key] = {"fromFile": self._path(file)} if file else {"fromEnv": variable} if variable else {}
        return found

    def _path(self, text: str) -> str:
        """An absolute path of this machine."""
        home = self.variables.get("HOME", "")
        expanded = home + text[1:] if home and (text == "~" or text.startswith("~/")) else text
        return os.path.normpath(self.folder / expanded)

    def _service(self, name: str, node: Node) -> Service:
        keys = node.mapping()
        container = self._of(node, "container_name") or f"{self.name}-{name}-1"
        return Service(
            name=name,
            place=node.place,
            image=self._of(node, "image"),
            container=container,
            settings=self._settings(keys.get("environment"), self._env_files(keys.get("env_file"))),
            labels={
                **self._labels(keys, swarm=False),
                **self._labels(keys["deploy"].mapping() if "deploy" in keys else {}, swarm=True),
            },
            mounts=tuple(self._mount(entry) for entry in _entries(keys.get("volumes"))),
            secrets=dict(self._secret(entry) for entry in _entries(keys.get("secrets"))),
        )

    def _pairs(self, node: Node | None) -> Iterator[tuple[str, Node, str | None]]:
        """Names with the node and the text of their values, from a mapping or from a list of ``NAME=value``."""
        if node is None:
            return
        if isinstance(node.value, dict):
            yield from (
                (key, value, None if value.value is None else value.text())
                for key, value in node.value.items()
            )
            return
        for item in node.items():
            name, equals, value = item.text().partition("=")
            yield name.strip(), item, value if equals else None

    def _settings(self, node: Node | None, files: Mapping[str, Setting]) -> dict[str, Setting]:
        """The environment, before what the files give. A name without a value takes that of the variables.

        One that is not set here may be where docker compose runs, so it stays, without a value.
        """
        found = dict(files)
        for name, where, raw in self._pairs(node):
            if raw is None and name not in self.variables:
                found.setdefault(name, Setting("", f"${{{name}}}", where.place))
            elif raw is None:
                found[name] = Setting(self.variables[name], f"${{{name}}}", where.place)
            else:
                found[name] = Setting(self._text(where._replace(value=raw)), raw, where.place)
        return found

    def _labels(self, keys: Mapping[str, Node], *, swarm: bool) -> dict[str, Label]:
        return {
            name: Label(self._text(where._replace(value=raw or "")), where.place, swarm)
            for name, where, raw in self._pairs(keys.get("labels"))
        }

    def _env_files(self, node: Node | None) -> dict[str, Setting]:
        found: dict[str, Setting] = {}
        entries = [node] if node is not None and isinstance(node.value, str) else _entries(node)
        for entry in entries:
            named = self._of(entry, "path") if isinstance(entry.value, dict) else self._text(entry)
            path = Path(self._path(named))
            if not os.path.exists(path):
                if isinstance(entry.value, dict) and self._of(entry, "required").lower() == "false":
                    continue
                raise entry.error(f"the env_file {named} is not there: import where all files are")
            found |= _settings_file(path, self.variables)
        return found

    def _mount(self, node: Node) -> Mount:
        if isinstance(node.value, dict):
            return self._long_mount(node)
        parts = self._text(node).split(":")
        if len(parts) > 1 and _VOLUME_MODES.fullmatch(parts[-1]):
            parts.pop()
        if len(parts) == 1:
            return Mount("other", "", _clean(parts[0]), node.place)
        source, target = ":".join(parts[:-1]), _clean(parts[-1])
        if source.startswith((".", "/", "~")):
            return Mount("bind", self._path(source), target, node.place)
        return Mount("volume" if source else "other", source, target, node.place)

    def _long_mount(self, node: Node) -> Mount:
        source, target = self._of(node, "source") or self._of(node, "src"), ""
        for key in ("target", "dst", "destination"):
            target = target or self._of(node, key)
        kinds: dict[str, MountKind] = {"bind": "bind", "volume": "volume", "": "volume"}
        kind = kinds.get(self._of(node, "type"), "other") if source else "other"
        return Mount(kind, self._path(source) if kind == "bind" else source, _clean(target), node.place)

    def _secret(self, node: Node) -> tuple[str, dict[str, str]]:
        """Where a secret lies in the container, and what it refers to."""
        if isinstance(node.value, dict):
            source = self._of(node, "source")
            target = self._of(node, "target") or source
        else:
            source = target = self._text(node)
        path = target if target.startswith("/") else f"/run/secrets/{target}"
        return path, self.secrets.get(source, {})


def _entries(node: Node | None) -> list[Node]:
    return node.items() if node is not None else []


def _clean(path: str) -> str:
    return os.path.normpath(path) if path else ""


def conf_files(
    service: Service, environment: Mapping[str, str]
) -> Iterator[tuple[str, Mapping[str, Setting]]]:
    """The files of docker-volume-backup's ``conf.d`` that a service mounts from this machine: stem and settings."""
    values = {**environment, **{name: setting.value for name, setting in service.settings.items()}}
    for mount in service.mounts:
        if mount.kind != "bind":
            continue
        source = Path(mount.source)
        if within(CONF_D, mount.target):  # the folder itself, or one above it
            source /= os.path.relpath(CONF_D, mount.target)
            if mount.target != CONF_D and not source.is_dir():
                continue
        elif not within(mount.target, CONF_D):
            continue
        for file in _files(source, mount.place):
            yield slug(file.stem), _settings_file(file, values)


def _files(source: Path, place: str) -> list[Path]:
    """The files in a folder, or the one file. Raises SpecError when they are not there, or cannot be listed."""
    try:
        found = sorted(source.iterdir()) if source.is_dir() else [source]
        files = [file for file in found if file.is_file()]
    except OSError as error:
        raise SpecError((one_line(f"{place}: {source} cannot be read: {error.strerror}"),)) from None
    if not files and not source.is_dir():
        raise SpecError((one_line(f"{place}: {source} is not there: import where all files are"),))
    return files
