"""A configuration of docker-volume-backup as a Backup: targets, schedule, retention, hooks. Pure; used by convert."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from reconciler import schedule
from reconciler.importers.emit import Noted
from reconciler.importers.findings import Findings, shown
from reconciler.importers.project import LABELS, Label, Mount, Project, Service, slug, within
from reconciler.importers.sealing import Sealing
from reconciler.importers.settings import Config
from reconciler.importers.timing import Timing, retention, seconds, timing

_CODECS = {"gz": "gzip", "zst": "zstd", "none": "none"}
_EXTENSIONS = re.compile(r"\\\.(?:([A-Za-z0-9_-]+)|\(([A-Za-z0-9_|-]+)\))\$")
_STEPS = "archive|process|copy|prune"
_KNOWN = re.compile(rf"({_STEPS})-(pre|post)(\.user)?|exec-label|stop-during-backup(-no-restart)?")


def backup(config: Config, project: Project, sealed: Sealing, destinations: list[str]) -> dict[str, Any]:
    """The spec of the Backup, without its targets."""
    when = _when(config)
    spec: dict[str, Any] = {"schedule": when.schedule}
    if zone := _zone(config, when):
        spec["timezone"] = zone
    if when.never:
        spec["suspend"] = Noted(value=True, why="theirs runs by hand alone: give it a schedule")
    if sealed.incomplete:
        spec["suspend"] = Noted(value=True, why="theirs encrypts: write the encryption first")
    spec |= {"destinations": destinations, "retention": _kept(config, when.schedule)}
    if codec := config.text("BACKUP_COMPRESSION"):
        spec["compression"] = _CODECS.get(codec, "zstd")
    if sealed.spec:
        spec["encryption"] = sealed.spec
    return spec | _labels(config, project)


def _when(config: Config) -> Timing:
    when = timing(config.text("BACKUP_CRON_EXPRESSION", "@daily"))
    if when.lost:
        config.differ("BACKUP_CRON_EXPRESSION", when.lost)
    return when


def _zone(config: Config, when: Timing) -> str:
    """The zone of the schedule; empty for UTC, which is the default of both."""
    zone = when.zone or config.text("TZ")
    if any(mount.target == "/etc/localtime" for mount in config.service.mounts):
        config.differ(
            "/etc/localtime", "theirs runs in the machine's time zone: write it as timezone; here UTC else"
        )
    if not zone or zone == "UTC":
        return ""
    try:
        return schedule.parse("@daily", zone).zone
    except ValueError:
        config.lose("TZ", "is no IANA name of a time zone: UTC it is")
        return ""


def keeps_all(config: Config) -> bool:
    """Whether theirs never deletes anything."""
    return _days(config) < 0


def _days(config: Config) -> float:
    """How long theirs keeps a backup; below zero for ever."""
    if span := seconds(config.text("BACKUP_RETENTION_PERIOD")):
        return span / 86_400
    days = config.text("BACKUP_RETENTION_DAYS", "-1")
    return float(days) if re.fullmatch(r"[0-9]{1,7}", days) else -1.0


def _kept(config: Config, expression: str) -> Noted:
    days = _days(config)
    found = retention(expression, days)
    if days < 0:
        return Noted(
            found,
            "theirs deletes nothing; better say what you need, such as {daily: 7, weekly: 4, monthly: 3}",
        )
    age = f"{days:g} day" + ("" if days == 1 else "s")
    return Noted(
        found, f"theirs keeps {age}, by age; here the newest {max(found.values())}, so a gap deletes nothing"
    )


def everything(config: Config) -> dict[str, int]:
    """A retention that deletes nothing, or as little as one can say."""
    return retention(timing(config.text("BACKUP_CRON_EXPRESSION", "@daily")).schedule, -1)


def _labels(config: Config, project: Project) -> dict[str, Any]:
    """Hooks and stops by labels, if any service has some."""
    labelled = {service.name: service for service in project.services if service.backup_labels}
    if not labelled:
        if config.text("EXEC_LABEL"):
            config.lose("EXEC_LABEL", "no service has commands in labels")
        return {}
    found: dict[str, Any] = {"hooksFromLabels": "docker-volume-backup"}
    label = config.text("EXEC_LABEL")
    if label:
        found["execLabel"] = label
    wanted = config.text("BACKUP_STOP_DURING_BACKUP_LABEL") or config.text(
        "BACKUP_STOP_CONTAINER_LABEL", "true"
    )
    stopped = [service.container for service in labelled.values() if _stops_beside(service, wanted, label)]
    if stopped:
        why = f"those with the label {LABELS}stop-during-backup={wanted}, which execLabel does not choose"
        found["quiesce"] = Noted({"mode": "stop", "containers": stopped}, why)
    return found


def _stops_beside(service: Service, wanted: str, exec_label: str) -> bool:
    """Whether theirs stops a service's container and the labels alone do not do so here, where execLabel chooses for both."""
    labels = {name: label.value for name, label in service.backup_labels.items() if not label.swarm}
    if labels.get("stop-during-backup") != wanted:
        return False
    return wanted not in ("true", exec_label) or (
        wanted == "true" and labels.get("exec-label", "") != exec_label
    )


