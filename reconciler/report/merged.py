"""What several machines report, put together to one status. Pure; used by ``nodes``.

Its time is that of the newest report, so it says the same until one of them says something else. What two machines say of the
same thing is taken from the newer report. A machine that should have reported, and did not, makes nothing look good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import chain
from typing import TypeVar

from msgspec.structs import replace

from reconciler.model.status import (
    Condition,
    ConditionType,
    DestinationStatus,
    Finding,
    Former,
    Holding,
    NodeStatus,
    NoteStatus,
    Orphan,
    RestoreStatus,
    Status,
    TargetStatus,
    Truth,
)
from reconciler.report.text import few, moment

GRACE = timedelta(hours=6)
"""From when a backup was to begin until the machine should have said what became of it."""

Item = TypeVar("Item", TargetStatus, DestinationStatus, Former, Orphan, Finding, NoteStatus, RestoreStatus)
_TYPES: tuple[ConditionType, ...] = ("Ready", "Converged", "Healthy")
_OF_ONE_MACHINE = ("held", "clock", "repository", "notification")  # topics whose subjects name no machine


def merged(parts: Mapping[str, Status | None]) -> Status | None:
    """All of ``parts`` by the machines' names, in one; None stands for a report that cannot be read. None without any other."""
    known = {node: status for node, status in parts.items() if status}
    if not known:
        return None
    reports = dict(sorted(_named_apart(known).items(), key=lambda pair: pair[1].time))  # newer ones win
    newest = list(reports.values())[-1]
    reports = {node: _aged(node, status, newest.time) for node, status in reports.items()}
    nodes = tuple(_node(node, reports.get(node), newest.time) for node in sorted(parts))
    every = list(reports.values())
    destinations = _latest("name", (item.destinations for item in every))
    targets = _latest("name", (item.targets for item in every))
    named = {item.name for item in targets}
    orphans = _latest(("service", "type", "destinations"), (item.orphans for item in every))
    return Status(
        time=newest.time,
        node=newest.node,
        spec_commit=newest.spec_commit,
        conditions=tuple(_condition(type_, reports, nodes) for type_ in _TYPES),
        targets=tuple(sorted(targets, key=lambda item: (item.service, item.type))),
        destinations=tuple(sorted(destinations, key=lambda item: item.name)),
        orphans=tuple(item for item in orphans if f"{item.service}/{item.type}" not in named),
        rule321=_latest(("backup", "message"), (item.rule321 for item in every)),
        pending=dict(sorted(sum((Counter(item.pending) for item in every), Counter[str]()).items())),
        notes=_latest(
            ("topic", "subject", "message"), (_notes(node, item) for node, item in reports.items())
        ),
        last_run=max(
            (item.last_run for item in every if item.last_run), key=lambda run: run.time, default=None
        ),
        former=_latest(("name", "url"), (item.former for item in every)),
        restores=tuple(
            sorted(_latest("digest", (item.restores for item in every)), key=lambda item: item.time)
        ),
        changes=newest.changes,
        nodes=nodes,
    )


def _latest(keys: str | tuple[str, ...], lists: Iterable[Iterable[Item]]) -> tuple[Item, ...]:
    """Each thing once, by those of its fields: as the last of ``lists`` has it."""
    fields = (keys,) if isinstance(keys, str) else keys
    return tuple({tuple(getattr(item, field) for field in fields): item for item in chain(*lists)}.values())


def _named_apart(reports: Mapping[str, Status]) -> dict[str, Status]:
    """The reports, where destinations with one name that are not one place (each machine's own disk) are named apart."""
    places: dict[str, dict[str, str]] = {}
    for node, status in sorted(reports.items()):
        for item in status.destinations:
            places.setdefault(item.name, {}).setdefault(_place(node, item), node)
    return {
        node: _renamed(
            status,
            {
                item.name: f"{item.name} ({places[item.name][_place(node, item)]})"
                for item in status.destinations
                if len(places[item.name]) > 1
            },
        )
        for node, status in reports.items()
    }


