"""Blackouts: whether a moment lies in one, and when it ends. Pure; used by ``slots`` and by the checks of specs.

A window lasts from the first showing of its beginning to the last one of its end: when clocks go back inside it, it is an hour
longer. A beginning or end that they skip is the moment of the jump.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from reconciler import schedule
from reconciler.model.timing import WEEKDAYS, Blackout

_DAY = timedelta(days=1)
_AROUND = 8 * _DAY
"""Windows that touch each other are one; more than a week of them never ends, and is refused by the checks."""


class Window(NamedTuple):
    """From ``begins`` until before ``ends``, both in UTC."""

    begins: datetime
    ends: datetime


def around(blackouts: tuple[Blackout, ...], zone: str, moment: datetime) -> Window | None:
    """The window in which ``moment`` lies, with all that touch it; None outside of them."""
    if not blackouts:
        return None
    near = _merged(blackouts, zone, schedule.local(moment, zone).date())
    return next((window for window in near if window.begins <= moment < window.ends), None)


def covers(blackouts: Iterable[Blackout], wall: datetime) -> bool:
    """Whether clocks that show ``wall`` are in a window."""
    return any(
        begins <= wall < ends
        for blackout in blackouts
        for day in (wall.date() - _DAY, wall.date())
        for begins, ends in _walls(blackout, day)
    )


def never_open(blackouts: tuple[Blackout, ...]) -> bool:
    """Whether they cover the whole week: each ends inside another."""
    week = [date(2024, 1, 1) + number * _DAY for number in range(7)]
    ends = [ends for blackout in blackouts for day in week for _, ends in _walls(blackout, day)]
    return bool(ends) and all(covers(blackouts, wall) for wall in ends)


@lru_cache(maxsize=512)
def _merged(blackouts: tuple[Blackout, ...], zone: str, day: date) -> tuple[Window, ...]:
    """The windows of the days around ``day``, those that touch made one."""
    days = (day + number * _DAY for number in range(-_AROUND.days, _AROUND.days + 1))
    walls = [wall for each in days for blackout in blackouts for wall in _walls(blackout, each)]
    merged: list[Window] = []
    for window in sorted(Window(schedule.instant(begins, zone), _last(ends, zone)) for begins, ends in walls):
        if merged and window.begins <= merged[-1].ends:
            merged[-1] = Window(merged[-1].begins, max(merged[-1].ends, window.ends))
        else:
            merged.append(window)
    return tuple(merged)


def _walls(blackout: Blackout, day: date) -> Iterator[tuple[datetime, datetime]]:
    """By the wall clock: the window that begins on ``day``, if one does."""
    if WEEKDAYS[day.weekday()] in blackout.days:
        begins, ends = _on(day, blackout.start), _on(day, blackout.to)
        yield begins, ends if ends > begins else ends + _DAY


def _on(day: date, text: str) -> datetime:
    hours, minutes = map(int, text.split(":"))
    return datetime.combine(day, time()) + timedelta(hours=hours, minutes=minutes)


def _last(wall: datetime, zone: str) -> datetime:
    """The moment of the last showing of ``wall``, or of the jump over it."""
    last = wall.replace(tzinfo=ZoneInfo(zone), fold=1).astimezone(UTC)
    return last if schedule.local(last, zone) == wall else schedule.instant(wall, zone)
