"""``discover``: targets of what the Engine holds at the moment. Pure; used by ``resolve``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from reconciler.model import Discover, Target
from reconciler.observe.mounts import slug, volume_type
from reconciler.ports import Container, Volume
from reconciler.targets.container import ContainerTarget
from reconciler.targets.volume import VolumeTarget

_COMPOSE = "com.docker.compose."


class Found(NamedTuple):
    """Targets, those of containers still to be expanded; and what was left out, with why."""

    targets: tuple[Target, ...]
    notes: tuple[str, ...] = ()


def discovered(
    asked: Discover,
    containers: Collection[Container],
    volumes: Mapping[str, Volume],
    taken: Collection[str],
) -> Found:
    """What ``asked`` finds. ``taken`` are volumes that targets of the specs name: those go first."""
    of_containers = _containers(asked, containers) if asked.label else ()
    mounted = {name for item in of_containers for name in item.volumes}
    kept: list[Target] = [
        ContainerTarget(name=slug(item.labels.get(f"{_COMPOSE}service") or item.name), container=item.name)
        for item in of_containers
    ]
    notes = []
    for volume in sorted(_volumes(asked, volumes), key=lambda item: item.name):
        if volume.name in taken or volume.name in mounted:
            continue
        if re.fullmatch("[0-9a-f]{64}", volume.name):
            notes.append(f"volume {volume.name[:12]}… has no name of its own: left out")
            continue
        kept.append(_volume(volume, containers, volumes))
    return Found(tuple(kept), tuple(notes))


def _containers(asked: Discover, containers: Collection[Container]) -> tuple[Container, ...]:
    project = asked.compose_project
    return tuple(
        item
        for item in containers
        if _matches(asked.label, item.labels)
        and (not project or item.labels.get(f"{_COMPOSE}project") == project)
    )


def _volumes(asked: Discover, volumes: Mapping[str, Volume]) -> list[Volume]:
    project = asked.compose_project
    return [
        item
        for item in volumes.values()
        if (not asked.label or _matches(asked.label, item.labels))
        and (not project or item.labels.get(f"{_COMPOSE}project") == project)
    ]


def _matches(asked: str | None, labels: Mapping[str, str]) -> bool:
    key, equals, value = (asked or "").partition("=")
    return key in labels and (not equals or labels[key] == value)


def _volume(volume: Volume, containers: Collection[Container], volumes: Mapping[str, Volume]) -> VolumeTarget:
    """Named after the one service that mounts it, else after the project, else after itself."""
    services = {
        item.labels.get(f"{_COMPOSE}service", "") for item in containers if volume.name in item.volumes
    } - {""}
    project = volume.labels.get(f"{_COMPOSE}project", "")
    service = services.pop() if len(services) == 1 else project
    if not service:
        return VolumeTarget(name=slug(volume.name), volume=volume.name)
    return VolumeTarget(name=slug(service), type=volume_type(volume.name, volumes), volume=volume.name)
