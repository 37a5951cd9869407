"""Reads a case file (`*.yaml`, see README.md) into what `plan.make` takes, and writes a plan as the lines that a case expects.

Names of artifacts are built here by hand, so that a case also checks the names that the plan chooses.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import yaml

from reconciler.model import (
    Action,
    Adopt,
    Artifact,
    Backup,
    Copy,
    Create,
    Deletions,
    Destination,
    Fleet,
    Leftover,
    Listing,
    Memory,
    Note,
    Observation,
    Plan,
    Policy,
    Probe,
    Prune,
    Quiesce,
    Recover,
    Replicate,
    Restore,
    RestoreOrder,
    RestoreTo,
    Retention,
    Rule321,
    Target,
    TargetId,
    Tier,
)
from reconciler.model.fleet import OrphanAge
from reconciler.model.status import ClockStatus
from reconciler.model.timing import Blackout

FOLDER = Path(__file__).parent
HERE = "here"
"""The machine on which the plan is made."""

_ARTIFACT = r"(?P<service>[^/ ]+)/(?P<type>[^ ]+) (?P<tier>\w+) (?P<first>\d{4}-\d\d-\d\dT\d\d:\d\d)Z"
_COPY = re.compile(
    _ARTIFACT + r"(?: to (?P<last>\d{4}-\d\d-\d\d))?(?: every (?P<step>\d+) days)?"
    r" (?P<size>\d+)kB(?: broken \((?P<broken>.+)\))?"
)
_LEFTOVER = re.compile(
    r"leftover " + _ARTIFACT + r"(?: by (?P<node>\S+))?(?P<committed>, whole)?(?P<empty>, an empty manifest)?"
)
_TOP = {
    "title",
    "destinations",
    "backups",
    "policy",
    "now",
    "only",
    "forced",
    "observed",
    "targets",
    "restores",
    "restored",
    "forgetful",
    "clock",
    "expect",
}


class Data(Target, frozen=True, kw_only=True, tag="data"):
    """A target whose artifacts lie in their tier's folder."""


class Image(Target, frozen=True, kw_only=True, tag="image"):
    """A target whose artifacts lie in ``images/``."""

    @property
    def in_images(self) -> bool:
        return True


class Case(NamedTuple):
    """One case: what `plan.make` gets, and the lines that must come out."""

    title: str
    fleet: Fleet
    seen: Observation
    now: datetime
    only: tuple[TargetId, ...] | None
    forced: tuple[TargetId, ...]
    actions: list[str]
    notes: list[str]


def read(path: Path) -> Case:
    """The case in ``path``. ValueError says what in it cannot be understood."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    if unknown := set(raw) - _TOP:
        raise ValueError(f"{path.name}: unknown words {sorted(unknown)}")
    if "actions" not in raw.get("expect", {}):
        raise ValueError(f"{path.name}: expects nothing; write `expect: {{actions: []}}` for an empty plan")
    fleet = _fleet(raw)
    images = {target.id for backup in fleet.backups for target in backup.targets if target.in_images}
    return Case(
        title=raw["title"],
        fleet=fleet.at(_time(raw["now"])),
        seen=Observation(
            listings={name: _listing(name, lines, images) for name, lines in raw.get("observed", {}).items()},
            probes={_id(name): _probe(text) for name, text in raw.get("targets", {}).items()},
            node=HERE,
            restores=raw.get("restored", {}),
            memory=_memory(raw.get("forgetful", False)),
            clock=msgspec.convert(raw.get("clock", {}), ClockStatus),
        ),
        now=_time(raw["now"]),
        only=tuple(map(_id, raw["only"])) if "only" in raw else None,
        forced=tuple(map(_id, raw.get("forced", []))),
        actions=[_one_line(text) for text in raw["expect"]["actions"]],
        notes=[_one_line(text) for text in raw["expect"].get("notes", [])],
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _time(text: str) -> datetime:
    """``2026-01-20T03:00Z`` or with seconds."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _id(text: str) -> TargetId:
    service, _, type_ = text.partition("/")
    return TargetId(service, type_)


# --- what users commit -----------------------------------------------------------------------------------------------


def _fleet(raw: dict[str, Any]) -> Fleet:
    destinations = tuple(
        _destination(name, text or "file") for name, text in raw.get("destinations", {"disk": "file"}).items()
    )
    everywhere = tuple(destination.name for destination in destinations)
    backups = raw.get("backups", {"nightly": {}})
    return Fleet(
        destinations=destinations,
        backups=tuple(_backup(name, fields or {}, everywhere) for name, fields in backups.items()),
        restores=tuple(_restore(name, fields) for name, fields in raw.get("restores", {}).items()),
        policy=_policy(raw.get("policy", {"rule321": "off"})),
    )


