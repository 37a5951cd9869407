"""What a report tells of the one before it, and which commit of the specs it blames."""

from datetime import timedelta

from msgspec.structs import replace

from reconciler.model import Destination, Fleet, Listing, Plan, Probe, Retention
from reconciler.model.status import Change, Status
from reconciler.report import rejected, render
from reconciler.report.difference import MOST
from tests.report.example import GRAFANA, MIB, NOW, PLANNED, Volume, bad_day, copy, key
from tests.report.test_status import COPIES, FLEET, ONE, SEEN, make, with_listing

LATER = NOW + timedelta(hours=1)
NEWER = "d15c0de"


def told(found: Status) -> list[tuple[str, str, str | None]]:
    assert found.changes
    return [(item.subject, item.message, item.commit) for item in found.changes.items]


def after(fleet: Fleet) -> Status:
    """The report of other specs, at another commit, after that of a good day."""
    return make(replace(fleet, commit=NEWER), now=LATER, previous=make())


def test_the_first_report_has_none_and_the_same_again_keeps_those_it_had() -> None:
    first = make()
    assert first.changes is None
    down = make(seen=with_listing("offsite", Listing(unknown="refused")), now=LATER, previous=first)
    assert down.changes
    again = make(
        seen=with_listing("offsite", Listing(unknown="refused")),
        now=LATER + timedelta(hours=1),
        previous=down,
    )
    assert again.changes == down.changes


def test_every_change_of_the_specs_names_their_commit() -> None:
    local, offsite = FLEET.destinations
    moved = replace(local, url="file:///mnt/backups")
    fewer = replace(offsite, retention=Retention(daily=7))
    third = Destination(name="nas", url="file:///nas")
    backup = replace(
        ONE,
        schedule="0 4 * * *",
        max_age="26h",
        targets=(*ONE.targets, Volume(name="wiki")),
        destinations=("local", "offsite", "nas"),
    )
    found = told(after(replace(FLEET, destinations=(moved, fewer, third), backups=(backup,))))
    assert [item for item in found if item[2]] == [
        ("specs", "another commit is in force, no longer c0ffee", NEWER),
        ("local", "at file:///mnt/backups now, no longer at file:///srv/backups", NEWER),
        ("nas", "a new destination", NEWER),
        (
            "grafana/data",
            "its schedule is 0 4 * * * (UTC), no longer 0 3 * * * (UTC)",
            NEWER,
        ),
        ("grafana/data", "its maxAge is 26h, no longer none", NEWER),
        ("grafana/data", "its copies go to nas, too", NEWER),
        ("grafana/data", "at offsite daily 7 are kept, no longer daily 7, weekly 4, monthly 3", NEWER),
        ("wiki/data", "a new target", NEWER),
    ]


def test_what_the_specs_no_longer_name_is_told() -> None:
    less = told(after(replace(FLEET, destinations=FLEET.destinations[:1], backups=())))
    assert ("offsite", "no destination any more", NEWER) in less
    assert ("grafana/data", "no target any more", NEWER) in less
    only = told(after(replace(FLEET, backups=(replace(ONE, destinations=("local",)),))))
    assert ("grafana/data", "its copies no longer go to offsite", NEWER) in only
    suspended = replace(FLEET, backups=(replace(ONE, suspend=True),))
    assert [item[1:] for item in told(after(suspended)) if item[0] == "grafana/data"] == [
        ("suspended", NEWER)
    ]
    back = make(replace(FLEET, commit="more"), now=LATER, previous=make(suspended))
    assert ("grafana/data", "no longer suspended", "more") in told(back)


def test_what_was_seen_otherwise_blames_no_commit() -> None:
    tomorrow = copy(key(GRAFANA, "2026-01-21"), 3 * MIB)
    grown = Listing(copies=(*COPIES, tomorrow))
    found = make(
        seen=replace(SEEN, listings={"local": grown, "offsite": SEEN.listings["offsite"]}),
        plan=Plan(now=PLANNED + timedelta(days=1)),
        now=NOW + timedelta(days=1),
        previous=make(),
    )
    assert told(found) == [
        ("Healthy", "False (TargetsFailing), no longer True (AllProtected)", None),
        ("local", "10.0 MiB in 8 copies: +3.0 MiB, +1 copy", None),
        ("grafana/data", "failing, no longer good", None),
        ("grafana/data", "its newest backup is of 2026-01-21 03:00Z: 3.0 MiB, +2.0 MiB", None),
    ]


def test_a_destination_that_goes_and_comes_back() -> None:
    down = make(seen=with_listing("offsite", Listing(unknown="refused")), now=LATER, previous=make())
    assert [(subject, message.partition(" (")[0]) for subject, message, _ in told(down)] == [
        ("Ready", "False"),
        ("Converged", "Unknown"),
        ("Healthy", "Unknown"),
        ("offsite", "it cannot be looked at: refused"),
        ("grafana/data", "unknown, no longer good"),
    ], "and nothing of its retention"
    back = told(make(now=LATER, previous=down))
    assert ("offsite", "it can be looked at again", None) in back
    assert len(back) == 5


def test_the_last_copy_that_goes_is_told() -> None:
    gone = replace(SEEN, listings={"local": Listing(), "offsite": Listing()})
    assert ("grafana/data", "no good copy of it is left", None) in told(make(seen=gone, previous=make()))


def test_specs_that_cannot_be_used_change_one_condition() -> None:
    found = told(rejected(make(), ("a.yaml:1:1: wrong",), "n1", LATER))
    assert found == [("Ready", "False (SpecsInvalid), no longer True (SpecsInForce)", None)]


def test_failures_come_before_what_went_well_and_a_great_many_are_cut() -> None:
    names = [f"volume-{number:03}" for number in range(60)]
    fleet = replace(FLEET, backups=(replace(ONE, targets=tuple(Volume(name=name) for name in names)),))
    found = make(fleet, previous=make(replace(FLEET, backups=())))
    assert found.changes
    assert len(found.changes.items) == MOST
    assert found.changes.more == 60 - MOST + 1, "and the Healthy condition"
    assert found.changes.items[0] == Change(subject="volume-000/data", message="a new target")
    assert "* and 11 more" in render(found)


def test_the_page_tells_them_with_their_commit() -> None:
    page = render(bad_day())
    changes = page.partition("## Changes")[2].partition("\n## ")[0]
    assert changes.startswith("\n\nSince the report of 2026-01-19 03:05Z:\n\n* **specs**: another commit")
    assert (
        "* **grafana/data**: at offsite daily 14, monthly 12 are kept, no longer daily 7, monthly 12"
        " (specs at 4f0c1d2e9ab8)" in changes
    )
    assert "* **shop-db/dump**: failing, no longer good\n" in changes
    assert "* **grafana/data**: its newest backup is of 2026-01-20 03:00Z: 18.0 MiB\n" in changes


def test_a_probe_alone_changes_nothing() -> None:
    seen = replace(SEEN, probes={GRAFANA: Probe(fingerprint="sha256:1")})
    assert make(seen=seen, now=LATER, previous=make()).changes is None
