"""The status as metrics: what each number says of a bad day, and that what is not known has none."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.model import Create, Listing, Outcome, Prune, Restore
from reconciler.model.actions import HookOutcome
from reconciler.model.status import Status
from reconciler.report import rejected, status
from reconciler.report.metrics import families
from tests.report.example import (
    DOCS,
    GRAFANA,
    MIB,
    NOW,
    PLANNED,
    actions,
    bad_day,
    fleet,
    key,
    observation,
    rest,
)

Series = dict[tuple[str, ...], float]


def series(name: str, whole: Status | None = None) -> Series:
    """The samples of ``reconciler_{name}``, by their labels."""
    (family,) = (item for item in families(whole or bad_day()) if item.name == f"reconciler_{name}")
    found = dict(family.samples)
    assert len(found) == len(family.samples), "each series once"
    return {tuple(labels): value for labels, value in found.items()}


def after(*outcomes: Outcome) -> Status:
    """The status of the example after other outcomes."""
    return status(fleet(), observation(), rest(), outcomes, NOW, None)


def test_the_whole() -> None:
    assert series("status_timestamp_seconds") == {(): NOW.timestamp()}
    assert {labels for labels, value in series("condition").items() if value} == {
        ("Ready", "True"),
        ("Converged", "False"),
        ("Healthy", "False"),
    }
    assert len(series("condition")) == 9
    assert series("condition_reason") == {
        ("Ready", "SpecsInForce"): 1,
        ("Converged", "ActionsFailed"): 1,
        ("Healthy", "TargetsFailing"): 1,
    }
    assert series("orphans") == {(): 1}
    assert series("orphans_size_bytes") == {(): 420 * MIB}


def test_actions_that_are_left_stand_beside_a_zero_for_every_other() -> None:
    assert series("pending_actions") == {
        ("adopt",): 0,
        ("create",): 1,
        ("prune",): 0,
        ("recover",): 0,
        ("replicate",): 1,
        ("restore",): 0,
    }


def test_the_rule_of_three_two_one_by_backup() -> None:
    assert series("rule321_violations") == {("databases",): 0, ("monitoring",): 0, ("old-mail",): 1}
    assert series("notes")["warning", "rule321"] == 1


def test_a_target() -> None:
    shop = ("shop-db", "dump")
    states = {labels[2]: value for labels, value in series("target_state").items() if labels[:2] == shop}
    assert states == {"good": 0, "failing": 1, "unknown": 0, "suspended": 0}
    assert series("target_problems")[shop] == 3
    yesterday = PLANNED - timedelta(days=1)
    assert series("target_last_success_timestamp_seconds")[shop] == yesterday.timestamp()
    assert series("target_last_success_size_bytes")[shop] == 96 * MIB
    assert series("target_last_attempt_success")[shop] == 0
    assert series("target_last_attempt_duration_seconds")[shop] == 0.3
    next_run = NOW.replace(hour=3, minute=0, second=0) + timedelta(days=1)
    assert series("target_next_run_timestamp_seconds")[shop] == next_run.timestamp()
    assert series("target_info")[*shop, "databases", "command", "0 3 * * *", "UTC"] == 1


def test_a_backup_that_reached_one_of_two_destinations_is_no_success() -> None:
    assert series("target_last_attempt_success") == {
        ("grafana", "data"): 1,
        ("shop-db", "dump"): 0,
        ("wiki", "data"): 0,
    }


def test_what_is_suspended_has_no_next_run_and_what_was_never_tried_no_attempt() -> None:
    mail = ("mail", "data")
    assert series("target_state")[*mail, "suspended"] == 1
    for name in ("next_run", "last_attempt"):
        assert mail not in series(f"target_{name}_timestamp_seconds")


def test_an_objective_and_whether_it_is_missed() -> None:
    assert series("target_max_age_seconds") == series("target_stale") == {}, "nobody asks"
    asked = tuple(
        replace(backup, max_age={"monitoring": "26h", "databases": "20h"}.get(backup.name, ""))
        for backup in fleet().backups
    )
    whole = status(replace(fleet(), backups=asked), observation(), rest(), (), NOW, None)
    grafana, wiki, shop = ("grafana", "data"), ("wiki", "data"), ("shop-db", "dump")
    assert series("target_max_age_seconds", whole) == {grafana: 93600, wiki: 93600, shop: 72000}
    assert series("target_stale", whole) == {grafana: 0, wiki: 0, shop: 1}


def test_what_never_had_a_backup_has_no_time_of_one() -> None:
    empty = replace(observation(), listings={"local": Listing(marker="m"), "offsite": Listing(marker="n")})
    whole = status(fleet(), empty, rest(), (), NOW, None)
    assert series("target_last_success_timestamp_seconds", whole) == {}
    assert series("target_last_success_size_bytes", whole) == {}
    assert series("target_state", whole)["grafana", "data", "failing"] == 1
    assert series("last_run_timestamp_seconds", whole) == {}


def test_copies_held_and_wanted_by_destination() -> None:
    held, wanted = series("copies_held"), series("copies_wanted")
    assert held.keys() == wanted.keys()
    local, offsite = ("grafana", "data", "local"), ("grafana", "data", "offsite")
    assert {labels[3]: value for labels, value in held.items() if labels[:3] == local} == {
        "daily": 7,
        "weekly": 1,
        "monthly": 0,
    }
    assert {labels[3]: value for labels, value in wanted.items() if labels[:3] == offsite} == {
        "daily": 14,
        "monthly": 12,
    }
    assert series("copies_missing")["wiki", "data", "offsite"] == 1
    assert series("copies_broken")["shop-db", "dump", "offsite"] == 1
    assert series("copies_size_bytes")["mail", "data", "local"] == 1300 * MIB


def test_a_destination() -> None:
    assert series("destination_info") == {
        ("local", "hdd", "false"): 1,
        ("offsite", "object-storage", "true"): 1,
    }
    assert series("destination_known") == {("local",): 1, ("offsite",): 1}
    assert series("destination_copies") == {("local",): 25, ("offsite",): 25}
    assert series("destination_foreign_files") == {("local",): 2, ("offsite",): 0}
    assert series("destination_leftovers") == {("local",): 0, ("offsite",): 1}
    assert sum(series("destination_size_bytes").values()) == 9_973_006_336


def test_nothing_is_said_of_a_destination_that_cannot_be_looked_at() -> None:
    seen = observation()
    unplugged = replace(seen, listings={**seen.listings, "offsite": Listing(unknown="no route to host")})
    whole = status(fleet(), unplugged, rest(), (), NOW, None)
    assert series("destination_known", whole) == {("local",): 1, ("offsite",): 0}
    for family in families(whole):
        if "destination" in family.labels and family.name.split("_")[-1] not in ("info", "known"):
            place = family.labels.index("destination")
            assert {sample.labels[place] for sample in family.samples} <= {"local"}, family.name


def test_the_last_run() -> None:
    assert series("last_run_timestamp_seconds") == {(): NOW.timestamp()}
    assert series("last_run_duration_seconds") == {(): 23.05}
    assert series("last_run_actions") == {
        ("create", "done"): 1,
        ("create", "failed"): 1,
        ("create", "partial"): 1,
        ("prune", "done"): 1,
        ("replicate", "done"): 1,
    }
    assert series("last_run_failures") == {
        ("create", "shop-db", "dump", "", "error"): 1,
        ("create", "wiki", "data", "offsite", "destination"): 1,
    }


def failed_hook(*, ignored: bool) -> HookOutcome:
    """A hook after the backup that failed."""
    return HookOutcome("copy-post", "policy", "script", error="exit code 1", ignored=ignored)


PLAN = actions()
RESTORE = Restore("back", GRAFANA, key(GRAFANA, "2026-01-16"), ("local", "offsite"), "", False, MIB, "asked")


@pytest.mark.parametrize(
    ("outcome", "labels"),
    [
        (
            Outcome(PLAN["grafana"], error="a hook failed", hooks=(failed_hook(ignored=False),)),
            ("create", "grafana", "data", "", "hook"),
        ),
        (
            Outcome(PLAN["prune"], skipped="an earlier action failed"),
            ("prune", "grafana", "data", "local", "skipped"),
        ),
        (Outcome(PLAN["heal"], error="503 Slow Down"), ("replicate", "grafana", "data", "offsite", "error")),
        (Outcome(RESTORE, error="it is in use"), ("restore", "grafana", "data", "", "error")),
    ],
)
def test_why_something_failed(outcome: Outcome, labels: tuple[str, ...]) -> None:
    assert series("last_run_failures", after(outcome)) == {labels: 1}


def test_a_hook_whose_failure_is_a_warning_is_no_failure() -> None:
    fine = Outcome(PLAN["grafana"], hooks=(failed_hook(ignored=True),))
    assert series("last_run_failures", after(fine)) == {}


def test_an_attempt_that_was_skipped_took_no_time() -> None:
    create = PLAN["grafana"]
    assert isinstance(create, Create)
    whole = after(Outcome(create, skipped="an earlier action on this target failed in this run"))
    assert series("target_last_attempt_success", whole)["grafana", "data"] == 0
    assert series("target_last_attempt_duration_seconds", whole) == {}


def test_the_same_failure_of_two_copies_is_one_series_of_two() -> None:
    first = PLAN["prune"]
    assert isinstance(first, Prune)
    second = Prune(GRAFANA, key(GRAFANA, "2026-01-12"), "local", MIB, "past daily 7")
    whole = after(Outcome(first, error="read-only"), Outcome(second, error="read-only"))
    assert series("last_run_failures", whole) == {("prune", "grafana", "data", "local", "error"): 2}


def test_specs_that_cannot_be_used() -> None:
    """What was known stays, with its times: they go on growing old."""
    later = NOW + timedelta(hours=9)
    whole = rejected(bad_day(), ("backup.d/shop.yaml:3:1: unknown key",), "backup1", later)
    assert series("condition", whole)["Ready", "False"] == 1
    assert series("condition_reason", whole)["Ready", "SpecsInvalid"] == 1
    assert series("status_timestamp_seconds", whole) == {(): later.timestamp()}
    assert series("target_next_run_timestamp_seconds", whole) == series("target_next_run_timestamp_seconds")
    never = rejected(None, ("backup.d: no such folder",), "backup1", NOW)
    assert series("condition", never)["Healthy", "Unknown"] == 1
    assert series("target_info", never) == {}


def test_every_name_is_documented_and_ends_in_its_unit() -> None:
    page = (DOCS / "monitoring.md").read_text()
    told = dict(re.findall(r"^\| `(reconciler_\w+)` \| ([^|]*) \|", page, re.MULTILINE))
    made = {item.name: ", ".join(f"`{label}`" for label in item.labels) for item in families(bad_day())}
    assert told == made
    for name in made:
        assert re.fullmatch(r"reconciler(_[a-z0-9]+)+", name)
        timed = any(word in name for word in ("timestamp", "duration", "max_age"))
        assert timed == name.endswith("_seconds")
        assert ("size" in name) == name.endswith("_bytes")


def test_no_secret_and_no_address_is_a_label() -> None:
    values = {value for item in families(bad_day()) for sample in item.samples for value in sample.labels}
    assert not [value for value in values if "://" in value or Path(value).is_absolute()]
