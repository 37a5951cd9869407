"""What only all documents together can tell: names, identities, defaults, 3-2-1. Used by check.

Names and identities are looked up in plain data, so that a mistake in one document raises no false alarms in others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from reconciler import schedule
from reconciler.copies321 import rule321
from reconciler.model import Fleet, Tier
from reconciler.spec import build
from reconciler.spec.documents import BackupSpec
from reconciler.spec.holding import holding_doubts
from reconciler.spec.problems import Path as Field
from reconciler.spec.problems import Problem, quote
from reconciler.spec.reader import Document
from reconciler.spec.suggest import did_you_mean, misspelt
from reconciler.spec.timing import timing_findings
from reconciler.spec.urls import absolute, complaint

_BACKUP_KEYS = BackupSpec.__struct_encode_fields__


class Entry(NamedTuple):
    """A document whose kind is known, with the folder that its relative paths start from."""

    document: Document
    kind: str
    name: str
    folder: Path
    where: str

    @property
    def spec(self) -> dict[str, Any]:
        """The plain ``spec``; empty where there is none."""
        spec = self.document.data.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def place(self) -> str:
        """``file:line``, as messages name it."""
        return f"{self.document.file}:{self.document.mark.line}"


def rule_problems(entries: list[Entry], fleet: Fleet, *, whole: bool) -> Iterator[Problem]:
    """Everything wrong between documents. ``fleet`` holds those documents that have no structural error.

    Unless the files could be read ``whole``, nothing is called missing: it may stand in the part that was not read.
    """
    for rule in (_unique_names, _one_policy, _unique_urls, _unique_identities):
        yield from rule(entries)
    yield from _density(entries, fleet)
    yield from _timing(entries, fleet)
    yield from _inside(entries, fleet)
    if whole:
        for rule in (_known_destinations, _needs, _unused):
            yield from rule(entries)
        yield from _copies(entries, fleet)
        yield from _held(entries, fleet)


def _unique_names(entries: list[Entry]) -> Iterator[Problem]:
    named = [entry for entry in entries if entry.name]
    for entry, first in _repeated(named, lambda entry: (entry.kind, entry.name)):
        message = f"{entry.kind} {quote(entry.name)} is already defined at {first.place}"
        yield entry.document.problem(("metadata", "name"), message)


def _one_policy(entries: list[Entry]) -> Iterator[Problem]:
    policies = [entry for entry in entries if entry.kind == "Policy"]
    for entry in policies[1:]:
        if entry.name != policies[0].name:  # the same name is reported already
            yield entry.document.problem(
                ("kind",), f"one Policy is the limit: the first is at {policies[0].place}"
            )


def _unique_urls(entries: list[Entry]) -> Iterator[Problem]:
    def url(entry: Entry) -> str:
        return absolute(entry.spec["url"], entry.folder)

    written = [
        entry for entry in entries if entry.kind == "Destination" and isinstance(entry.spec.get("url"), str)
    ]
    for entry, first in _repeated([entry for entry in written if not complaint(entry.spec["url"])], url):
        message = f"the same place as {quote(first.name)} at {first.place}: two names for it are one copy"
        yield entry.document.problem(("spec", "url"), message)


def _unique_identities(entries: list[Entry]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for entry in entries:
        for position, data in enumerate(_list(entry.spec.get("targets")) if entry.kind == "Backup" else []):
            target = build.target(data, entry.folder)
            if target is None:
                continue
            field: Field = ("spec", "targets", position)
            if str(target.id) in seen:
                message = f"{target.id} is already a target at {seen[str(target.id)]}: give one of them another type"
                at = (*field, "type") if "type" in data else (*field, "name")
                yield entry.document.problem(at, message)
            else:
                seen[str(target.id)] = f"{entry.document.file}:{entry.document.values[field].line}"


def _known_destinations(entries: list[Entry]) -> Iterator[Problem]:
    known = {entry.name for entry in entries if entry.kind == "Destination"}
    for entry, path, name in _references(entries):
        if name not in known:
            hint = (
                did_you_mean(name, known) or f"; there are {', '.join(sorted(known))}"
                if known
                else "; there are none"
            )
            yield entry.document.problem(path, f"no Destination is called {quote(name)}{hint}")


def _needs(entries: list[Entry]) -> Iterator[Problem]:
    policies = [entry for entry in entries if entry.kind == "Policy"]
    defaults = policies[0].spec.get("defaults") if policies else None
    given = defaults if isinstance(defaults, dict) else {}
    for entry in entries:
        if entry.kind == "Backup" and entry.spec:
            for key in ("schedule", "destinations"):
                if key not in entry.spec and key not in given and not misspelt(key, entry.spec, _BACKUP_KEYS):
                    message = f"required key {quote(key)} is missing, and no Policy gives a default"
                    yield entry.document.problem(("spec",), message)


def _unused(entries: list[Entry]) -> Iterator[Problem]:
    if not any(entry.kind == "Backup" for entry in entries):
        for entry in entries[:1]:
            yield _warning(entry, (), "no Backup is defined: nothing will be backed up")
        return
    used = {name for _, _, name in _references(entries)}
    for entry in entries:
        if entry.kind == "Destination" and entry.name and entry.name not in used:
            yield _warning(entry, ("metadata", "name"), f"no Backup uses the destination {quote(entry.name)}")


def _density(entries: list[Entry], fleet: Fleet) -> Iterator[Problem]:
    places = {entry.where: entry for entry in entries}
    for backup in fleet.backups:
        parsed = _parsed(backup.schedule, backup.timezone)
        lowest = backup.retention.tiers[0] if backup.retention.tiers else "hourly"
        if parsed and _denser(parsed, lowest):
            count = backup.retention.count(lowest)
            finer = "" if lowest == "hourly" else "give the retention a finer tier, or "
            message = (
                f"{quote(backup.schedule)} fires more than once in a period of the finest retention tier: "
                f"{lowest}: {count} would cover less than it says; {finer}fire less often"
            )
            yield _at(places[backup.where], ("spec", "schedule"), message)


def _timing(entries: list[Entry], fleet: Fleet) -> Iterator[Problem]:
    places = {entry.where: entry for entry in entries}
    for backup in fleet.backups:
        entry, parsed = places[backup.where], _parsed(backup.schedule, backup.timezone)
        for path, message in timing_findings(backup, parsed) if parsed else ():
            inherited = "" if path[-1] in entry.spec else " (a default of the Policy)"
            yield _at(entry, path, message + inherited)


def _inside(entries: list[Entry], fleet: Fleet) -> Iterator[Problem]:
    """Targets that hold a destination: each backup would hold all backups before it."""
    places = {entry.where: entry for entry in entries}
    folders = [
        (found.name, Path(found.url.removeprefix("file://")))
        for found in fleet.destinations
        if found.protocol == "file"
    ]
    for backup in fleet.backups:
        for position, target in enumerate(backup.targets):
            place, excluded = getattr(target, "path", None), getattr(target, "exclude", ())
            for name, folder in folders if place and not excluded else []:
                if folder.is_relative_to(str(place)):
                    message = f"holds the destination {quote(name)}, so backups would be backed up: exclude its folder"
                    yield _warning(places[backup.where], ("spec", "targets", position, "path"), message)


def _held(entries: list[Entry], fleet: Fleet) -> Iterator[Problem]:
    places = {entry.where: entry for entry in entries}
    for backup in fleet.backups:
        for path, message in holding_doubts(fleet, backup):
            yield _warning(places[backup.where], path, message)


def _copies(entries: list[Entry], fleet: Fleet) -> Iterator[Problem]:
    policy_is_broken = any(entry.kind == "Policy" for entry in entries) and not fleet.policy.where
    if fleet.policy.rule321 == "off" or policy_is_broken:
        return
    known = {destination.name for destination in fleet.destinations}
    places = {entry.name: entry for entry in entries if entry.kind == "Backup"}
    complete = tuple(backup for backup in fleet.backups if known.issuperset(backup.destinations))
    for name, message in rule321(msgspec.structs.replace(fleet, backups=complete)):
        entry = places[name]
        if fleet.policy.rule321 == "require":
            yield _at(entry, ("spec", "destinations"), message)
        else:
            yield _warning(entry, ("spec", "destinations"), message)


def _references(entries: list[Entry]) -> Iterator[tuple[Entry, Field, str]]:
    """Every name of a destination that a Backup, the Policy's defaults or a Restore give, and where."""
    for entry in entries:
        source = entry.spec.get("from") if entry.kind == "Restore" else None
        if isinstance(source, str):
            yield entry, ("spec", "from"), source
        for path, block in (("spec",), entry.spec), (("spec", "defaults"), entry.spec.get("defaults")):
            names = (
                block.get("destinations") if isinstance(block, dict) and entry.kind != "Destination" else None
            )
            for position, name in enumerate(_list(names)):
                if isinstance(name, str):
                    yield entry, (*path, "destinations", position), name


def _repeated(entries: list[Entry], key: Callable[[Entry], object]) -> Iterator[tuple[Entry, Entry]]:
    """Each entry whose key came before, with the first one that had it."""
    first: dict[object, Entry] = {}
    for entry in entries:
        owner = first.setdefault(key(entry), entry)
        if owner is not entry:
            yield entry, owner


def _denser(parsed: schedule.Schedule, tier: Tier) -> bool:
    """Whether it fires twice in a period; one fixed time of day, the usual case, needs no look at the calendar."""
    minute, _, rest = parsed.expression.partition(" ")
    hour = rest.split(" ")[0]
    if (tier == "daily" and minute.isdigit() and hour.isdigit()) or (tier == "hourly" and minute.isdigit()):
        return False
    return schedule.denser_than(parsed, tier)


def _parsed(text: str, zone: str) -> schedule.Schedule | None:
    try:
        return schedule.parse(text, zone)
    except ValueError:
        return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _at(entry: Entry, path: Field, message: str) -> Problem:
    return entry.document.problem(path, message)


def _warning(entry: Entry, path: Field, message: str) -> Problem:
    return msgspec.structs.replace(entry.document.problem(path, message), severity="warning")