def _place(node: str, item: DestinationStatus) -> str:
    """What tells one place from another: its marker; without one its address, which on a disk is this machine's."""
    return item.marker or (f"{node} {item.url}" if item.url.startswith("file://") else item.url)


def _renamed(status: Status, names: Mapping[str, str]) -> Status:
    def holding(item: Holding) -> Holding:
        return replace(item, destination=names.get(item.destination, item.destination))

    def orphan(item: Orphan) -> Orphan:
        return replace(item, destinations=tuple(names.get(name, name) for name in item.destinations))

    return replace(
        status,
        orphans=tuple(map(orphan, status.orphans)),
        destinations=tuple(
            replace(item, name=names.get(item.name, item.name)) for item in status.destinations
        ),
        targets=tuple(
            replace(target, holdings=tuple(map(holding, target.holdings))) for target in status.targets
        ),
    )


def _overdue(target: TargetStatus, now: datetime) -> bool:
    """Whether a backup of it was to begin and nothing was heard since. An image that is as before needs none."""
    return target.kind != "image" and bool(target.next_run and target.next_run + GRACE < now)


def _aged(node: str, status: Status, now: datetime) -> Status:
    """The report with what it cannot know: that it is old."""

    def aged(target: TargetStatus) -> TargetStatus:
        if not _overdue(target, now):
            return target
        why = f"{node} has not reported since {moment(status.time)}, and was to back it up {moment(target.next_run)}"
        state = "unknown" if target.state == "good" else target.state
        return replace(target, state=state, problems=(*target.problems, why))

    return replace(status, targets=tuple(map(aged, status.targets)))


def _node(node: str, status: Status | None, now: datetime) -> NodeStatus:
    if status is None:
        return NodeStatus(node=node, time=None)
    late = tuple(target.name for target in status.targets if _overdue(target, now))
    return NodeStatus(
        node=node,
        time=status.time,
        spec_commit=status.spec_commit,
        targets=len(status.targets),
        overdue=late,
    )


def _condition(type_: ConditionType, reports: Mapping[str, Status], nodes: Iterable[NodeStatus]) -> Condition:
    """The worst that any of them says. It lasts since the first of those that are not true, or since the last one became true."""
    said = {node: status.condition(type_) for node, status in reports.items()}
    idle = [node for node, item in said.items() if item.reason == "NothingToProtect"]
    said = {node: item for node, item in said.items() if node not in idle or len(idle) == len(said)}
    wrong = [(node, item) for node, item in sorted(said.items()) if item.status != "True"]
    if type_ == "Healthy":
        newest = list(reports.values())[-1].time
        wrong += [(item.node, _silent(item, newest)) for item in nodes if item.overdue or not item.time]
    if not wrong:
        since = max(item.last_transition_time for item in said.values())
        return replace(list(said.values())[-1], last_transition_time=since)
    truth: Truth = "False" if any(item.status == "False" for _, item in wrong) else "Unknown"
    wrong.sort(key=lambda pair: pair[1].status != truth)
    return Condition(
        type=type_,
        status=truth,
        reason=wrong[0][1].reason,
        message=few([f"{node}: {item.message}" for node, item in wrong]),
        last_transition_time=min(item.last_transition_time for _, item in wrong if item.status == truth),
    )


def _silent(item: NodeStatus, newest: datetime) -> Condition:
    """What is to say of a machine that is late, or whose report cannot be read."""
    late = f"it has not reported since {moment(item.time)}, and was to back up {few(item.overdue, separator=', ')}"
    return Condition(
        type="Healthy",
        status="Unknown",
        reason="NodeSilent",
        message=late if item.time else "its report cannot be read",
        last_transition_time=item.time or newest,
    )


def _notes(node: str, status: Status) -> Iterable[NoteStatus]:
    for note in status.notes:
        ours = note.topic in _OF_ONE_MACHINE
        yield replace(note, message=f"{node}: {note.message}") if ours else note
