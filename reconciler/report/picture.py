"""``status.svg``: a row for each target, a column for each slot of its retention, a mark for each destination. Pure.

It has no time of its own, so that it is the same as long as nothing changed. Shapes differ as colours do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from reconciler.model.fleet import TIERS, Tier
from reconciler.model.status import Holding, Slot, SlotState, Status, TargetStatus, TierCount
from reconciler.report.drawing import MARK, document, dots, mark, text, width_of
from reconciler.report.headline import headline
from reconciler.report.text import few, moment
from reconciler.wording import counted

MOST = 14
"""Columns of a tier; one more stands for all slots past them."""

_WORST: tuple[SlotState, ...] = ("failed", "missing", "healing", "held", "verified")
_LEGEND: tuple[SlotState, ...] = ("held", "verified", "healing", "missing", "failed")
_WIDTH = 360  # fits a phone, where a wider one would be shrunk until nobody can read it
_PITCH, _LANE, _NAME, _HEAD, _PAD = 14, 15, 19, 13, 12
_LEFT = 104  # where the marks begin; destinations are named before them
_GAP = 12
_NARROWEST = 44  # a tier's name needs as much
_PAGE = 20  # targets between two heads


class Group(NamedTuple):
    """The columns of one tier: on which line, where they begin, and how many there are."""

    tier: Tier
    line: int
    x: int
    columns: int


def picture(status: Status) -> str:
    """The SVG as text."""
    groups = _groups(status)
    lines = 1 + max((group.line for group in groups), default=0)
    lane = _LANE * lines + (4 if lines > 1 else 0)
    parts = [_legend()]
    y = 56
    for page in _pages(sorted(status.targets, key=_urgency)):
        parts.append(_heads(groups, y))
        y += _HEAD * lines + 7
        for target in page:
            parts.append(_target(target, groups, y, lane))
            y += _NAME + lane * len(target.holdings) + 4
    if not status.targets:
        parts.append(text(_PAD, y + 4, "The specs ask for no backup.", "name", _WIDTH, 12))
        y += _NAME
    title, about = f"Backups: {headline(status)}", f"{described(status)}. {_failing(status)}".strip()
    return document(_WIDTH, y + 2, title, about, "".join(parts))


def described(status: Status) -> str:
    """What the picture shows, in a sentence without its full stop."""
    counts = Counter(
        slot.state
        for target in status.targets
        for holding in target.holdings
        for tier in holding.tiers
        for slot in _shown(tier)
    )
    marks = ", ".join(f"{counts[state]} {state}" for state in _LEGEND if counts[state])
    where = f"{counted(len(status.targets), 'target')} at {counted(len(status.destinations), 'destination')}"
    return f"{where}: {marks}" if marks else where


def _failing(status: Status) -> str:
    names = [target.name for target in status.targets if target.state == "failing"]
    return f"Failing: {few(names, 10, ', ')}." if names else ""


def _urgency(target: TargetStatus) -> int:
    """What is wrong comes first, as on the page: nobody scrolls through 200 rows to find it."""
    return {"failing": 0, "unknown": 1}.get(target.state, 2)


def _pages(targets: Sequence[TargetStatus]) -> Iterable[Sequence[TargetStatus]]:
    return [targets[start : start + _PAGE] for start in range(0, len(targets), _PAGE)]


def _groups(status: Status) -> list[Group]:
    """The columns of every tier that some target has slots of, on as many lines as they need."""
    most: Counter[Tier] = Counter()
    for target in status.targets:
        for holding in target.holdings:
            for tier in holding.tiers:
                most[tier.tier] = max(most[tier.tier], _length(tier))
    groups: list[Group] = []
    line, x = 0, _LEFT
    for name in (tier for tier in TIERS if most[tier]):
        columns = min(most[name], MOST + 1)
        width = max(columns * _PITCH, _NARROWEST)
        if x + width > _WIDTH - _PAD + _PITCH - MARK:
            line, x = line + 1, _LEFT
        groups.append(Group(name, line, x, columns))
        x += width + _GAP
    return groups


def _length(tier: TierCount) -> int:
    """Slots of a tier: as many as are wanted, or as are kept for another reason."""
    return max(tier.wanted, sum(slot.time is not None for slot in tier.slots))


def _shown(tier: TierCount) -> tuple[Slot, ...]:
    """Its slots; what is due now takes the place of the oldest, which goes when it is made."""
    return tier.slots[: _length(tier)]


def _legend() -> str:
    lines, x = [], _PAD
    for state in _LEGEND:
        lines += [mark(x, 11, state, state), text(x + MARK + 5, 20, state, "", 60)]
        x += MARK + 5 + round(width_of(state, 11)) + 10
    lines += [dots([_PAD], 31), text(_PAD + MARK + 5, 40, "to come", "", 60)]
    lines.append(text(_PAD + 76, 40, "A line per destination, newest left.", "dim", _WIDTH))
    return "".join(lines)


def _heads(groups: Iterable[Group], y: int) -> str:
    parts = []
    for group in groups:
        line = y + 9 + group.line * _HEAD
        parts.append(text(group.x, line, group.tier, "dim", 2 * _NARROWEST))
        if group.columns > MOST:
            parts.append(text(group.x + MOST * _PITCH + 2, line, "+", "dim", _PITCH))
    return "".join(parts)


def _target(target: TargetStatus, groups: Sequence[Group], y: int, lane: int) -> str:
    newest = moment(target.last_success.time) if target.last_success else "no good copy"
    state = newest if target.state == "good" else f"{target.state} · {newest}"
    room = _WIDTH - 3 * _PAD - width_of(state, 11)
    kind = "bad end" if target.state == "failing" else "dim end"
    return "".join(
        (
            f'<g><path class="line" d="M{_PAD} {y - 3.5:g}H{_WIDTH - _PAD}"/>\n',
            text(_PAD, y + 11, target.name, "name", room, 12),
            text(_WIDTH - _PAD, y + 11, state, kind, _WIDTH),
            *(_lane(item, groups, y + _NAME + index * lane) for index, item in enumerate(target.holdings)),
            "</g>\n",
        )
    )


def _lane(holding: Holding, groups: Sequence[Group], y: int) -> str:
    name = text(_PAD + 8, y + 9, holding.destination, "dim", _LEFT - _PAD - 14)
    if not holding.known:
        return f"<g>{name}{text(_LEFT, y + 9, '? cannot be looked at', 'bad', 200)}</g>\n"
    tiers = {item.tier: item for item in holding.tiers}
    cells = "".join(
        _cells(tiers[group.tier], group, y + group.line * _LANE) for group in groups if group.tier in tiers
    )
    return f"<g>{name}{cells}</g>\n"


def _cells(tier: TierCount, group: Group, y: int) -> str:
    """The marks of one tier at one destination, and dots where its rule leaves room."""
    slots, length = _shown(tier), _length(tier)
    marks = [
        mark(
            group.x + index * _PITCH,
            y,
            slot.state,
            f"{tier.tier} {index + 1} of {tier.wanted}: {_told(slot)}",
        )
        for index, slot in enumerate(slots[:MOST])
    ]
    if past := slots[MOST:]:
        marks.append(
            mark(
                group.x + MOST * _PITCH, y, _worst(past), f"{tier.tier} {MOST + 1} and older: {_counts(past)}"
            )
        )
    free = range(len(slots), min(length, MOST + 1))
    return "".join(marks) + dots([group.x + index * _PITCH for index in free], y)


def _told(slot: Slot) -> str:
    return f"{slot.state}, {moment(slot.time)}" if slot.time else f"{slot.state}, due now"


def _worst(slots: Sequence[Slot]) -> str:
    return next(state for state in _WORST if any(slot.state == state for slot in slots))


def _counts(slots: Sequence[Slot]) -> str:
    counts = Counter(slot.state for slot in slots)
    return ", ".join(f"{counts[state]} {state}" for state in _LEGEND if counts[state])
