"""When the turn of a target comes: after its schedule, and what holds it back."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import schedule
from reconciler.model import Backup, Fleet, TargetId
from reconciler.slots import Turn, share
from tests.plan.worlds import bounded

SECOND = timedelta(seconds=1)
TARGET = TargetId("app", "data")
TARGETS = st.builds(TargetId, st.sampled_from(("app", "wiki", "db.1")), st.sampled_from(("data", "dump")))
ZONES = st.sampled_from(("UTC", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Antarctica/Troll"))
SCHEDULES = st.sampled_from(("30 2 * * *", "@hourly", "*/30 * * * *", "0 1,2,3 * * *", "15 0 * * sun"))
JITTERS = st.sampled_from(("", "1s", "10m", "20m", "1h", "3h"))
# around changes of the clocks in all of these zones, and quiet days
DAYS = st.sampled_from(
    ("2026-03-28", "2026-10-24", "2026-03-07", "2026-10-31", "2026-10-03", "2026-04-04", "2026-06-01")
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def backup(**fields: object) -> Backup:
    given = {"name": "b", "schedule": "0 3 * * *", "targets": (), "destinations": ("disk",), **fields}
    return Backup(**given)  # type: ignore[arg-type]


def turn(target: TargetId = TARGET, node: str = "n1", **fields: object) -> Turn:
    return Turn(backup(**fields), target, node)


@st.composite
def turns(draw: st.DrawFn) -> Turn:
    return turn(
        draw(TARGETS),
        draw(st.sampled_from(("n1", "nas"))),
        schedule=draw(SCHEDULES),
        timezone=draw(ZONES),
        jitter=draw(JITTERS),
    )


NOW = at("2026-01-20T12:00")


def test_the_next_run_is_the_next_slot() -> None:
    assert turn().next_run(None, NOW) == at("2026-01-21T03:00")
    assert turn().next_run(None, at("2026-01-21T03:00")) == at("2026-01-22T03:00")


def test_the_next_run_of_a_suspended_backup_is_at_its_end_or_at_the_first_slot_after_it() -> None:
    assert turn(suspend=True).next_run(None, NOW) is None
    ends = turn(suspend=True, suspend_until=at("2026-01-25T12:00"))
    assert ends.next_run(None, NOW) == at("2026-01-25T12:00")
    assert ends.next_run(at("2026-01-20T03:00"), NOW) == at("2026-01-25T12:00")
    soon = turn(suspend=True, suspend_until=at("2026-01-20T13:00"))
    assert soon.next_run(at("2026-01-20T03:00"), NOW) == at("2026-01-21T03:00")


def test_a_suspension_ends_with_its_time() -> None:
    ends = at("2026-01-20T12:00")
    fleet = Fleet(
        backups=(backup(suspend=True, suspend_until=ends, suspend_reason="x"), backup(suspend=True))
    )
    assert [item.suspend for item in fleet.at(at("2026-01-20T11:59")).backups] == [True, True]
    assert [item.suspend for item in fleet.at(ends).backups] == [False, True]
    assert fleet.at(ends).backups[0] == backup()


def test_the_share_of_a_target_is_the_same_in_every_process_and_release() -> None:
    assert share(TARGET, "n1") == pytest.approx(0.906180276)
    assert share(TARGET, "n2") != share(TARGET, "n1") != share(TargetId("app", "dump"), "n1")


def test_many_targets_are_spread_evenly() -> None:
    shares = [share(TargetId(f"app{number}", "data"), "n1") for number in range(2000)]
    counts = Counter(int(found * 10) for found in shares)
    assert sorted(counts) == list(range(10))
    assert all(150 <= count <= 250 for count in counts.values())


@settings(bounded, max_examples=60)
@given(turns(), DAYS)
def test_each_slot_has_one_turn_in_its_own_time_across_clock_changes(of: Turn, day: str) -> None:
    """A service that wakes at each next run, and makes what is due then, makes one artifact for each tick and no more."""
    first, last = at(day), at(day) + timedelta(hours=36)
    parsed = schedule.parse(of.backup.schedule, of.backup.timezone)
    newest, now, made = first, first, []
    while (following := of.next_run(newest, now)) and following <= last:
        now = following
        slot = of.newest(now)
        assert slot is not None
        assert slot.begins == now, "it wakes when a turn comes and not at any other time"
        after = schedule.next_tick(parsed, slot.tick)
        assert after is not None
        assert slot.tick <= slot.begins < after
        before = of.newest(now - SECOND)
        assert before is None or before.tick < slot.tick
        if newest < slot.tick:
            newest = now
            made.append(slot.tick)
    wanted = [tick for tick in _between(parsed, first, last) if tick > first]
    assert made == sorted(set(made))
    assert set(wanted[:-1]) <= set(made), "the last one's turn may come later"


def _between(parsed: schedule.Schedule, first: datetime, last: datetime) -> list[datetime]:
    found = []
    for tick in schedule.ticks(parsed, first):
        if tick > last:
            break
        found.append(tick)
    return found


@bounded
@given(turns(), DAYS, st.integers(0, 3 * 24 * 60), JITTERS)
def test_another_jitter_makes_no_second_artifact_for_a_slot(
    of: Turn, day: str, minute: int, jitter: str
) -> None:
    made = of.newest(at(day) + timedelta(minutes=minute))
    assert made is not None
    then = of._replace(backup=msgspec.structs.replace(of.backup, jitter=jitter))
    parsed = schedule.parse(of.backup.schedule, of.backup.timezone)
    following = schedule.next_tick(parsed, made.tick)
    assert following is not None
    for now in (made.begins, following - SECOND):
        slot = then.newest(now)
        assert slot is not None
        assert slot.tick <= made.begins, "the artifact of this slot stands for it under any jitter"


@bounded
@given(turns(), DAYS, st.integers(0, 3 * 24 * 60))
def test_a_jitter_moves_by_less_than_itself(of: Turn, day: str, minute: int) -> None:
    slot = of.newest(at(day) + timedelta(minutes=minute))
    assert slot is not None
    jitter = {"": 1, "1s": 1, "10m": 600, "20m": 1200, "1h": 3600, "3h": 10800}[of.backup.jitter]
    assert timedelta() <= slot.begins - slot.tick < timedelta(seconds=jitter)
