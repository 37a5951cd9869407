"""Schedules: what is refused and why, ticks across clock changes, and ten years in thirty time zones."""

import functools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model import TIERS, Tier
from reconciler.schedule import Schedule, denser_than, local, newest_tick, next_tick, parse, period, ticks

SECOND = timedelta(seconds=1)
START = datetime(2016, 1, 1, tzinfo=UTC)
END = datetime(2026, 1, 1, tzinfo=UTC)

ZONES = (
    "Africa/Cairo",  # no DST from 2015 to 2022, then again from a Friday
    "Africa/Casablanca",  # DST all year but for Ramadan
    "Africa/Juba",  # changed its standard time in 2021
    "America/Caracas",  # half an hour in 2016
    "America/Chicago",
    "America/Havana",  # changes at midnight
    "America/New_York",
    "America/Nuuk",  # gave up its standard time in 2023
    "America/Punta_Arenas",  # DST all year from 2016
    "America/Santiago",  # changes at midnight, in ever other months
    "America/Sao_Paulo",  # at midnight, given up in 2019
    "America/St_Johns",  # half an hour off
    "Antarctica/Casey",  # jumps by three hours
    "Antarctica/Troll",  # two hours
    "Asia/Amman",  # at midnight, given up in 2022
    "Asia/Beirut",  # at midnight
    "Asia/Gaza",  # other dates every year
    "Asia/Kathmandu",  # a quarter of an hour off
    "Asia/Kolkata",
    "Asia/Pyongyang",  # half an hour in 2018
    "Asia/Tehran",  # at midnight, half an hour off, given up in 2022
    "Atlantic/Azores",
    "Australia/Lord_Howe",  # DST of half an hour
    "Europe/Berlin",
    "Europe/Dublin",  # winter time is the exception
    "Europe/Istanbul",  # gave up its winter time in 2016
    "Europe/Volgograd",  # changed its standard time in 2018 and 2020
    "Pacific/Apia",
    "Pacific/Chatham",  # three quarters of an hour off
    "UTC",
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def moments(slot: datetime, zone: ZoneInfo) -> list[datetime]:
    """Every UTC moment at which the clocks of ``zone`` show ``slot``: none, one or two."""
    offsets = {
        (slot + timedelta(hours=hours)).replace(tzinfo=UTC).astimezone(zone).utcoffset()
        for hours in (-27, 0, 27)
    }
    found = {slot.replace(tzinfo=UTC) - offset for offset in offsets if offset is not None}
    return sorted(moment for moment in found if moment.astimezone(zone).replace(tzinfo=None) == slot)


def jump(slot: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which the clocks of ``zone`` jump over ``slot``."""
    low, high = (slot.replace(tzinfo=UTC) + timedelta(hours=hours) for hours in (-27, 27))
    while high - low > SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).replace(tzinfo=None) < slot:
            low = middle
        else:
            high = middle
    return high


def expected(slots: Iterable[datetime], name: str, first: datetime, last: datetime) -> list[datetime]:
    """The ticks that belong to local ``slots``, by looking at the clocks alone."""
    zone = ZoneInfo(name)
    found = {(moments(slot, zone) or [jump(slot, zone)])[0] for slot in slots}
    return sorted(tick for tick in found if first < tick <= last)


def between(schedule: Schedule, first: datetime, last: datetime) -> list[datetime]:
    """The ticks after ``first`` up to ``last``."""
    found = []
    for tick in ticks(schedule, first):
        if tick > last:
            break
        found.append(tick)
    return found


def days(first: datetime, last: datetime) -> Iterator[datetime]:
    """Each local date's 02:30 from two days before ``first`` to two days after ``last``."""
    day = first.replace(tzinfo=None, hour=2, minute=30, second=0) - timedelta(days=2)
    while day <= last.replace(tzinfo=None) + timedelta(days=2):
        yield day
        day += timedelta(days=1)


@functools.cache
def changes(name: str) -> list[datetime]:
    """The moments at which the clocks of a zone change, to the hour."""
    zone = ZoneInfo(name)
    found = []
    for day in range((END - START).days):
        here, there = START + timedelta(days=day), START + timedelta(days=day + 1)
        if here.astimezone(zone).utcoffset() != there.astimezone(zone).utcoffset():
            found.append(here)
    return found


def agree(schedule: Schedule, found: list[datetime], places: Iterable[int]) -> None:
    """At the ticks ``places`` of ``found``, `newest_tick` says that tick, and until then the one before."""
    for place in places:
        assert newest_tick(schedule, found[place]) == found[place]
        assert newest_tick(schedule, found[place] - SECOND) == found[place - 1]
        soon = found[place - 1] + timedelta(minutes=40)
        assert newest_tick(schedule, soon) == (found[place - 1] if soon < found[place] else found[place])
        assert next_tick(schedule, found[place - 1]) == found[place]


def in_order(found: list[datetime]) -> None:
    assert all(one < other for one, other in pairwise(found))


@pytest.mark.parametrize("zone", ZONES)
def test_daily_for_ten_years(zone: str) -> None:
    schedule = parse("30 2 * * *", zone)
    found = between(schedule, START, END)
    in_order(found)
    assert found == expected(days(START, END), zone, START, END)
    near = {(change - START).days + offset for change in changes(zone) for offset in (-1, 0, 1, 2)}
    agree(schedule, found, sorted((near | set(range(1, len(found), 97))) & set(range(1, len(found)))))


@pytest.mark.parametrize("zone", ZONES)
def test_weekly_and_monthly_for_ten_years(zone: str) -> None:
    for expression, belongs in (
        ("30 2 * * sun", lambda slot: slot.isoweekday() == 7),
        ("30 2 1 * *", lambda slot: slot.day == 1),
    ):
        schedule = parse(expression, zone)
        found = between(schedule, START, END)
        in_order(found)
        assert found == expected(filter(belongs, days(START, END)), zone, START, END)
        agree(schedule, found, range(1, len(found), 7))


@pytest.mark.parametrize("zone", ZONES)
def test_hourly_around_every_change_of_the_clocks(zone: str) -> None:
    schedule = parse("@hourly", zone)
    for change in [*changes(zone), at("2020-02-28T00:00"), at("2023-12-31T00:00")]:
        first, last = change - timedelta(hours=2), change + timedelta(hours=27)
        begin = (first - timedelta(days=3)).replace(tzinfo=None, minute=0)
        slots = (begin + timedelta(hours=hour) for hour in range(10 * 24))
        found = between(schedule, first, last)
        in_order(found)
        assert found == expected(slots, zone, first, last)
        agree(schedule, found, range(1, len(found), 2))


def test_the_day_that_apia_skipped() -> None:
    """30 December 2011 did not exist there: its slot and those of its hours are the jump, 10:00 UTC."""
    first, last = at("2011-12-28T00:00"), at("2012-01-02T00:00")
    daily = between(parse("30 2 * * *", "Pacific/Apia"), first, last)
    assert daily == [
        at("2011-12-28T12:30"),
        at("2011-12-29T12:30"),
        at("2011-12-30T10:00"),
        at("2011-12-30T12:30"),
        at("2011-12-31T12:30"),
        at("2012-01-01T12:30"),
    ]
    hourly = between(parse("@hourly", "Pacific/Apia"), at("2011-12-30T08:30"), at("2011-12-30T12:00"))
    assert hourly == [
        at("2011-12-30T09:00"),
        at("2011-12-30T10:00"),
        at("2011-12-30T11:00"),
        at("2011-12-30T12:00"),
    ]


@pytest.mark.parametrize(
    ("zone", "day", "expression", "utc"),
    [
        ("Europe/Berlin", "2026-03-29", "30 2 * * *", ["01:00"]),  # skipped: at the jump
        ("Europe/Berlin", "2026-10-25", "30 2 * * *", ["00:30"]),  # shown twice: the first time
        ("Europe/Berlin", "2026-10-25", "*/30 2 * * *", ["00:00", "00:30"]),
        ("Europe/Berlin", "2026-03-29", "*/30 2 * * *", ["01:00"]),
        ("America/Havana", "2026-03-08", "0 0 * * *", ["05:00"]),  # midnight does not exist
        ("Australia/Lord_Howe", "2026-10-03", "15 2 * * *", ["15:30"]),  # half an hour is skipped
        ("Antarctica/Troll", "2026-03-29", "30 2 * * *", ["01:00"]),  # two hours are
    ],
)
def test_the_day_the_clocks_change(zone: str, day: str, expression: str, utc: list[str]) -> None:
    begin = at(f"{day}T00:00") - SECOND
    found = between(parse(expression, zone), begin, begin + timedelta(hours=20))
    assert [f"{tick:%H:%M}" for tick in found] == utc


MINUTES = st.sampled_from(("0", "30", "*/20", "7,37", "50-59/3"))
HOURS = st.sampled_from(("*", "2", "*/6", "0,23", "1-3"))
DAYS = st.sampled_from(("*", "1", "31", "L", "*/10", "29"))
MONTHS = st.sampled_from(("*", "2", "3,10", "jan-jun"))
WEEKDAYS = st.sampled_from(("*", "0", "mon-fri", "sun#2", "L5"))
INSTANTS = st.datetimes(datetime(2010, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.tuples(MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS), st.sampled_from(ZONES), INSTANTS)
def test_newest_and_next_fit_together(fields: tuple[str, ...], zone: str, now: datetime) -> None:
    try:
        schedule = parse(" ".join(fields), zone)
    except ValueError:
        assert fields[2:4] == ("31", "2") or (fields[2] != "*" and fields[4] in ("sun#2", "L5"))
        return
    now = now.replace(microsecond=0)
    newest = newest_tick(schedule, now)
    following = next_tick(schedule, now)
    assert newest is not None
    assert following is not None
    assert newest <= now < following
    assert next_tick(schedule, newest) == following
    assert newest_tick(schedule, following) == following
    assert newest_tick(schedule, following - SECOND) == newest


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("", "has 0 of the five fields"),
        ("0 3 * *", "has 4 of the five fields"),
        ("0 0 3 * * *", "seconds and years are not supported"),
        ("0 0 31 2 *", "never fires"),
        ("0 0 30 2 *", "never fires"),
        ("R R * * *", "random"),
        ("0 r * * *", "random"),
        ("0 1,R(2-3) * * *", "random"),
        ("@reboot", "is no schedule"),
        ("@Daily", "is no schedule"),
        ("60 * * * *", "not a cron expression"),
        ("0 24 * * *", "not a cron expression"),
        ("*/0 * * * *", "not a cron expression"),
        ("H 3 * * *", "not a cron expression"),
        ("0 3 * * 8", "not a cron expression"),
        ("0 3 * * funday", "not a cron expression"),
        ("daily at three in the morning", "has 6 fields"),
    ],
)
def test_a_bad_expression_is_named_with_what_is_wrong(expression: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        parse(expression, "UTC")
    assert repr(expression) in str(caught.value)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.text(max_size=30)
    | st.lists(st.text("0123456789*/,-#LRH?", max_size=8), min_size=5, max_size=5).map(" ".join)
)
def test_no_text_at_all_raises_anything_else(text: str) -> None:
    try:
        schedule = parse(text, "UTC")
    except ValueError:
        return
    assert next_tick(schedule, START) is not None


@pytest.mark.parametrize(
    "zone", ["", "Europe", "Mars/Olympus", "../../etc/passwd", "UTC+1", "/etc/localtime", "a\0b", "ü"]
)
def test_a_bad_zone_is_named(zone: str) -> None:
    with pytest.raises(ValueError, match="not a time zone"):
        parse("@daily", zone)


def test_the_29th_of_february_waits_for_a_leap_year() -> None:
    schedule = parse("0 0 29 2 *", "UTC")
    assert newest_tick(schedule, at("2027-12-31T00:00")) == at("2024-02-29T00:00")
    assert next_tick(schedule, at("2024-03-01T00:00")) == at("2028-02-29T00:00")


@pytest.mark.parametrize(
    ("expression", "tier", "denser"),
    [
        ("@hourly", "hourly", False),
        ("*/30 * * * *", "hourly", True),
        ("@hourly", "daily", True),
        ("@daily", "daily", False),
        ("0 3,15 * * *", "daily", True),
        ("0 0 * * mon,thu", "daily", False),
        ("0 0 * * mon,thu", "weekly", True),
        ("@weekly", "weekly", False),
        ("@weekly", "monthly", True),
        ("@monthly", "weekly", False),
        ("0 0 1,15 * *", "monthly", True),
        ("0 0 1 1 *", "yearly", False),
        ("0 0 1 1,7 *", "yearly", True),
        ("0 0 29 2 *", "yearly", False),
    ],
)
def test_density(expression: str, tier: Tier, denser: bool) -> None:
    assert denser_than(parse(expression, "UTC"), tier) is denser


@pytest.mark.parametrize(
    ("tier", "last", "first"),
    [
        ("hourly", "2026-01-20T10:59:59", "2026-01-20T11:00:00"),
        ("daily", "2026-01-20T22:59:59", "2026-01-20T23:00:00"),  # midnight in Berlin
        ("weekly", "2026-01-25T22:59:59", "2026-01-25T23:00:00"),  # Monday
        ("monthly", "2026-06-30T21:59:59", "2026-06-30T22:00:00"),  # summer time
        ("yearly", "2026-12-31T22:59:59", "2026-12-31T23:00:00"),
    ],
)
def test_a_period_ends_where_the_next_begins(tier: Tier, last: str, first: str) -> None:
    ending, beginning = at(last), at(first)
    assert period(ending, tier, "Europe/Berlin") != period(beginning, tier, "Europe/Berlin")
    length = timedelta(minutes=30)
    assert period(ending - length, tier, "Europe/Berlin") == period(ending, tier, "Europe/Berlin")
    assert period(beginning, tier, "Europe/Berlin") == period(beginning + length, tier, "Europe/Berlin")


def test_the_iso_week_goes_over_new_year() -> None:
    week = [period(at(f"{day}T12:00"), "weekly", "UTC") for day in ("2025-12-29", "2026-01-04", "2026-01-05")]
    assert week == [(2026, 1), (2026, 1), (2026, 2)]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(INSTANTS, INSTANTS, st.sampled_from(ZONES))
def test_moments_of_one_day_are_of_one_month_and_year(one: datetime, other: datetime, zone: str) -> None:
    together = {tier: period(one, tier, zone) == period(other, tier, zone) for tier in TIERS}
    assert not together["hourly"] or together["daily"]
    assert not together["daily"] or (together["weekly"] and together["monthly"])
    assert not together["monthly"] or together["yearly"]
    assert local(one, "UTC") == one.replace(tzinfo=None)
