"""Where each slot stands: held, healing, missing or failed, over several runs. Each case is one target at two destinations."""

from collections.abc import Sequence
from datetime import timedelta

from msgspec.structs import replace

from reconciler.model import (
    Action,
    Create,
    Listing,
    Observation,
    Outcome,
    Plan,
    Replicate,
    Restore,
    Retention,
)
from reconciler.model.status import Slot, Status
from reconciler.report import status
from tests.report.example import GRAFANA, MIB, NOW, PLANNED, copy, key
from tests.report.test_status import COPIES, FLEET, HEAL, ONE, SEEN, held, make, with_listing

DUE = Create(GRAFANA, "daily", key(GRAFANA, "2026-01-21"), ("local", "offsite"), MIB, "due")
TOMORROW = PLANNED + timedelta(days=1)
LESS = with_listing("offsite", Listing(copies=COPIES[1:]))
ROTTEN = copy(COPIES[0].artifact.key, 7, "its size is 7 bytes")


def row(found: Status, place: str = "offsite", tier: str = "daily") -> list[str]:
    """The states of a tier's slots, newest first."""
    return [slot.state for item in held(found, place).tiers if item.tier == tier for slot in item.slots]


def run(
    todo: Sequence[Action] = (),
    outcomes: Sequence[Outcome] = (),
    seen: Observation = LESS,
    previous: Status | None = None,
) -> Status:
    return make(seen=seen, plan=Plan(now=PLANNED, actions=tuple(todo)), outcomes=outcomes, previous=previous)


def test_slots_are_the_artifacts_that_retention_keeps_newest_first() -> None:
    (daily, weekly, monthly) = held(make(), "local").tiers
    assert daily.slots == tuple(Slot(time=item.artifact.time, state="held") for item in reversed(COPIES))
    assert (weekly.slots, monthly.slots) == ((), ())


def test_what_a_destination_does_not_want_is_no_slot() -> None:
    weekly = replace(FLEET.destinations[1], retention=Retention(weekly=2))
    found = make(replace(FLEET, destinations=(FLEET.destinations[0], weekly)))
    assert row(found, "offsite", "weekly") == []
    assert row(found, "local") == ["held"] * 7


def test_a_copy_that_a_run_is_going_to_make_heals() -> None:
    assert row(run([HEAL])) == [*["held"] * 6, "healing"]
    assert row(run([HEAL], seen=with_listing("offsite", Listing(copies=(ROTTEN, *COPIES[1:]))))) == [
        *["held"] * 6,
        "healing",
    ]


def test_a_copy_that_nobody_makes_is_missing_and_a_broken_one_failed() -> None:
    assert row(run())[-1] == "missing"
    assert row(run(seen=with_listing("offsite", Listing(copies=(ROTTEN, *COPIES[1:])))))[-1] == "failed"


def test_what_is_broken_everywhere_is_failed_and_not_forgotten() -> None:
    broken = Listing(copies=(ROTTEN, *COPIES[1:]))
    found = run(seen=replace(SEEN, listings={"local": broken, "offsite": broken}))
    assert (row(found, "local")[-1], row(found)[-1]) == ("failed", "failed")


def test_a_try_that_failed_is_told_until_one_succeeds() -> None:
    failed = run([HEAL], [Outcome(HEAL, error="disk full")])
    assert row(failed)[-1] == "failed"
    idle = run([HEAL], previous=failed)
    assert row(idle)[-1] == "failed", "nothing was tried since"
    again = run([HEAL], [Outcome(HEAL)], previous=idle)
    assert row(again)[-1] == "healing", "it was written and vanished: no failure"
    assert row(run(seen=SEEN, outcomes=[Outcome(HEAL)], previous=idle))[-1] == "held"


def test_a_copy_that_was_read_whole_is_verified_as_long_as_it_stays() -> None:
    read = run(seen=SEEN, outcomes=[Outcome(HEAL, verified="local")])
    assert (row(read, "local")[-1], row(read)[-1]) == ("verified", "held"), "the new one was not read"
    later = run(seen=SEEN, previous=read)
    assert row(later, "local") == [*["held"] * 6, "verified"]
    rotten = with_listing("local", Listing(copies=(ROTTEN, *COPIES[1:])))
    assert row(run(seen=rotten, previous=later), "local")[-1] == "failed"


