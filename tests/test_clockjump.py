"""A clock that was set: what a run makes of it, given the last status."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.adapters import clock
from reconciler.clockjump import judge, warning
from reconciler.model.status import ClockStatus, Status

LAST = datetime(2026, 1, 20, 3, tzinfo=UTC)
BOOTED = LAST - timedelta(days=40)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def status(seen: ClockStatus | None, time: datetime = LAST) -> Status:
    return Status(time=time, node="n1", spec_commit=None, conditions=(), clock=seen)


BEFORE = status(ClockStatus(boot="one", booted=BOOTED))


@pytest.mark.parametrize("passed", [MINUTE, 30 * DAY, 4000 * DAY])
def test_time_that_really_passed_is_no_jump(passed: timedelta) -> None:
    seen = judge(BEFORE, "one", BOOTED + timedelta(seconds=1), LAST + passed)
    assert (seen.jump, warning(seen)) == ("", "")


@pytest.mark.parametrize(
    ("moved", "told"),
    [
        (DAY, ""),
        (-DAY, ""),
        (DAY + HOUR, "the clock was set ahead by 1 day and 1 hour while the machine ran"),
        (3653 * DAY, "the clock was set ahead by 3653 days while the machine ran"),
        (-2 * DAY - 5 * HOUR, "the clock was set back by 2 days and 5 hours while the machine ran"),
    ],
)
def test_while_a_machine_runs_every_jump_of_more_than_a_day_shows(moved: timedelta, told: str) -> None:
    assert judge(BEFORE, "one", BOOTED + moved, LAST + HOUR + moved).jump == told


@pytest.mark.parametrize(
    ("boot", "booted", "passed", "told"),
    [
        ("two", LAST, 40 * DAY, ""),  # it was off, or the clock is ahead: nobody can tell
        ("two", LAST - 3 * DAY, -DAY, ""),
        (
            "two",
            LAST - 3 * DAY,
            -DAY - HOUR,
            "the clock is 1 day and 1 hour behind the last run, of 2026-01-20 03:00Z",
        ),
        ("", None, -9 * DAY, "the clock is 9 days behind the last run, of 2026-01-20 03:00Z"),
        ("", None, 9 * DAY, ""),
    ],
)
def test_across_a_restart_only_a_step_back_shows(
    boot: str, booted: datetime | None, passed: timedelta, told: str
) -> None:
    assert judge(BEFORE, boot, booted, LAST + passed).jump == told


def test_two_runs_in_a_row_that_see_the_same_clock_confirm_it() -> None:
    there = BOOTED + 3 * DAY
    now, last, seen = LAST + 3 * DAY, BEFORE, []
    for _ in range(4):
        now += HOUR
        found = judge(last, "one", there, now)
        last = status(found, now)
        seen.append((bool(found.jump), found.confirmations))
    assert seen == [(True, 0), (True, 1), (False, 0), (False, 0)]


def test_a_clock_that_jumps_again_is_confirmed_anew() -> None:
    jumped = judge(BEFORE, "one", BOOTED + 3 * DAY, LAST + 3 * DAY)
    once = judge(status(jumped, LAST + 3 * DAY), "one", BOOTED + 3 * DAY, LAST + 3 * DAY + HOUR)
    assert once.confirmations == 1
    back = judge(status(once, LAST + 3 * DAY + HOUR), "one", BOOTED, LAST + 2 * HOUR)
    assert back.jump == "the clock was set back by 3 days while the machine ran"
    assert back.confirmations == 0
    assert warning(back).endswith("; nothing is pruned until 2 more runs in a row saw the same clock")


def test_the_first_run_and_a_status_of_an_older_version_know_nothing() -> None:
    assert judge(None, "one", BOOTED, LAST) == ClockStatus(boot="one", booted=BOOTED)
    assert judge(status(None), "one", BOOTED, LAST + DAY).jump == ""


def test_this_machine_says_the_same_at_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECONCILER_NOW", raising=False)
    (name, booted), (again, later) = clock.boot(), clock.boot()
    assert name == again != ""
    assert booted is not None
    assert later is not None
    assert abs(later - booted) <= timedelta(seconds=1)
    assert booted < clock.SystemClock().now()


def test_a_clock_that_was_set_for_a_test_has_no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_NOW", "2026-01-20T03:00:00Z")
    assert clock.boot() == ("", None)