def _restore(name: str, fields: dict[str, Any]) -> RestoreOrder:
    """Its name stands for its digest, too."""
    return RestoreOrder(
        name=name,
        digest=name,
        target=_id(fields["target"]),
        at=_time(fields["at"]) if "at" in fields else None,
        source=fields.get("from", ""),
        to=RestoreTo(volume=fields["to"]) if "to" in fields else None,
        overwrite=fields.get("overwrite", False),
    )


def _memory(said: bool | str) -> Memory:
    return Memory(unreadable=said) if isinstance(said, str) else Memory(empty=said)


def _destination(name: str, fields: str | dict[str, Any]) -> Destination:
    fields = {"kind": fields} if isinstance(fields, str) else fields
    return Destination(
        name=name,
        url=f"{fields['kind']}:///{name}",
        media=fields.get("media", "disk"),
        offsite=fields.get("offsite", False),
        bandwidth=fields.get("bandwidth", 0),
        retention=_retention(fields["retention"]) if "retention" in fields else None,
    )


def _backup(name: str, fields: dict[str, Any], everywhere: tuple[str, ...]) -> Backup:
    return Backup(
        name=name,
        schedule=fields.get("schedule", "0 3 * * *"),
        timezone=fields.get("timezone", "UTC"),
        suspend=bool(fields.get("suspended", False)),
        **_suspension(fields.get("suspended", False)),
        jitter=fields.get("jitter", ""),
        blackout=tuple(msgspec.convert(window, Blackout) for window in fields.get("blackout", [])),
        max_age=fields.get("maxAge", ""),
        targets=tuple(_target(text) for text in fields.get("targets", ["app/data"])),
        destinations=tuple(fields.get("destinations", everywhere)),
        retention=_retention(fields.get("retention", "daily 7, weekly 4, monthly 3")),
        quiesce=Quiesce(mode=fields["quiesce"]) if "quiesce" in fields else None,
    )


def _suspension(said: bool | str) -> dict[str, Any]:
    """``true``, or ``until 2026-02-01T00:00Z (why)``."""
    if isinstance(said, bool):
        return {}
    until, _, reason = said.removeprefix("until ").partition(" ")
    return {"suspend_until": _time(until), "suspend_reason": reason.strip("()")}


def _target(text: str) -> Target:
    kind, _, name = text.rpartition(" ")
    identity = _id(name)
    return (Image if kind == "image" else Data)(name=identity.service, type=identity.type)


def _retention(text: str) -> Retention:
    counts = {tier: int(count) for tier, count in (part.split() for part in text.split(","))}
    return Retention(**counts)


def _policy(raw: dict[str, Any]) -> Policy:
    return Policy(
        rule321=cast("Rule321", raw.get("rule321", Policy().rule321)),
        deletions=Deletions(max_per_run=raw.get("most deletions"), approved=raw.get("approved")),
        orphans=OrphanAge(delete_after=raw["delete orphans after"])
        if "delete orphans after" in raw
        else None,
    )


# --- what was seen ---------------------------------------------------------------------------------------------------


def _listing(name: str, lines: str | list[str], images: set[TargetId]) -> Listing:
    if isinstance(lines, str):
        if lines.startswith("unknown"):
            return Listing(unknown=lines.removeprefix("unknown").strip(" ()"))
        if lines == "new":
            return Listing(adopt=True)
        raise ValueError(f"{name}: {lines!r} is neither a list nor `unknown (why)` nor `new`")
    copies: list[Copy] = []
    leftovers: list[Leftover] = []
    foreign: list[str] = []
    for line in lines:
        if line.startswith("foreign "):
            foreign.append(line.removeprefix("foreign "))
        elif match := _LEFTOVER.fullmatch(line):
            leftovers.append(_leftover(match, images))
        elif match := _COPY.fullmatch(line):
            copies += _copies(match, images)
        else:
            raise ValueError(f"{name}: cannot understand {line!r}")
    return Listing(
        marker=f"id of {name}", copies=tuple(copies), leftovers=tuple(leftovers), foreign=tuple(foreign)
    )


def artifact(target: TargetId, tier: Tier, time: datetime, *, image: bool) -> Artifact:
    """An artifact named as DESIGN says, independently of the code under test."""
    stamp = f"{time:%Y-%m-%dT%H%M%SZ}"
    folder = "images" if image else tier
    return Artifact(f"{folder}/{target.service}_{target.type}_{stamp}_{tier}.tar.zst", target, stamp, tier)


