"""A container's mounts as targets: each gets a name, and becomes a volume, a path, or stays with its container.

Pure but for a look at bind mounts: what kind of file it is, and whether it is one of this machine. Used by ``gather``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from reconciler.model import Hook, Target
from reconciler.observe.labels import VOLUMES, VOLUMES_NOT
from reconciler.pipeline.inside import is_same
from reconciler.ports import Container, Mount, Volume
from reconciler.targets.container import ContainerTarget
from reconciler.targets.path import PathTarget
from reconciler.targets.volume import VolumeTarget

_OWN = ("/proc", "/sys", "/dev")


class Expanded(NamedTuple):
    """The targets of one container, why it cannot be told, and what was left out."""

    targets: tuple[Target, ...]
    problem: str = ""
    left_out: tuple[str, ...] = ()


def expand(target: ContainerTarget, container: Container, volumes: Mapping[str, Volume]) -> Expanded:
    """A target for each mount that is chosen."""
    mounts = sorted(container.mounts, key=lambda mount: mount.destination)
    named = {mount.destination: _names(mount, volumes) for mount in mounts}
    wanted = target.mounts or _listed(container.labels.get(VOLUMES, ""))
    unwanted = () if wanted else _listed(container.labels.get(VOLUMES_NOT, ""))
    missing = [word for word in (*wanted, *unwanted) if not any(word in names for names in named.values())]
    if missing:
        there = ", ".join(f"{names[0]} ({place})" for place, names in named.items()) or "none"
        said = f"container {container.name} has no mount {', '.join(missing)}; there are: {there}"
        return Expanded((), said)
    kept: list[Mount] = []
    left_out: list[str] = []
    for mount in mounts:
        words = set(named[mount.destination])
        if wanted and not words & set(wanted):
            continue
        why = "its label says so" if words & set(unwanted) else _no_data(mount, kept, asked=bool(wanted))
        if why:
            left_out.append(f"{mount.destination} is left out: {why}")
        else:
            kept.append(mount)
    if not kept:
        return Expanded((), f"container {container.name} has no mount that holds data", tuple(left_out))
    types = _types(kept, named, target.type)
    made = [_target(target, container, mount, type_) for mount, type_ in zip(kept, types, strict=True)]
    return Expanded(tuple(made), left_out=tuple(left_out))


def _no_data(mount: Mount, before: Sequence[Mount], *, asked: bool) -> str:
    """Why a mount is no data of its container; empty where it is. ``asked``: somebody named it."""
    if mount.source.endswith(".sock") or _is_odd(mount):
        return "it is no folder and no file"
    if any(mount.type == "volume" == other.type and mount.name == other.name for other in before):
        return f"volume {mount.name} is mounted twice"
    if asked:
        return ""
    if not mount.writable:
        return "it is mounted read-only, so it is the data of somebody else; name it in mounts to back it up"
    if mount.source == "/" or f"{mount.source}/".startswith(tuple(f"{place}/" for place in _OWN)):
        return "it is the machine's own; name it in mounts to back it up"
    return ""


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
    if mount.type != "volume" or is_anonymous(mount.name):
        return (slug(last), last, mount.destination, mount.name)
    return (volume_type(mount.name, volumes), mount.name, last, mount.destination)


def is_anonymous(name: str) -> bool:
    """Whether the Engine made up the name of a volume."""
    return re.fullmatch("[0-9a-f]{64}", name) is not None


def _listed(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _is_odd(mount: Mount) -> bool:
    """Whether it is a socket or a device."""
    place = Path(mount.source)
    return bool(mount.source) and place.exists() and not (place.is_dir() or place.is_file())


def _types(mounts: list[Mount], named: Mapping[str, tuple[str, ...]], given: str | None) -> list[str]:
    """A type for each; where two would be the same, the whole path in the container tells them apart."""
    firsts = [named[mount.destination][0] for mount in mounts]
    if given and len(mounts) == 1:
        return [given]
    types = [
        first if firsts.count(first) == 1 else slug(mount.destination)
        for first, mount in zip(firsts, mounts, strict=True)
    ]
    return [slug(f"{given}-{type_}") for type_ in types] if given else types


def _target(target: ContainerTarget, container: Container, mount: Mount, type_: str) -> Target:
    hooks = tuple(_placed(hook, container.name) for hook in target.hooks)
    name, quiesce, exclude = target.name, target.quiesce, target.exclude
    if mount.type == "volume":
        return VolumeTarget(
            name=name, type=type_, volume=mount.name, exclude=exclude, hooks=hooks, quiesce=quiesce
        )
    if mount.type == "bind" and _is_here(container, mount):
        return PathTarget(
            name=name, type=type_, path=mount.source, exclude=exclude, hooks=hooks, quiesce=quiesce
        )
    return msgspec.structs.replace(target, type=type_, mounts=(mount.destination,), hooks=hooks)


def _is_here(container: Container, mount: Mount) -> bool:
    """Whether the folder behind a bind mount is this machine's, and not one of the same name on the Engine's."""
    if container.pid:
        return is_same(container, mount.destination, mount.source)
    return os.path.isdir(container.folder) and os.path.exists(mount.source)


def _placed(hook: Hook, container: str) -> Hook:
    """The hook with the container as its own, where it names none."""
    if hook.exec is None or hook.exec.container:
        return hook
    return msgspec.structs.replace(hook, exec=msgspec.structs.replace(hook.exec, container=container))
