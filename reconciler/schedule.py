"""Cron expressions and the local periods of tiers: which tick is the newest, which comes next.

Pure; used by spec, observe, plan and report.

Slots are wall-clock times in the schedule's zone, and each local slot is one tick: a slot that clocks show twice (autumn) is
its first showing, and one that they skip (spring) is the moment of the jump. croniter alone fires some of them twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise, takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter

from reconciler.model.fleet import Tier

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# Any leap year does: only whether and how densely an expression fires is read from it.
_FIXED = datetime(2024, 1, 1)  # noqa: DTZ001
_DENSITY_SAMPLE = 400  # more than a year of a daily schedule
_SPAN = timedelta(days=9)  # of a denser one: a whole week, with the gap around its end


class Schedule(NamedTuple):
    """A cron expression and the zone that its slots are local times of."""

    expression: str
    zone: str


@lru_cache(maxsize=4096)
def parse(expression: str, zone: str) -> Schedule:
    """A checked schedule. ValueError says in plain words what is wrong with the expression or the zone."""
    text = expression.strip()
    if text.startswith("@"):
        if text not in _ALIASES:
            raise ValueError(f"{text!r} is no schedule; use one of {', '.join(_ALIASES)} or five cron fields")
        text = _ALIASES[text]
    else:
        _check_fields(text)
    _zone(zone)
    schedule = Schedule(text, zone)
    try:
        croniter(text, _FIXED).get_next(datetime)
    except CroniterBadDateError:
        raise ValueError(f"{text!r} never fires: no such date exists") from None
    except (CroniterError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"{text!r} is not a cron expression: {error}") from None
    return schedule


def _check_fields(text: str) -> None:
    fields = text.split()
    if len(fields) > 5:
        raise ValueError(
            f"{text!r} has {len(fields)} fields; a schedule has five: "
            "minute hour day month weekday (seconds and years are not supported)"
        )
    if len(fields) < 5:
        raise ValueError(
            f"{text!r} has {len(fields)} of the five fields of a schedule: minute hour day month weekday"
        )
    if any(part.upper().startswith("R") for field in fields for part in field.split(",")):
        raise ValueError(
            f"{text!r} asks for random times (R), which would differ at every look; write fixed ones"
        )


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"{name!r} is not a time zone; use an IANA name such as Europe/Berlin or UTC"
        ) from None


def local(moment: datetime, zone: str) -> datetime:
    """``moment`` as a wall-clock time of ``zone``, without a zone of its own."""
    return moment.astimezone(_zone(zone)).replace(tzinfo=None)


def instant(slot: datetime, zone: str) -> datetime:
    """The UTC moment of a local slot: its first showing, or the jump of the clocks where they skip it."""
    info = _zone(zone)
    first = slot.replace(tzinfo=info, fold=0).astimezone(UTC)
    if local(first, zone) == slot:
        return first
    low, high = slot.replace(tzinfo=info, fold=1).astimezone(UTC), first
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        low, high = (middle, high) if local(middle, zone) < slot else (low, middle)
    return high


@lru_cache(maxsize=8192)
def newest_tick(schedule: Schedule, now: datetime) -> datetime | None:
    """The newest tick at or before ``now``, in UTC. None when the expression has not fired within croniter's horizon."""
    moment = now.astimezone(_zone(schedule.zone))
    start = moment.replace(tzinfo=None, fold=0)
    if (
        moment.fold
    ):  # the clocks went back: slots that they showed before the jump lie ahead of today's wall clock
        start += timedelta(hours=3)
    slots = croniter(schedule.expression, start + timedelta(seconds=1))
    try:
        while True:
            tick = instant(slots.get_prev(datetime), schedule.zone)
            if tick <= now:
                return tick
    except CroniterBadDateError:
        return None


@lru_cache(maxsize=8192)
def next_tick(schedule: Schedule, now: datetime) -> datetime | None:
    """The first tick after ``now``, in UTC. None when there is none within croniter's horizon."""
    return next(ticks(schedule, now), None)


def ticks(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Every tick after ``after``, in UTC, in order; each local slot once."""
    moment = after.astimezone(_zone(schedule.zone))
    slots = croniter(schedule.expression, moment.replace(tzinfo=None, fold=0) - timedelta(seconds=1))
    while True:
        try:
            tick = instant(slots.get_next(datetime), schedule.zone)
        except CroniterBadDateError:
            return
        if tick > after:  # a skipped slot may coincide with the one that the clocks jump to
            yield tick
            after = tick


def period(moment: datetime, tier: Tier, zone: str) -> tuple[int, ...]:
    """The local year, month, ISO week, day or hour in which ``moment`` lies: equal for moments of one period."""
    return local_period(local(moment, zone), tier)


def local_period(wall: datetime, tier: Tier) -> tuple[int, ...]:
    """The same for a wall-clock time."""
    match tier:
        case "yearly":
            return (wall.year,)
        case "monthly":
            return (wall.year, wall.month)
        case "weekly":
            return tuple(wall.isocalendar())[:2]
        case "daily":
            return (wall.year, wall.month, wall.day)
        case "hourly":
            return (wall.year, wall.month, wall.day, wall.hour)


@lru_cache(maxsize=4096)
def denser_than(schedule: Schedule, tier: Tier) -> bool:
    """Whether two slots fall into one period of ``tier``, so that its count would not cover the span it names."""
    slots = croniter(schedule.expression, _FIXED)
    try:
        periods = (local_period(slot, tier) for slot in islice(slots.all_next(datetime), _DENSITY_SAMPLE))
        return any(one == other for one, other in pairwise(periods))
    except CroniterBadDateError:
        return False


@lru_cache(maxsize=1024)
def sample(schedule: Schedule) -> tuple[datetime, ...]:
    """Enough wall-clock slots to tell how far apart they lie: at least a week, and 400 where there are as many."""
    slots = croniter(schedule.expression, _FIXED).all_next(datetime)
    try:
        first = list(islice(slots, _DENSITY_SAMPLE))
        return (*first, *takewhile(lambda slot: slot < _FIXED + _SPAN, slots))
    except CroniterBadDateError:
        return ()


def gaps(schedule: Schedule) -> tuple[timedelta, timedelta] | None:
    """The shortest and the longest time between two slots by the wall clock; None where that cannot be told."""
    apart = [later - slot for slot, later in pairwise(sample(schedule))]
    return (min(apart), max(apart)) if apart else None
