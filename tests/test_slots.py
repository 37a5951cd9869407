"""When the turn of a target comes: after its schedule, and what holds it back."""

from datetime import UTC, datetime

from reconciler import slots
from reconciler.model import Backup, Fleet


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def backup(**fields: object) -> Backup:
    given = {"name": "b", "schedule": "0 3 * * *", "targets": (), "destinations": ("disk",), **fields}
    return Backup(**given)  # type: ignore[arg-type]


NOW = at("2026-01-20T12:00")


def test_the_next_run_is_the_next_slot() -> None:
    assert slots.next_run(backup(), None, NOW) == at("2026-01-21T03:00")
    assert slots.next_run(backup(), None, at("2026-01-21T03:00")) == at("2026-01-22T03:00")


def test_the_next_run_of_a_suspended_backup_is_at_its_end_or_at_the_first_slot_after_it() -> None:
    assert slots.next_run(backup(suspend=True), None, NOW) is None
    ends = backup(suspend=True, suspend_until=at("2026-01-25T12:00"))
    assert slots.next_run(ends, None, NOW) == at("2026-01-25T12:00")
    assert slots.next_run(ends, at("2026-01-20T03:00"), NOW) == at("2026-01-25T12:00")
    soon = backup(suspend=True, suspend_until=at("2026-01-20T13:00"))
    assert slots.next_run(soon, at("2026-01-20T03:00"), NOW) == at("2026-01-21T03:00")


def test_a_suspension_ends_with_its_time() -> None:
    ends = at("2026-01-20T12:00")
    fleet = Fleet(
        backups=(backup(suspend=True, suspend_until=ends, suspend_reason="x"), backup(suspend=True))
    )
    assert [item.suspend for item in fleet.at(at("2026-01-20T11:59")).backups] == [True, True]
    assert [item.suspend for item in fleet.at(ends).backups] == [False, True]
    assert fleet.at(ends).backups[0] == backup()
