"""What a compose file says of its services, as data. Filled by compose and scaffold, read by all that makes specs of it."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

import msgspec

from reconciler.importers.variables import Setting

MountKind = Literal["volume", "bind", "other"]
LABELS = "docker-volume-backup."
"""What the names of docker-volume-backup's labels begin with."""
VELERO = ".hook.backup.velero.io/", ".hook.restore.velero.io/"
"""What stands in the names of Velero's hooks, behind ``pre`` and ``post``."""


class Mount(NamedTuple):
    """``source`` is the key of a volume or an absolute path of this machine; empty where it has none. ``place`` is file:line."""

    kind: MountKind
    source: str
    target: str
    place: str


class Label(NamedTuple):
    """The value of a label, which may hold a secret, and its ``file:line``. ``swarm``: its containers do not carry it."""

    value: str
    place: str
    swarm: bool = False


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service. ``secrets`` maps paths in the container to references to what lies there.

    ``closed`` says why no command can run in its container, empty where one can.
    """

    name: str
    place: str
    image: str = ""
    container: str = ""
    settings: Mapping[str, Setting] = {}
    labels: Mapping[str, Label] = {}
    mounts: tuple[Mount, ...] = ()
    secrets: Mapping[str, dict[str, str]] = {}
    closed: str = ""

    @property
    def repository(self) -> str:
        """The image without registry, tag and digest: ``offen/docker-volume-backup``."""
        path = self.image.partition("@")[0]
        folder, slash, last = path.rpartition("/")
        return f"{folder}{slash}{last.partition(':')[0]}"

    @property
    def has_velero_hooks(self) -> bool:
        """Whether Velero would run commands in it."""
        return any(mark in f".{name}" for name in self.labels for mark in VELERO)

    @property
    def backup_labels(self) -> dict[str, Label]:
        """The labels that docker-volume-backup would read, without their common beginning."""
        return {
            name.removeprefix(LABELS): label for name, label in self.labels.items() if name.startswith(LABELS)
        }

    def on_host(self, path: str) -> str:
        """The path of this machine that ``path`` of the container is, by its bind mounts; empty when it is none."""
        binds = [mount for mount in self.mounts if mount.kind == "bind" and within(path, mount.target)]
        if not binds or not path.startswith("/"):
            return ""
        mount = max(binds, key=lambda mount: len(mount.target))
        return os.path.normpath(os.path.join(mount.source, os.path.relpath(path, mount.target)))


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A compose file, or what the Engine shows of one (``file`` is empty then).

    ``volumes`` maps its keys to the names that the Engine knows; ``unread`` is place, key and why.
    """

    name: str
    file: str = ""
    services: tuple[Service, ...]
    volumes: Mapping[str, str]
    unread: tuple[tuple[str, str, str], ...] = ()


def within(path: str, folder: str) -> bool:
    """Whether ``path`` is ``folder`` or below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def slug(text: str) -> str:
    """``text`` as a name in specs: small letters, digits, dots and hyphens; at most 50 characters, so that more fits behind."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:50].strip("-.") or "data"


def free(name: str, taken: Collection[str]) -> str:
    """``name``, with a number behind it if it is taken."""
    return next(
        each for each in (name, *(f"{name}-{count}" for count in range(2, 10_000))) if each not in taken
    )
