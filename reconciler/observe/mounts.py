"""A container's mounts as targets: each gets a name, and becomes a volume, a path, or stays with its container.

Pure but for a look at what kind of file a bind mount is. Used by ``resolve`` and ``discover``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from reconciler.model import Hook, Target
from reconciler.observe.labels import VOLUMES
from reconciler.ports import Container, Mount, Volume
from reconciler.targets.container import ContainerTarget
from reconciler.targets.path import PathTarget
from reconciler.targets.volume import VolumeTarget


class Expanded(NamedTuple):
    """The targets of one container, why it cannot be told, and what was left out."""

    targets: tuple[Target, ...]
    problem: str = ""
    notes: tuple[str, ...] = ()


def expand(target: ContainerTarget, container: Container, volumes: Mapping[str, Volume]) -> Expanded:
    """A target for each mount that is chosen."""
    named = {mount.destination: _names(mount, volumes) for mount in container.mounts}
    wanted = target.mounts or _listed(container.labels.get(VOLUMES, ""))
    missing = [word for word in wanted if not any(word in names for names in named.values())]
    if missing:
        there = ", ".join(f"{names[0]} ({place})" for place, names in named.items()) or "none"
        return Expanded(
            (), f"container {container.name} has no mount {', '.join(missing)}; there are: {there}"
        )
    chosen = [
        mount for mount in container.mounts if not wanted or set(wanted) & set(named[mount.destination])
    ]
    notes = tuple(
        f"{mount.destination} is no folder and no file: left out" for mount in chosen if _is_odd(mount)
    )
    kept = [mount for mount in chosen if not _is_odd(mount)]
    if not kept:
        return Expanded((), f"container {container.name} has no mount that holds data", notes)
    types = _types(kept, named, target.type)
    made = tuple(_target(target, container, mount, type_) for mount, type_ in zip(kept, types, strict=True))
    return Expanded(made, notes=notes)


def slug(text: str) -> str:
    """``text`` as a service or type may be written."""
    return re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip(".-")[:63] or "data"


def volume_type(name: str, volumes: Mapping[str, Volume]) -> str:
    """What a volume is called: by compose, where that made it."""
    volume = volumes.get(name)
    return slug((volume.labels if volume else {}).get("com.docker.compose.volume") or name)


def _names(mount: Mount, volumes: Mapping[str, Volume]) -> tuple[str, ...]:
    """Every name by which a mount can be chosen; the first is the type of its target."""
    last = mount.destination.rstrip("/").rpartition("/")[2] or "root"
    if mount.type != "volume" or _is_anonymous(mount.name):
        return (slug(last), last, mount.destination, mount.name)
    return (volume_type(mount.name, volumes), mount.name, last, mount.destination)


def _is_anonymous(name: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", name) is not None


def _listed(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _is_odd(mount: Mount) -> bool:
    """Whether it is a socket or a device: nothing to back up."""
    if mount.type == "tmpfs":
        return False
    place = Path(mount.source)
    return bool(mount.source) and place.exists() and not (place.is_dir() or place.is_file())


def _types(mounts: list[Mount], named: Mapping[str, tuple[str, ...]], given: str | None) -> list[str]:
    """A type for each; where two would be the same, the whole path in the container tells them apart."""
    firsts = [named[mount.destination][0] for mount in mounts]
    if given:
        return [given] if len(mounts) == 1 else [f"{given}-{first}" for first in firsts]
    return [
        first if firsts.count(first) == 1 else slug(mount.destination)
        for first, mount in zip(firsts, mounts, strict=True)
    ]


def _target(target: ContainerTarget, container: Container, mount: Mount, type_: str) -> Target:
    hooks = tuple(_placed(hook, container.name) for hook in target.hooks)
    name, quiesce, exclude = target.name, target.quiesce, target.exclude
    if mount.type == "volume":
        return VolumeTarget(
            name=name, type=type_, volume=mount.name, exclude=exclude, hooks=hooks, quiesce=quiesce
        )
    if mount.type == "bind" and Path(mount.source).exists():
        return PathTarget(
            name=name, type=type_, path=mount.source, exclude=exclude, hooks=hooks, quiesce=quiesce
        )
    return msgspec.structs.replace(target, type=type_, mounts=(mount.destination,), hooks=hooks)


def _placed(hook: Hook, container: str) -> Hook:
    """The hook with the container as its own, where it names none."""
    if hook.exec is None or hook.exec.container:
        return hook
    return msgspec.structs.replace(hook, exec=msgspec.structs.replace(hook.exec, container=container))
