"""What is not as the last report had it, and which of that the specs caused. Pure; used by ``assemble``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from reconciler.model.status import Change, Changes, DestinationStatus, Holding, Status, TargetStatus
from reconciler.report.change import unchanged
from reconciler.report.text import moment
from reconciler.wording import counted, growth_text, size_text

MOST = 50
"""Changes that a status tells."""

Item = TypeVar("Item", TargetStatus, DestinationStatus)


def changes(status: Status, previous: Status | None) -> Changes | None:
    """What is new against ``previous``; its own changes where nothing is, so that such a status is the same."""
    if previous is None:
        return None
    if unchanged(status, previous):
        return previous.changes
    found = [*_specs(status, previous), *_conditions(status, previous), *_seen(status, previous)]
    return Changes(since=previous.time, items=tuple(found[:MOST]), more=len(found[MOST:]))


def _specs(status: Status, previous: Status) -> Iterable[Change]:
    """What the specs ask for now, and did not or otherwise before."""
    commit = status.spec_commit if status.spec_commit != previous.spec_commit else None
    if commit:
        before = previous.spec_commit[:12] if previous.spec_commit else "none"
        yield Change(
            subject="specs", message=f"another commit is in force, no longer {before}", commit=commit
        )
    for name, place, was in _pairs(status.destinations, previous.destinations):
        yield from (Change(subject=name, message=text, commit=commit) for text in _destination(place, was))
    for name, target, former in _pairs(status.targets, previous.targets):
        yield from (Change(subject=name, message=text, commit=commit) for text in _target(target, former))


def _pairs(now: Sequence[Item], before: Sequence[Item]) -> Sequence[tuple[str, Item | None, Item | None]]:
    """Each thing as it is and as it was, by name; None where it is not."""
    new: dict[str, Item] = {item.name: item for item in now}
    old: dict[str, Item] = {item.name: item for item in before}
    return [(name, new.get(name), old.get(name)) for name in sorted({*new, *old})]


def _destination(now: DestinationStatus | None, before: DestinationStatus | None) -> Iterable[str]:
    if now is None:
        yield "no destination any more"
    elif before is None:
        yield "a new destination"
    elif now.url != before.url:
        yield f"at {now.url} now, no longer at {before.url}"


def _target(now: TargetStatus | None, before: TargetStatus | None) -> Iterable[str]:
    if now is None:
        yield "no target any more"
    elif before is None:
        yield "a new target"
    else:
        if (now.schedule, now.timezone) != (before.schedule, before.timezone):
            yield (
                f"its schedule is {now.schedule} ({now.timezone}), no longer {before.schedule} ({before.timezone})"
            )
        if now.max_age != before.max_age:
            yield f"its maxAge is {now.max_age or 'none'}, no longer {before.max_age or 'none'}"
        if (now.state == "suspended") != (before.state == "suspended"):
            yield "suspended" if now.state == "suspended" else "no longer suspended"
        yield from _places(now, before)


def _places(now: TargetStatus, before: TargetStatus) -> Iterable[str]:
    """Where its copies go and how many are kept there."""
    new = {holding.destination: holding for holding in now.holdings}
    old = {holding.destination: holding for holding in before.holdings}
    yield from (f"its copies go to {name}, too" for name in new if name not in old)
    yield from (f"its copies no longer go to {name}" for name in old if name not in new)
    for name, holding in new.items():
        if name in old and holding.known and old[name].known and _rule(holding) != _rule(old[name]):
            yield f"at {name} {_rule(holding)} are kept, no longer {_rule(old[name])}"


def _rule(holding: Holding) -> str:
    return ", ".join(f"{tier.tier} {tier.wanted}" for tier in holding.tiers) or "none"


def _conditions(status: Status, previous: Status) -> Iterable[Change]:
    for item in status.conditions:
        before = previous.condition(item.type)
        if (item.status, item.reason) != (before.status, before.reason):
            yield Change(
                subject=item.type,
                message=f"{_truth(item.status, item.reason)}, no longer {_truth(before.status, before.reason)}",
            )


def _truth(status: str, reason: str) -> str:
    return f"{status} ({reason})"


def _seen(status: Status, previous: Status) -> Iterable[Change]:
    """What was seen otherwise, of what the specs named before and name now."""
    for name, place, was in _pairs(status.destinations, previous.destinations):
        if place and was:
            yield from (Change(subject=name, message=text) for text in _content(place, was))
    pairs = _pairs(status.targets, previous.targets)
    for told in (_turn, _newest):
        for name, target, before in pairs:
            if target and before:
                yield from (Change(subject=name, message=text) for text in told(target, before))


def _content(now: DestinationStatus, before: DestinationStatus) -> Iterable[str]:
    if now.state != before.state:
        yield "it can be looked at again" if now.state == "known" else f"it cannot be looked at: {now.why}"
    if None in (now.size, before.size, now.copies, before.copies):
        return
    if (now.size, now.copies) != (before.size, before.copies):
        grown, more = growth_text(now.size or 0, before.size or 0), (now.copies or 0) - (before.copies or 0)
        yield (
            f"{size_text(now.size or 0)} in {counted(now.copies or 0, 'copy')}: {grown}, "
            f"{'-' if more < 0 else '+'}{counted(abs(more), 'copy')}"
        )


def _turn(now: TargetStatus, before: TargetStatus) -> Iterable[str]:
    if now.state != before.state and "suspended" not in (now.state, before.state):
        yield f"{now.state}, no longer {before.state}"


def _newest(now: TargetStatus, before: TargetStatus) -> Iterable[str]:
    new, old = now.last_success, before.last_success
    if new and (old is None or new.key != old.key):
        grown = (
            f", {growth_text(new.size, new.size_before)}" if new.size_before not in (None, new.size) else ""
        )
        yield f"its newest backup is of {moment(new.time)}: {size_text(new.size)}{grown}"
    elif new is None and old:
        yield "no good copy of it is left"
