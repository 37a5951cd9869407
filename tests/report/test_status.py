"""What the status says of a fleet: conditions, targets, destinations. Each case changes one thing of a good day."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace

from reconciler.model import (
    Adopt,
    Backup,
    Destination,
    Fleet,
    Listing,
    Note,
    Observation,
    Outcome,
    Plan,
    Probe,
    Replicate,
    Retention,
)
from reconciler.model.status import ConditionType, Holding, Status, TargetStatus
from reconciler.model.timing import Blackout
from reconciler.report import encode, rejected, seen_markers, status
from tests.report.example import GRAFANA, MIB, NOW, PLANNED, Volume, bad_day, copy, days, key

ONE = Backup(
    name="monitoring",
    schedule="0 3 * * *",
    targets=(Volume(name="grafana"),),
    destinations=("local", "offsite"),
)
FLEET = Fleet(
    destinations=(
        Destination(name="local", url="file:///srv/backups"),
        Destination(name="offsite", url="s3://acme/docker", media="cloud", offsite=True),
    ),
    backups=(ONE,),
    commit="c0ffee",
)
COPIES = tuple(days(GRAFANA, range(14, 21), MIB))
SEEN = Observation(
    listings={"local": Listing(marker="m1", copies=COPIES), "offsite": Listing(marker="m2", copies=COPIES)},
    probes={GRAFANA: Probe()},
    node="n1",
)


def make(
    fleet: Fleet = FLEET,
    seen: Observation = SEEN,
    plan: Plan | None = None,
    outcomes: Sequence[Outcome] = (),
    now: datetime = NOW,
    previous: Status | None = None,
) -> Status:
    return status(fleet, seen, plan or Plan(now=PLANNED), tuple(outcomes), now, previous)


def with_listing(name: str, listing: Listing) -> Observation:
    return replace(SEEN, listings={**SEEN.listings, name: listing})


def target(found: Status) -> TargetStatus:
    return found.targets[0]


def held(found: Status, name: str) -> Holding:
    return next(item for item in target(found).holdings if item.destination == name)


def says(found: Status, type_: ConditionType) -> tuple[str, str]:
    condition = found.condition(type_)
    return condition.status, condition.reason


def test_a_good_day_is_good() -> None:
    found = make()
    assert [says(found, type_) for type_ in ("Ready", "Converged", "Healthy")] == [
        ("True", "SpecsInForce"),
        ("True", "UpToDate"),
        ("True", "AllProtected"),
    ]
    assert (target(found).state, target(found).problems) == ("good", ())
    assert target(found).next_run == PLANNED.replace(day=21, second=0)
    success = target(found).last_success
    assert success
    assert (success.time, success.size) == (PLANNED, MIB)
    local = held(found, "local")
    assert {item.tier: (item.held, item.wanted) for item in local.tiers} == {
        "daily": (7, 7),
        "weekly": (0, 4),
        "monthly": (0, 3),
    }
    assert (local.copies, local.size) == (7, 7 * MIB)


def test_the_status_reads_back_as_it_was_written() -> None:
    assert msgspec.json.decode(encode(bad_day()), type=Status) == bad_day()


def test_the_order_of_what_was_seen_and_written_does_not_matter() -> None:
    turned = Fleet(
        destinations=FLEET.destinations[::-1], backups=FLEET.backups, policy=FLEET.policy, commit=FLEET.commit
    )
    listings = {
        name: replace(item, copies=item.copies[::-1]) for name, item in reversed(SEEN.listings.items())
    }
    assert make(turned, replace(SEEN, listings=listings)) == make()


# --- Ready -----------------------------------------------------------------------------------------------------------


def test_an_unknown_destination_is_not_ready_and_leaves_the_rest_unknown() -> None:
    found = make(seen=with_listing("offsite", Listing(unknown="the marker is gone; is the disk mounted?")))
    assert says(found, "Ready") == ("False", "DestinationUnknown")
    assert "offsite is unknown: the marker is gone" in found.condition("Ready").message
    assert says(found, "Converged") == ("Unknown", "DestinationUnknown")
    assert says(found, "Healthy") == ("Unknown", "DestinationUnknown")
    assert target(found).state == "unknown"
    assert not held(found, "offsite").known
    offsite = found.destinations[1]
    assert (offsite.copies, offsite.size, offsite.foreign) == (None, None, None)


def test_a_destination_that_nobody_looked_at_is_unknown() -> None:
    assert says(make(seen=replace(SEEN, listings={"local": SEEN.listings["local"]})), "Ready")[0] == "False"


def test_the_last_success_is_remembered_while_its_destination_cannot_be_looked_at() -> None:
    older = replace(SEEN.listings["local"], copies=COPIES[:3])
    before = make(seen=with_listing("local", older))
    gone = Observation(listings={"local": older, "offsite": Listing(unknown="down")}, node="n1")
    success = target(make(seen=gone, previous=before)).last_success
    assert success
    assert success.key == key(GRAFANA, "2026-01-20")
    back = Observation(listings={"local": older, "offsite": Listing()}, node="n1")
    success = target(make(seen=back, previous=before)).last_success
    assert success, "seen empty now: only what is there counts"
    assert success.key == key(GRAFANA, "2026-01-16")


def test_specs_that_cannot_be_used_keep_the_last_status() -> None:
    problems = ("backup.d/a.yaml:3:1: spec.scheduel: unknown key (did you mean schedule?)", "b", "c", "d")
    later = NOW + timedelta(hours=1)
    found = rejected(make(), problems, "n1", later)
    assert says(found, "Ready") == ("False", "SpecsInvalid")
    assert "did you mean schedule" in found.condition("Ready").message
    assert found.condition("Ready").message.startswith("4 errors in the specs: ")
    assert found.condition("Ready").last_transition_time == later
    assert found.condition("Healthy") == make().condition("Healthy")
    assert (found.targets, found.spec_commit) == (make().targets, "c0ffee")
    never = rejected(None, problems, "n1", NOW)
    assert [item.status for item in never.conditions] == ["False", "Unknown", "Unknown"]


# --- Converged -------------------------------------------------------------------------------------------------------

HEAL = Replicate(GRAFANA, COPIES[0].artifact.key, ("local",), "offsite", MIB, "missing here")


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome(HEAL), "UpToDate"),
        (Outcome(HEAL, error="disk full"), "ActionsFailed"),
        (Outcome(HEAL, skipped="its backup failed"), "ActionsFailed"),
        (Outcome(HEAL, failures={"offsite": "503"}), "ActionsFailed"),
        (None, "ActionsPending"),
    ],
)
def test_converged_means_that_nothing_failed_and_nothing_is_left(
    outcome: Outcome | None, reason: str
) -> None:
    left = () if outcome and outcome.ok else (HEAL,)
    found = make(plan=Plan(now=PLANNED, actions=left), outcomes=(outcome,) if outcome else ())
    assert says(found, "Converged") == ("True" if reason == "UpToDate" else "False", reason)
    if reason != "UpToDate":
        assert "replicate grafana/data at offsite" in found.condition("Converged").message


def test_an_action_that_was_done_and_is_needed_again_is_pending() -> None:
    found = make(plan=Plan(now=PLANNED, actions=(HEAL,)), outcomes=(Outcome(HEAL),))
    assert says(found, "Converged") == ("False", "ActionsPending")


def test_withheld_deletions_are_not_converged() -> None:
    note = Note("warning", "deletions", "policy", "60 deletions are more than 20: none is made")
    assert says(make(plan=Plan(now=PLANNED, notes=(note,))), "Converged") == ("False", "DeletionsWithheld")


# --- Healthy ---------------------------------------------------------------------------------------------------------


def test_nothing_anywhere_is_a_failure() -> None:
    empty = Observation(listings={"local": Listing(), "offsite": Listing()}, node="n1")
    found = make(seen=empty)
    assert says(found, "Healthy") == ("False", "TargetsFailing")
    assert target(found).problems == ("there is no good copy of it anywhere",)
    assert target(found).last_success is None


def test_older_than_its_schedule_asks_is_a_failure() -> None:
    old = Listing(copies=COPIES[:-1])
    found = make(seen=replace(SEEN, listings={"local": old, "offsite": old}))
    assert target(found).problems == ("it is overdue: its newest backup is of 2026-01-19 03:00Z",)
    assert says(found, "Healthy")[0] == "False"


def test_a_tick_that_passed_while_the_run_went_on_is_for_the_next_one() -> None:
    found = make(now=PLANNED + timedelta(days=1))
    assert target(found).state == "good"
    assert target(found).next_run == PLANNED.replace(day=22, second=0)


def test_an_unchanged_image_stands_for_the_slots_since() -> None:
    old = Listing(copies=COPIES[:-1])
    probe = Probe(fingerprint="sha256:1", stored_fingerprint="sha256:1")
    seen = Observation(listings={"local": old, "offsite": old}, probes={GRAFANA: probe}, node="n1")
    assert says(make(seen=seen), "Healthy")[0] == "True"


def test_a_newest_backup_that_is_missing_or_broken_somewhere_is_a_failure() -> None:
    missing = make(seen=with_listing("offsite", Listing(copies=COPIES[:-1])))
    assert target(missing).problems == ("its newest backup, of 2026-01-20 03:00Z, is missing at offsite",)
    assert held(missing, "offsite").missing == (COPIES[-1].artifact.key,)
    rotten = (*COPIES[:-1], copy(COPIES[-1].artifact.key, 7, "its size is 7 bytes"))
    broken = make(seen=with_listing("offsite", Listing(copies=rotten)))
    assert target(broken).problems == ("its newest backup is broken at offsite: its size is 7 bytes",)
    assert [item.held for item in held(broken, "offsite").tiers] == [6, 0, 0], "a broken copy is not held"


def test_what_a_destination_wants_is_its_own_retention() -> None:
    small = replace(FLEET.destinations[1], retention=Retention(weekly=2))
    fleet = replace(FLEET, destinations=(FLEET.destinations[0], small))
    found = make(fleet, with_listing("offsite", Listing(copies=COPIES[-1:])))
    assert target(found).state == "good", "older ones are not wanted there"
    assert [(item.tier, item.held, item.wanted) for item in held(found, "offsite").tiers] == [
        ("weekly", 0, 2)
    ]


@pytest.mark.parametrize(
    ("max_age", "stale"),
    [("24h", False), ("23h59m", True), ("2d", False)],
)
def test_an_objective_is_missed_when_the_newest_backup_is_older(max_age: str, stale: bool) -> None:
    fleet = replace(FLEET, backups=(replace(ONE, max_age=max_age),))
    old = Listing(copies=COPIES[:-1])
    found = make(fleet, replace(SEEN, listings={"local": old, "offsite": old}))
    says_so = f"its newest backup, of 2026-01-19 03:00Z, is older than maxAge allows ({max_age})"
    assert (says_so in target(found).problems) == stale
    assert (target(found).max_age, target(found).stale) == (max_age, stale)


def test_what_never_ran_misses_its_objective_at_once_and_a_suspended_backup_has_none() -> None:
    empty = Observation(listings={"local": Listing(), "offsite": Listing()}, node="n1")
    fleet = replace(FLEET, backups=(replace(ONE, max_age="26h"),))
    found = make(fleet, empty)
    assert says(found, "Healthy") == ("False", "TargetsFailing")
    assert target(found).problems == (
        "there is no good copy of it anywhere",
        "it has no backup, and maxAge asks for one that is no older than 26h",
    )
    asleep = make(replace(fleet, backups=(replace(fleet.backups[0], suspend=True),)), empty)
    assert (target(asleep).stale, target(asleep).problems) == (False, ())


def test_an_objective_is_judged_by_what_is_remembered_of_a_destination_that_is_unknown() -> None:
    fleet = replace(FLEET, backups=(replace(ONE, max_age="26h", destinations=("local",)),))
    before = make(fleet)
    away = replace(SEEN, listings={"local": Listing(unknown="not mounted")})
    assert not target(make(fleet, away, previous=before)).stale
    later = NOW + timedelta(hours=26)
    assert target(make(fleet, away, Plan(now=later), now=later, previous=before)).stale


def test_an_unchanged_image_is_fresh() -> None:
    fleet = replace(FLEET, backups=(replace(ONE, max_age="26h"),))
    probes = {GRAFANA: Probe(fingerprint="sha256:1", stored_fingerprint="sha256:1")}
    later = NOW + timedelta(days=9)
    found = make(fleet, replace(SEEN, probes=probes), Plan(now=later), now=later)
    assert (target(found).state, target(found).stale) == ("good", False)


def test_what_waits_for_the_end_of_a_blackout_is_not_overdue() -> None:
    dark = replace(ONE, blackout=(Blackout(start="02:00", to="04:00"),), schedule="30 2 * * *")
    old = Listing(copies=COPIES[:-1])
    found = make(replace(FLEET, backups=(dark,)), replace(SEEN, listings={"local": old, "offsite": old}))
    assert (target(found).state, target(found).next_run) == ("good", PLANNED.replace(hour=4, second=0))
    late = replace(ONE, blackout=(Blackout(start="02:45", to="04:00"),), schedule="30 2 * * *")
    found = make(replace(FLEET, backups=(late,)), replace(SEEN, listings={"local": old, "offsite": old}))
    assert target(found).state == "failing", "its slot came before the blackout"


def test_copies_dated_after_now_are_not_believed() -> None:
    future = copy(key(GRAFANA, "2036-01-20"), MIB)
    old = Listing(copies=(*COPIES[:-1], future))
    found = make(seen=replace(SEEN, listings={"local": old, "offsite": old}))
    assert target(found).problems == ("it is overdue: its newest backup is of 2026-01-19 03:00Z",)


def test_a_target_that_cannot_be_backed_up_says_why_once() -> None:
    gone = "volume grafana does not exist; did you mean grafana_data?"
    seen = replace(SEEN, probes={GRAFANA: Probe(problem=gone)})
    plan = Plan(now=PLANNED, notes=(Note("error", "target", "grafana/data", gone),))
    found = make(seen=seen, plan=plan)
    assert target(found).problems == (gone,)
    assert says(found, "Healthy") == ("False", "TargetsFailing")


def test_error_notes_are_not_healthy() -> None:
    note = Note("error", "rule321", "monitoring", "the 3-2-1 rule is broken: no copy is off-site")
    found = make(plan=Plan(now=PLANNED, notes=(note,)))
    assert says(found, "Healthy") == ("False", "Problems")
    assert found.condition("Healthy").message.startswith("monitoring: the 3-2-1 rule is broken")


def test_a_suspended_backup_asks_for_nothing() -> None:
    fleet = replace(FLEET, backups=(replace(ONE, suspend=True),))
    found = make(fleet, Observation(listings={"local": Listing(), "offsite": Listing()}, node="n1"))
    assert (target(found).state, target(found).next_run) == ("suspended", None)
    ends = NOW + timedelta(days=3)
    found = make(replace(fleet, backups=(replace(fleet.backups[0], suspend_until=ends),)))
    assert (target(found).state, target(found).next_run) == ("suspended", ends)
    assert says(found, "Healthy")[0] == "True"


# --- over time -------------------------------------------------------------------------------------------------------


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    first = make()
    later = NOW + timedelta(hours=1)
    down = with_listing("offsite", Listing(unknown="connection refused"))
    second = make(seen=down, now=later, previous=first)
    third = make(seen=down, now=later + timedelta(hours=1), previous=second)
    assert second.condition("Ready").last_transition_time == later
    assert third.condition("Ready").last_transition_time == later
    assert third.condition("Healthy").last_transition_time == later


def test_the_last_run_stays_until_another_one_does_something() -> None:
    first = make(outcomes=(Outcome(HEAL, size=MIB),))
    idle = make(now=NOW + timedelta(hours=1), previous=first)
    assert idle.last_run == first.last_run
    assert idle.last_run
    assert idle.last_run.time == NOW


def test_the_cause_of_a_failure_stays_until_a_backup_succeeds() -> None:
    first = bad_day()
    shop = next(item for item in first.targets if item.service == "shop-db")
    assert shop.problems[0].startswith("its last backup failed: command in container shop-db exited with 1")
    assert shop.last_attempt
    assert shop.last_attempt.state == "failed"
    wiki = next(item for item in first.targets if item.service == "wiki")
    assert wiki.problems[0].startswith("its last backup did not reach offsite: ")
    assert (
        [item.state for item in first.last_run.outcomes] == ["done", "failed", "partial", "done", "done"]
        if (first.last_run)
        else False
    )


def test_markers_are_remembered_for_the_url_they_were_seen_at() -> None:
    first = make()
    assert seen_markers(first, FLEET) == {"local": "m1", "offsite": "m2"}
    down = make(seen=with_listing("offsite", Listing(unknown="down")), previous=first)
    assert seen_markers(down, FLEET) == {"local": "m1", "offsite": "m2"}
    moved = replace(
        FLEET, destinations=(FLEET.destinations[0], replace(FLEET.destinations[1], url="s3://other"))
    )
    assert seen_markers(first, moved) == {"local": "m1"}
    assert seen_markers(None, FLEET) == {}


def test_a_destination_that_the_specs_leave_out_for_a_while_is_not_forgotten() -> None:
    first = make()
    less = make(replace(FLEET, destinations=FLEET.destinations[:1], backups=()), previous=first)
    still = make(replace(FLEET, destinations=FLEET.destinations[:1], backups=()), previous=less)
    assert [(item.name, item.marker) for item in still.former] == [("offsite", "m2")]
    assert seen_markers(still, FLEET) == {"local": "m1", "offsite": "m2"}
    assert make(previous=still).former == ()


def test_orphans_foreign_files_and_leftovers_are_counted() -> None:
    found = bad_day()
    assert [(item.service, item.copies, item.size, item.destinations) for item in found.orphans] == [
        ("gitea", 2, 420 * MIB, ("local",))
    ]
    local, offsite = found.destinations
    assert (local.foreign, local.foreign_names) == (2, ("lost+found/#12", "notes|draft.txt"))
    assert (offsite.foreign, offsite.leftovers, offsite.offsite) == (0, 1, True)
    assert [item.backup for item in found.rule321] == ["old-mail"]


def test_adoptions_have_no_target() -> None:
    adopt = Adopt("local", "never seen before")
    found = make(outcomes=(Outcome(adopt),))
    assert found.last_run
    assert [(item.action, item.target, item.destinations, item.key) for item in found.last_run.outcomes] == [
        ("adopt", "", ("local",), "")
    ]