def test_a_copy_that_is_read_and_proves_bad_or_is_written_anew_is_verified_no_more() -> None:
    read = run(seen=SEEN, outcomes=[Outcome(HEAL, verified="local")])
    for outcome in (
        Outcome(replace(HEAL, sources=("local", "third")), verified="third"),
        Outcome(HEAL, error="no good copy to make it from"),
        Outcome(replace(HEAL, sources=("offsite",), destination="local"), verified="offsite"),
    ):
        assert row(run(seen=SEEN, outcomes=[outcome], previous=read), "local")[-1] == "held", outcome
    skipped = Outcome(HEAL, skipped="its backup failed")
    assert row(run(seen=SEEN, outcomes=[skipped], previous=read), "local")[-1] == "verified"


def test_a_restore_verifies_what_it_read() -> None:
    asked = Restore("back", GRAFANA, HEAL.key, ("offsite", "local"), "", False, MIB, "asked for")
    done = run(seen=SEEN, outcomes=[Outcome(asked, verified="local")])
    assert (row(done, "local")[-1], row(done)[-1]) == ("verified", "held")


def test_a_copy_that_was_not_tried_is_as_it_was() -> None:
    skipped = [Outcome(HEAL, skipped="its backup failed")]
    assert row(run([HEAL], skipped))[-1] == "healing"
    failed = run([HEAL], [Outcome(HEAL, error="disk full")])
    assert row(run([HEAL], skipped, previous=failed))[-1] == "failed"


def test_a_try_that_failed_says_nothing_of_other_copies() -> None:
    seen = with_listing("offsite", Listing(copies=COPIES[2:]))
    other = replace(HEAL, key=COPIES[1].artifact.key)
    failed = run([HEAL, other], [Outcome(HEAL, error="disk full")], seen)
    assert row(failed)[-2:] == ["healing", "failed"]
    assert row(run([HEAL, other], seen=seen, previous=failed))[-2:] == ["healing", "failed"]


def test_a_broken_copy_dated_after_now_is_no_slot() -> None:
    future = copy(key(GRAFANA, "2036-01-20"), 7, "its size is 7 bytes")
    assert row(run(seen=with_listing("offsite", Listing(copies=(*COPIES, future))))) == ["held"] * 7


def test_a_backup_that_reached_one_destination_failed_at_the_other() -> None:
    create = replace_key(COPIES[-1].artifact.key)
    seen = with_listing("offsite", Listing(copies=COPIES[:-1]))
    again = Replicate(GRAFANA, create.key, ("local",), "offsite", MIB, "missing here")
    found = run([again], [Outcome(create, failures={"offsite": "503"})], seen)
    assert (row(found, "local")[0], row(found)[0]) == ("held", "failed")


def replace_key(text: str) -> Create:
    return Create(GRAFANA, "daily", text, ("local", "offsite"), MIB, "due")


def test_what_is_due_takes_a_slot_that_failed_once_its_backup_did() -> None:
    due = tomorrow([DUE])
    assert row(due) == ["missing", *["held"] * 7]
    assert held(due, "local").tiers[0].slots[0] == Slot(time=None, state="missing")
    failed = tomorrow([DUE], [Outcome(DUE, error="exited with 1")])
    assert row(failed) == ["failed", *["held"] * 7]
    assert row(tomorrow([DUE], previous=failed))[0] == "failed", "it has not been tried since"
    done = tuple(copy(item, MIB) for item in (DUE.key, *(old.artifact.key for old in COPIES)))
    seen = replace(SEEN, listings={"local": Listing(copies=done), "offsite": Listing(copies=done)})
    assert row(tomorrow([], [Outcome(DUE)], previous=failed, seen=seen)) == ["held"] * 7


def test_what_is_due_at_one_destination_alone_takes_no_slot_elsewhere() -> None:
    found = tomorrow([replace(DUE, destinations=("local",))])
    assert (row(found, "local")[0], row(found)) == ("missing", ["held"] * 7)


def tomorrow(
    todo: Sequence[Action],
    outcomes: Sequence[Outcome] = (),
    previous: Status | None = None,
    seen: Observation = SEEN,
) -> Status:
    plan = Plan(now=TOMORROW, actions=tuple(todo))
    return status(FLEET, seen, plan, tuple(outcomes), NOW + timedelta(days=1), previous)


def test_a_suspended_backup_has_the_slots_that_it_had() -> None:
    found = make(replace(FLEET, backups=(replace(ONE, suspend=True),)))
    assert row(found) == ["held"] * 7


def test_growth_is_against_the_backup_before() -> None:
    bigger = (*COPIES[:-1], copy(COPIES[-1].artifact.key, 3 * MIB))
    found = make(seen=with_listing("local", Listing(copies=bigger)))
    success = found.targets[0].last_success
    assert success
    assert (success.size, success.size_before) == (3 * MIB, MIB)
    only = Listing(copies=COPIES[-1:])
    success = make(seen=replace(SEEN, listings={"local": only, "offsite": only})).targets[0].last_success
    assert success
    assert success.size_before is None
