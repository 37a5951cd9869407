"""Which containers hold what a target reads. Shared by observe (which says it) and lifecycle (which stops them)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import PurePosixPath

from reconciler.model import Uses
from reconciler.ports import Container, Mount, Volume


def holders(
    containers: Iterable[Container], uses: Uses, volumes: Iterable[Volume] = (), *, readers: bool = False
) -> tuple[Container, ...]:
    """The containers that could change what is read, by name; with ``readers`` those that can but look at it, too.

    What exists in a container alone is held by that. Others have a writable mount of a used volume, or of a path that contains
    a used one, lies in it, or is it. ``volumes`` are all of the Engine's: some are but a name for a folder.
    """
    wide = _widened(uses, volumes)
    found = (
        item
        for item in containers
        if (uses.inside and item.name == uses.container)
        or any(_touches(mount, wide) for mount in item.mounts if mount.writable or readers)
    )
    return tuple(sorted(found, key=lambda item: item.name))


def _widened(uses: Uses, volumes: Iterable[Volume]) -> Uses:
    """With the folders behind used volumes, and the volumes before used folders."""
    names, paths = list(uses.volumes), list(uses.paths)
    for volume in volumes:
        device = volume.options.get("device", "")
        if not device.startswith("/") or "bind" not in volume.options.get("o", "").split(","):
            continue
        if volume.name in uses.volumes:
            paths.append(device)
        elif any(_overlap(device, path) for path in uses.paths):
            names.append(volume.name)
    return Uses(tuple(names), tuple(paths), uses.container)


def _touches(mount: Mount, uses: Uses) -> bool:
    if mount.type == "volume" and mount.name in uses.volumes:
        return True
    return bool(mount.source) and any(_overlap(mount.source, path) for path in uses.paths)


def _overlap(one: str, other: str) -> bool:
    """Whether one is the other or lies in it, links of this machine followed."""
    return overlap(real(one), real(other))


def real(path: str) -> PurePosixPath:
    """The path with links of this machine followed."""
    return PurePosixPath(os.path.realpath(path))


def overlap(first: PurePosixPath, second: PurePosixPath) -> bool:
    """Whether one is the other or lies in it."""
    return first == second or first in second.parents or second in first.parents
