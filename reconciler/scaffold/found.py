"""What the Engine holds, as projects such as those of compose files, so that the same proposals are made of both.

Used by the command line before anything is written. It only asks: no command is run in a container, no value of a variable kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from reconciler.importers.project import Label, Mount, Project, Service, free, slug
from reconciler.importers.settings import is_backup
from reconciler.importers.variables import Setting
from reconciler.observe.discover import COMPOSE
from reconciler.observe.mounts import is_anonymous
from reconciler.ports import Container, Engine, Volume
from reconciler.ports import Mount as EngineMount

_STACK = "com.docker.stack.namespace"
_DOWN = "its container did not run"
_TASK = "the containers of a Swarm service change their names"


class Look(NamedTuple):
    """Compose projects and stacks; ``others``: containers and volumes of none.

    ``nameless``: volumes that nothing can name. ``importable``: what runs a docker-volume-backup, whose settings can be had
    from its compose file: the path of that, or the name of the container.
    """

    projects: tuple[Project, ...] = ()
    others: tuple[Project, ...] = ()
    nameless: int = 0
    importable: tuple[str, ...] = ()


class _Group(NamedTuple):
    """What makes one project: a compose project or stack, or one container or volume alone."""

    name: str
    alone: bool


def look(engine: Engine) -> Look:
    """What there is now. Raises EngineError."""
    listed = sorted(engine.containers(), key=lambda item: (not item.is_up, item.name))
    return sort_out([engine.container(item.id) or item for item in listed], engine.volumes())


def sort_out(containers: Iterable[Container], volumes: Iterable[Volume]) -> Look:
    """The projects, each with a name of its own."""
    lasting = _one_of_each_task(item for item in containers if item.labels.get(f"{COMPOSE}oneoff") != "True")
    backups = [item for item in lasting if is_backup(_service(item, {}))]
    kept = [item for item in lasting if item not in backups]
    named = [volume for volume in volumes if not is_anonymous(volume.name)]
    owners = {volume.name: _owner(volume, kept) for volume in named}
    taken: dict[str, None] = {}
    projects: dict[bool, list[Project]] = {False: [], True: []}
    for group in sorted({*map(_group, kept), *owners.values()}, key=lambda group: (group.alone, group.name)):
        name = free(slug(group.name), taken)
        taken[name] = None
        inside = [item for item in kept if _group(item) == group]
        owned = [volume for volume in named if owners[volume.name] == group]
        projects[group.alone].append(_project(name, inside, owned))
    nameless = len({name for item in kept for name in item.volumes if is_anonymous(name)})
    importable = tuple(item.labels.get(f"{COMPOSE}project.config_files") or item.name for item in backups)
    return Look(tuple(projects[False]), tuple(projects[True]), nameless, tuple(dict.fromkeys(importable)))


def _one_of_each_task(containers: Iterable[Container]) -> list[Container]:
    """Without further tasks of a Swarm service: the first stands for all, and those that run come first."""
    kept: dict[str, Container] = {}
    for item in containers:
        kept.setdefault(f"service {item.service}" if item.service else f"container {item.name}", item)
    return list(kept.values())


def _group(item: Container) -> _Group:
    project = item.labels.get(f"{COMPOSE}project") or item.labels.get(_STACK, "")
    return _Group(project or item.name, alone=not project)


def _owner(volume: Volume, containers: Iterable[Container]) -> _Group:
    """The project that made the volume, else one that uses it, else the volume alone."""
    if project := volume.labels.get(f"{COMPOSE}project") or volume.labels.get(_STACK, ""):
        return _Group(project, alone=False)
    users = [_group(item) for item in containers if volume.name in item.volumes]
    return min(users, key=lambda group: (group.alone, group.name), default=_Group(volume.name, alone=True))


def _project(name: str, containers: list[Container], volumes: list[Volume]) -> Project:
    keys: dict[str, str] = {}
    for volume in volumes:
        key = volume.labels.get(f"{COMPOSE}volume") or (volume.name if containers else "data")
        keys[volume.name] = free(key, keys.values())
    return Project(
        name=name,
        services=tuple(_service(item, keys) for item in containers),
        volumes={keys[volume.name]: volume.name for volume in volumes},
    )


def _service(item: Container, keys: dict[str, str]) -> Service:
    """A container as a service; of its environment and labels the names alone. One of no project is called after its image."""
    found = Service(
        name=item.labels.get(f"{COMPOSE}service") or item.service.removeprefix(f"{item.labels.get(_STACK)}_"),
        place="",
        image=item.image,
        container=item.name,
        settings={name: Setting("", "", "") for name in item.variables},
        labels={name: Label("", "") for name in item.labels},
        mounts=tuple(_mount(mount, keys) for mount in item.mounts),
        closed=_TASK if item.service else "" if item.is_up else _DOWN,
    )
    return found if found.name else msgspec.structs.replace(found, name=_last(found.repository) or item.name)


def _last(repository: str) -> str:
    """The last word of an image's name; empty where it has an id alone."""
    return "" if repository == "sha256" else repository.rpartition("/")[2]


def _mount(mount: EngineMount, keys: dict[str, str]) -> Mount:
    """A volume of another project is none of this one's."""
    if mount.type == "volume" and mount.name in keys:
        return Mount("volume", keys[mount.name], mount.destination, "")
    if mount.type == "bind" and mount.source:
        return Mount("bind", mount.source, mount.destination, "")
    return Mount("other", "", mount.destination, "")
