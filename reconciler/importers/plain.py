"""A compose file without docker-volume-backup as a proposal: its volumes, and dumps of its databases. Pure; used by convert."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.importers.databases import recipe
from reconciler.importers.emit import Noted, Off
from reconciler.importers.project import Project, slug, within

_SYSTEM = ("/etc", "/proc", "/sys", "/dev", "/run", "/var/run", "/var/lib/docker")


def destination(project: Project) -> dict[str, Any]:
    """A Destination that people look at first."""
    why = (
        "choose: another disk than the data's, if there is one; a second destination off-site makes it 3-2-1"
    )
    return {"url": Noted(f"file:///srv/backups/{slug(project.name)}", why), "media": "disk"}


def backup(destinations: list[str], project: Project) -> dict[str, Any]:
    """The spec of a Backup of everything that the file names, without its targets."""
    hooked = [service.name for service in project.services if service.has_velero_hooks]
    labels = {"hooksFromLabels": Noted("velero", f"of {', '.join(hooked)}")} if hooked else {}
    return {
        "schedule": Noted("@daily", "at midnight UTC; a cron expression and timezone say otherwise"),
        "destinations": destinations,
        "retention": Noted({"daily": 7, "weekly": 4, "monthly": 3}, "the default"),
        **labels,
        "quiesce": Off(
            "stop",
            "Containers that write while they are read: stop (or pause) them meanwhile, here or at a target.",
        ),
    }


def targets(project: Project) -> Iterator[Noted | Off]:
    """Dumps first, then volumes; what a dump covers, and bind mounts, only as proposals."""
    name = slug(project.name)
    for service in project.services:
        if known := recipe(service):
            place = {"name": name, "kind": "command", "type": f"{slug(service.name)}-dump"}
            fields = {**place, "container": service.container, **known.fields(service)}
            yield Noted(fields, f"The dump of {service.name}: stdout is the backup, stdin the restore.")
    covered = _dumped(project)
    for key, volume in project.volumes.items():
        found = {"name": name, "kind": "volume", "volume": volume, "type": slug(key)}
        used = _users(project, key)
        if key in covered:
            why = f"The files of {covered[key]}, which its dump above covers. To copy them too, add quiesce: stop."
            yield Off(found, why)
        else:
            yield Noted(found, f"of {', '.join(used)}" if used else "no service mounts it")
    for source, user, target in _binds(project):
        found = {"name": name, "kind": "path", "path": source, "type": f"{slug(user)}-{slug(target)}"}
        yield Off(found, f"Of this machine, mounted by {user}: needed if git does not hold it.")


def _dumped(project: Project) -> dict[str, str]:
    """Volumes that hold what a dump holds as well, with their services. Without a restore, the files are needed too."""
    return {
        mount.source: service.name
        for service in project.services
        if (known := recipe(service)) and "restore" in known.fields(service)
        for mount in service.mounts
        if mount.kind == "volume"
        if within(mount.target, known.data) or within(known.data, mount.target)
    }


def _users(project: Project, key: str) -> list[str]:
    return [
        service.name
        for service in project.services
        if any(mount.kind == "volume" and mount.source == key for mount in service.mounts)
    ]


def _binds(project: Project) -> Iterator[tuple[str, str, str]]:
    """Folders and files of this machine, each once, with the service that mounts it and where; none of the system's."""
    seen: set[str] = set()
    for service in project.services:
        for mount in service.mounts:
            odd = mount.source.endswith(".sock") or any(within(mount.source, folder) for folder in _SYSTEM)
            if mount.kind == "bind" and not odd and mount.source not in seen:
                seen.add(mount.source)
                yield mount.source, service.name, mount.target