def _copies(match: re.Match[str], images: set[TargetId]) -> Iterator[Copy]:
    target = TargetId(match["service"], match["type"])
    time = _time(match["first"] + "Z")
    last = match["last"] or f"{time:%Y-%m-%d}"
    while f"{time:%Y-%m-%d}" <= last:
        made = artifact(target, cast("Tier", match["tier"]), time, image=target in images)
        yield Copy(made, int(match["size"]) * 1000, 500, match["broken"] or "")
        time += timedelta(days=int(match["step"] or 1))


def _leftover(match: re.Match[str], images: set[TargetId]) -> Leftover:
    target = TargetId(match["service"], match["type"])
    made = artifact(target, cast("Tier", match["tier"]), _time(match["first"] + "Z"), image=target in images)
    record = (f".intents/{match['node']}/{made.key}",) if match["node"] else ()
    data = () if match["committed"] else (f"{made.key}.json" if match["empty"] else made.key,)
    return Leftover(
        made.key, target, made.time, match["node"] or "", (*data, *record), committed=bool(match["committed"])
    )


def _probe(text: str) -> Probe:
    if text.startswith("empty"):
        return Probe(empty=True, stored_files=int(text.removeprefix("empty, newest backup holds ")))
    if text.startswith("missing"):
        return Probe(problem=text.removeprefix("missing").strip(" ()"))
    stored = {"unchanged": "sha256:1", "changed": "sha256:0", "never stored": ""}[text]
    return Probe(fingerprint="sha256:1", stored_fingerprint=stored)


# --- what comes out --------------------------------------------------------------------------------------------------


def lines(case: Case, plan: Plan) -> tuple[list[str], list[str]]:
    """The actions and the notes of ``plan`` as a case writes them."""
    images = {target.id for backup in case.fleet.backups for target in backup.targets if target.in_images}
    words = Words(case, images)
    return [words.action(action) for action in plan.actions], [words.note(note) for note in plan.notes]


class Words:
    """Puts actions and notes into words; a key that is not the expected one shows up raw."""

    def __init__(self, case: Case, images: set[TargetId]) -> None:
        self.now = case.now
        self.images = images
        self.names: dict[str, str] = {}
        self.leftovers: dict[tuple[str, str], Leftover] = {}
        for name, listing in case.seen.listings.items():
            for copy in listing.copies:
                self.names[copy.artifact.key] = self._name(copy.artifact)
            for leftover in listing.leftovers:
                self.leftovers[name, leftover.key] = leftover
                self.names[leftover.key] = self._name_of_leftover(leftover)

    @staticmethod
    def _name(made: Artifact) -> str:
        return f"{made.target} {made.tier} {made.time:%Y-%m-%dT%H:%MZ}"

    @staticmethod
    def _name_of_leftover(leftover: Leftover) -> str:
        tier = leftover.key.rpartition("_")[2].partition(".")[0]
        return f"{leftover.target} {tier} {leftover.time:%Y-%m-%dT%H:%MZ}"

    def action(self, action: Action) -> str:
        return f"{self._what(action)}, because {action.reason}"

    def _what(self, action: Action) -> str:
        match action:
            case Create():
                return (
                    f"create {self._new(action)} at {', '.join(action.destinations)}{_about(action.estimate)}"
                )
            case Replicate():
                route = f"from {', '.join(action.sources)} to {action.destination}"
                return f"replicate {self._known(action.key, action.target)} {route}, {_size(action.size)}"
            case Prune():
                known = self._known(action.key, action.target)
                return f"prune {known} at {action.destination}, {_size(action.size)}"
            case Recover():
                left = self.leftovers[action.destination, action.key]
                whole = action.keys == left.keys and action.committed == left.committed
                return f"recover {self.names[action.key] if whole else action.keys} at {action.destination}"
            case Adopt():
                return f"adopt {action.destination}"
            case Restore():
                known = self._known(action.key, action.target)
                place = action.to or "where it came from"
                return f"restore {known} from {', '.join(action.sources)} to {place}"

    def _new(self, action: Create) -> str:
        expected = artifact(action.target, action.tier, self.now, image=action.target in self.images)
        name = "" if action.key == expected.key else f" as {action.key}"
        return f"{action.target} {action.tier}{name}"

    def _known(self, key: str, target: TargetId) -> str:
        name = self.names.get(key, key)
        return name if name.startswith(f"{target} ") else f"{target}: {name}"

    @staticmethod
    def note(note: Note) -> str:
        return f"{note.severity} {note.topic} {note.subject} — {note.message}"


def _about(estimate: int) -> str:
    return f", about {_size(estimate)}" if estimate else ""


def _size(size: int) -> str:
    return f"{size // 1000}kB" if size % 1000 == 0 else f"{size} bytes"
