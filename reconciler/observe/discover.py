"""``discover``: targets of what the Engine holds at the moment. Pure; used by ``gather``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from reconciler.model import Discover, Target
from reconciler.observe.mounts import is_anonymous, slug, volume_type
from reconciler.ports import Container, Volume
from reconciler.targets.container import ContainerTarget
from reconciler.targets.volume import VolumeTarget

COMPOSE = "com.docker.compose."
"""What the names of labels begin with that docker compose gives."""


class Found(NamedTuple):
    """Targets, those of containers still to be expanded; and what was left out, with why."""

    targets: tuple[Target, ...]
    left_out: tuple[str, ...] = ()


def discovered(asked: Discover, containers: Collection[Container], volumes: Mapping[str, Volume]) -> Found:
    """What ``asked`` finds: containers first, by name, then volumes."""
    kept: list[Target] = []
    for item in sorted(_containers(asked, containers) if asked.label else (), key=lambda item: item.name):
        service = item.labels.get(f"{COMPOSE}service") or item.service or item.name
        kept.append(ContainerTarget(name=slug(service), container=item.name))
    left_out = []
    for volume in sorted(_volumes(asked, volumes), key=lambda item: item.name):
        if is_anonymous(volume.name):
            left_out.append(f"volume {volume.name[:12]}… is left out: it has no name of its own")
        else:
            kept.append(_volume(volume, containers, volumes))
    return Found(tuple(kept), tuple(left_out))


def _containers(asked: Discover, containers: Collection[Container]) -> tuple[Container, ...]:
    project = asked.compose_project
    return tuple(
        item
        for item in containers
        if _matches(asked.label, item.labels)
        and (not project or item.labels.get(f"{COMPOSE}project") == project)
    )


def _volumes(asked: Discover, volumes: Mapping[str, Volume]) -> list[Volume]:
    project = asked.compose_project
    return [
        item
        for item in volumes.values()
        if (not asked.label or _matches(asked.label, item.labels))
        and (not project or item.labels.get(f"{COMPOSE}project") == project)
    ]


def _matches(asked: str | None, labels: Mapping[str, str]) -> bool:
    key, equals, value = (asked or "").partition("=")
    return key in labels and (not equals or labels[key] == value)


def _volume(volume: Volume, containers: Collection[Container], volumes: Mapping[str, Volume]) -> VolumeTarget:
    """Named after the one service that mounts it, else after the project, else after itself."""
    services = {
        item.labels.get(f"{COMPOSE}service", "") for item in containers if volume.name in item.volumes
    } - {""}
    project = volume.labels.get(f"{COMPOSE}project", "")
    service = services.pop() if len(services) == 1 else project
    if not service:
        return VolumeTarget(name=slug(volume.name), volume=volume.name)
    return VolumeTarget(name=slug(service), type=volume_type(volume.name, volumes), volume=volume.name)
