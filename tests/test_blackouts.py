"""Blackouts: by the wall clock, over changes of the clocks, and what a service makes around them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import schedule
from reconciler.blackouts import Window, around, covers, never_open
from reconciler.model.timing import WEEKDAYS, Blackout, Weekday
from reconciler.slots import Turn
from tests.plan.worlds import bounded
from tests.test_slots import DAYS, ZONES, at, backup, turn, turns

SECOND = timedelta(seconds=1)
TIMES = st.sampled_from(("00:00", "00:30", "01:30", "02:00", "02:30", "03:00", "06:00", "17:45", "22:00"))


@st.composite
def windows(draw: st.DrawFn) -> Blackout:
    start = draw(TIMES)
    to = draw(st.sampled_from(("00:30", "02:15", "02:30", "03:00", "06:00", "18:00", "24:00")))
    days: tuple[Weekday, ...] = draw(st.sampled_from((WEEKDAYS, WEEKDAYS[:5], ("sat",), ("sun", "mon"))))
    return Blackout(start=start, to="04:00" if start == to else to, days=days)


BLACKOUTS = st.lists(windows(), min_size=1, max_size=2).map(tuple).filter(lambda found: not never_open(found))
MINUTES = st.integers(0, 36 * 60)


def night(start: str = "22:00", to: str = "06:00", *days: Weekday) -> Blackout:
    return Blackout(start=start, to=to, days=days or WEEKDAYS)


def quiet(moment: datetime, zone: str) -> bool:
    """Whether no clock changes near ``moment``."""
    near = (moment + timedelta(hours=hours) for hours in (-4, -3, -2, -1, 0, 1, 2, 3, 4))
    return len({one.astimezone(ZoneInfo(zone)).utcoffset() for one in near}) == 1


@bounded
@given(BLACKOUTS, ZONES, DAYS, MINUTES)
def test_a_window_is_what_the_clocks_on_the_wall_say(
    blackouts: tuple[Blackout, ...], zone: str, day: str, minute: int
) -> None:
    moment = at(day) + timedelta(minutes=minute)
    window, shown = around(blackouts, zone, moment), covers(blackouts, schedule.local(moment, zone))
    if shown:
        assert window is not None, "whatever the clocks do, nothing begins while they show a time inside"
    if quiet(moment, zone):
        assert shown == (window is not None)
    if window:
        assert window.begins <= moment < window.ends
        assert around(blackouts, zone, window.ends) is None
        assert around(blackouts, zone, window.begins - SECOND) is None
        assert (
            around(blackouts, zone, window.begins) == around(blackouts, zone, window.ends - SECOND) == window
        )


@settings(bounded, max_examples=60)
@given(turns(), BLACKOUTS, DAYS)
def test_nothing_begins_inside_and_nothing_that_is_due_is_forgotten(
    plain: Turn, blackouts: tuple[Blackout, ...], day: str
) -> None:
    of = plain._replace(backup=msgspec.structs.replace(plain.backup, blackout=blackouts))
    first, last = at(day), at(day) + timedelta(hours=36)
    newest, now, made = first, first, []
    while (following := of.next_run(newest, now)) and following <= last:
        assert following > now
        now = following
        assert of.waits_until(now) is None
        slot = of.newest(now)
        assert slot is not None
        assert slot == of.reached(now)
        if newest < slot.tick:
            newest = now
            made.append(slot.tick)
    assert made == sorted(set(made)), "no slot is made twice"
    reached = of.reached(last)
    assert reached is None or reached.tick <= newest, "whatever could begin by now was made"


@pytest.mark.parametrize(
    ("zone", "window", "moment", "begins", "ends"),
    [
        ("UTC", night(), "2026-01-20T23:00", "2026-01-20T22:00", "2026-01-21T06:00"),
        ("UTC", night("00:00", "24:00", "sat"), "2026-01-24T12:00", "2026-01-24T00:00", "2026-01-25T00:00"),
        # clocks go from 02:00 to 03:00: an hour less
        ("Europe/Berlin", night(), "2026-03-28T22:00", "2026-03-28T21:00", "2026-03-29T04:00"),
        # they go from 03:00 to 02:00: an hour more, and half past two ends it at its second showing
        ("Europe/Berlin", night(), "2026-10-25T00:00", "2026-10-24T20:00", "2026-10-25T05:00"),
        (
            "Europe/Berlin",
            night("22:00", "02:30"),
            "2026-10-25T01:00",
            "2026-10-24T20:00",
            "2026-10-25T01:30",
        ),
        # half past two does not exist: the jump
        (
            "Europe/Berlin",
            night("22:00", "02:30"),
            "2026-03-29T00:00",
            "2026-03-28T21:00",
            "2026-03-29T01:00",
        ),
        (
            "Europe/Berlin",
            night("02:30", "04:00"),
            "2026-03-29T01:00",
            "2026-03-29T01:00",
            "2026-03-29T02:00",
        ),
        # midnight does not exist
        (
            "America/Havana",
            night("00:00", "06:00"),
            "2026-03-08T05:00",
            "2026-03-08T05:00",
            "2026-03-08T10:00",
        ),
    ],
)
def test_the_length_of_a_window(zone: str, window: Blackout, moment: str, begins: str, ends: str) -> None:
    assert around((window,), zone, at(moment)) == Window(at(begins), at(ends))


def test_a_window_that_the_clocks_skip_as_a_whole_is_none() -> None:
    assert around((night("02:15", "02:45"),), "Europe/Berlin", at("2026-03-29T01:00")) is None


def test_windows_that_touch_are_one() -> None:
    blackouts = (night("18:00", "22:00"), night("22:00", "06:00", "fri"), night("00:00", "24:00", "sat"))
    found = around(blackouts, "UTC", at("2026-01-23T19:00"))  # a Friday
    assert found == Window(at("2026-01-23T18:00"), at("2026-01-25T00:00"))
    assert around(blackouts, "UTC", at("2026-01-22T19:00")) == Window(
        at("2026-01-22T18:00"), at("2026-01-22T22:00")
    )


def test_only_what_covers_the_whole_week_never_opens() -> None:
    assert never_open((night("00:00", "24:00"),))
    assert never_open((night("06:00", "18:00"), night("17:00", "06:00")))
    assert not never_open((night("06:00", "18:00"), night("18:01", "06:00")))
    assert not never_open((night("00:00", "24:00", *WEEKDAYS[:6]),))
    assert not never_open(())


def test_the_next_run_is_told_with_the_blackout() -> None:
    of = turn(schedule="0 23 * * *", blackout=(night(),))
    assert of.next_run(at("2026-01-20T06:00"), at("2026-01-20T12:00")) == at("2026-01-21T06:00")
    assert of.next_run(at("2026-01-20T06:00"), at("2026-01-20T23:30")) == at("2026-01-21T06:00")
    assert of.reached(at("2026-01-21T05:59")) == of.newest(at("2026-01-20T22:59"))


def test_a_suspension_that_ends_inside_a_blackout_waits_for_its_end() -> None:
    ends = datetime(2026, 1, 20, 23, tzinfo=UTC)
    of = Turn(backup(suspend=True, suspend_until=ends, blackout=(night(),)), turn().target, "n1")
    assert of.next_run(None, at("2026-01-20T12:00")) == at("2026-01-21T06:00")