def tell_labels(project: Project, configs: list[Config]) -> None:
    """Tell which labels will not do what they did."""
    findings = configs[0].findings
    own = {config.service.name for config in configs}
    mounted = any(
        mount.target.endswith("docker.sock") for config in configs for mount in config.service.mounts
    )
    reached = mounted or any("DOCKER_HOST" in config.settings for config in configs)
    for service in (service for service in project.services if service.backup_labels):
        if not reached and service.name not in own:
            why = "its labels had no effect without the Docker socket; here they have"
            findings.differ(service.place, service.name, why)
        for name, label in service.backup_labels.items():
            _tell_label(findings, name, label, own=service.name in own)


def _tell_label(findings: Findings, name: str, label: Label, *, own: bool) -> None:
    full = shown(f"{LABELS}{name}")
    if own:
        findings.lose(label.place, full, "goes away with the container that it is on: write it as a hook")
    elif label.swarm and not name.startswith("stop-during-backup"):
        why = "is the Swarm service's alone: put it under labels, so that containers carry it"
        findings.lose(label.place, full, why)
    elif re.fullmatch(r"exec-(pre|post)", name):
        findings.lose(
            label.place, full, f"an old name, and an error here: call it {LABELS}archive-{name[5:]}"
        )
    elif not _KNOWN.fullmatch(name):
        findings.lose(label.place, full, "is no label of docker-volume-backup, and an error here: remove it")


def targets(config: Config, project: Project) -> Iterator[dict[str, Any]]:
    """A target for each mount below what is backed up, named after the project and the volume or folder."""
    sources = os.path.normpath(config.text("BACKUP_SOURCES", "/backup"))
    leave_out = _exclude(config)
    for mount in config.service.mounts:
        if within(mount.target, sources) or within(sources, mount.target):
            found = _target(config, project, mount, sources)
            if found:
                yield {**found, "exclude": leave_out} if leave_out else found


def _target(config: Config, project: Project, mount: Mount, sources: str) -> dict[str, Any] | None:
    inside = within(sources, mount.target) and sources != mount.target
    name = os.path.basename(mount.target) if not inside and mount.target != sources else ""
    if mount.kind == "bind" and not mount.source.endswith(".sock"):
        path = config.service.on_host(sources) if inside else mount.source
        folder = slug(name or os.path.basename(path))
        return {"name": slug(project.name), "kind": "path", "path": path, "type": folder}
    if mount.kind == "volume":
        if inside:
            config.differ(
                "BACKUP_SOURCES", f"a folder of the volume {mount.source}: the whole volume is backed up here"
            )
        volume = project.volumes[mount.source]
        return {"name": slug(project.name), "kind": "volume", "volume": volume, "type": slug(mount.source)}
    config.findings.lose(mount.place, mount.target, "is neither a named volume nor a folder of this machine")
    return None


def _exclude(config: Config) -> list[str]:
    """Patterns for a regular expression that names extensions; any other one is told as lost."""
    text = config.text("BACKUP_EXCLUDE_REGEXP")
    if not text:
        return []
    match = _EXTENSIONS.fullmatch(text)
    if match is None:
        config.lose(
            "BACKUP_EXCLUDE_REGEXP",
            "no regular expressions here: nothing is left out until you write patterns as exclude of the targets",
        )
        return []
    return [f"*.{extension}" for extension in (match[1] or match[2]).split("|") if extension]
