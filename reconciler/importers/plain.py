"""A project without docker-volume-backup as a proposal: its volumes, dumps of its databases. Pure; for convert and scaffold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from reconciler.importers.databases import recipe
from reconciler.importers.emit import Noted, Off
from reconciler.importers.project import Project, free, slug, within

_SYSTEM = ("/etc", "/proc", "/sys", "/dev", "/run", "/var/run", "/var/lib/docker")

QUIESCE = Off(
    "stop", "Containers that write while they are read: stop (or pause) them meanwhile, here or at a target."
)


def destination(project: Project) -> dict[str, Any]:
    """A Destination that people look at first."""
    why = (
        "choose: another disk than the data's, if there is one; a second destination off-site makes it 3-2-1"
    )
    return {"url": Noted(f"file:///srv/backups/{slug(project.name)}", why), "media": "disk"}


def backup(destinations: list[str], project: Project) -> dict[str, Any]:
    """The spec of a Backup of everything that the file names, without its targets."""
    return {
        "schedule": Noted("@daily", "at midnight UTC; a cron expression and timezone say otherwise"),
        "destinations": destinations,
        "retention": Noted({"daily": 7, "weekly": 4, "monthly": 3}, "the default"),
        **labels([project]),
        "quiesce": QUIESCE,
    }


def labels(projects: Iterable[Project]) -> dict[str, Any]:
    """What a Backup says so that Velero's hooks in labels are run; empty without any."""
    services = [service for project in projects for service in project.services]
    hooked = [service.name for service in services if service.has_velero_hooks]
    return {"hooksFromLabels": Noted("velero", f"of {', '.join(hooked)}")} if hooked else {}


def proposed(project: Project) -> list[Noted | Off]:
    """Dumps first, then volumes; what a dump covers, and bind mounts, only as proposals. Every type is another one."""
    types: dict[str, None] = {}
    found = []
    for target in _targets(project):
        kind = free(target.value["type"], types)
        types[kind] = None
        found.append(target._replace(value={**target.value, "type": kind}))
    return found


def _targets(project: Project) -> Iterator[Noted | Off]:
    name = slug(project.name)
    for service in project.services:
        if known := recipe(service):
            place = {"name": name, "kind": "command", "type": f"{slug(service.name)}-dump"}
            fields = {**place, "container": service.container, **known.fields(service)}
            if service.closed:
                yield Off(
                    fields, f"The dump of {service.name}: no command can be run there: {service.closed}."
                )
            else:
                yield Noted(fields, f"The dump of {service.name}: stdout is the backup, stdin the restore.")
    dumped, held = _holding(project, closed=False), _holding(project, closed=True)
    for key, volume in project.volumes.items():
        found = {"name": name, "kind": "volume", "volume": volume, "type": slug(key)}
        used = _users(project, key)
        if key in held:
            yield Noted({**found, "quiesce": "stop"}, f"the files of {held[key]}, read while it is stopped")
        elif key in dumped:
            why = f"The files of {dumped[key]}, which its dump above covers. To copy them too, add quiesce: stop."
            yield Off(found, why)
        else:
            yield Noted(found, f"of {', '.join(used)}" if used else "no service mounts it")
    for source, user, target in _binds(project):
        found = {"name": name, "kind": "path", "path": source, "type": f"{slug(user)}-{slug(target)}"}
        yield Off(found, f"Of this machine, mounted by {user}: needed if git does not hold it.")


def _holding(project: Project, *, closed: bool) -> dict[str, str]:
    """Volumes that hold what a dump holds as well, with their services: of those that are dumped, or whose dump is closed.

    Without a restore, the files are needed too.
    """
    return {
        mount.source: service.name
        for service in project.services
        if bool(service.closed) == closed
        if (known := recipe(service)) and "restore" in known.fields(service)
        for mount in service.mounts
        if mount.kind == "volume"
        if within(mount.target, known.data) or within(known.data, mount.target)
    }


def _users(project: Project, key: str) -> list[str]:
    """Services that mount a volume; one that has several containers is named once."""
    found = (
        service.name
        for service in project.services
        if any(mount.kind == "volume" and mount.source == key for mount in service.mounts)
    )
    return list(dict.fromkeys(found))


def _binds(project: Project) -> Iterator[tuple[str, str, str]]:
    """Folders and files of this machine, each once, with the service that mounts it and where; none of the system's."""
    seen: set[str] = set()
    for service in project.services:
        for mount in service.mounts:
            odd = mount.source.endswith(".sock") or any(within(mount.source, folder) for folder in _SYSTEM)
            if mount.kind == "bind" and not odd and mount.source not in seen:
                seen.add(mount.source)
                yield mount.source, service.name, mount.target
