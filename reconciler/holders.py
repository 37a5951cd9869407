"""Which containers hold what a target reads. Pure; shared by observe (which says it) and lifecycle (which stops them)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from reconciler.model import Uses
from reconciler.ports import Container, Mount


def holders(containers: Iterable[Container], uses: Uses) -> tuple[Container, ...]:
    """The containers that could change what is read, by name.

    They have a writable mount of a used volume, or of a path that contains a used one, lies in it, or is it.
    """
    found = (item for item in containers if any(_touches(mount, uses) for mount in item.mounts))
    return tuple(sorted(found, key=lambda item: item.name))


def _touches(mount: Mount, uses: Uses) -> bool:
    if not mount.writable:
        return False
    if mount.type == "volume" and mount.name in uses.volumes:
        return True
    return bool(mount.source) and any(_overlap(mount.source, path) for path in uses.paths)


def _overlap(one: str, other: str) -> bool:
    first, second = PurePosixPath(one), PurePosixPath(other)
    return first == second or first in second.parents or second in first.parents
