"""What is told to whom, as a pure function of what he knows and what is so."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler import plan
from reconciler.model import Listing, Notifier, Outcome, Plan, Replicate, SecretRef
from reconciler.model.notifications import Apprise
from reconciler.model.status import (
    Attempt,
    BrokenCopy,
    DestinationStatus,
    Event,
    Holding,
    NoteStatus,
    OutcomeStatus,
    Run,
    Status,
    Success,
    TargetStatus,
    TierCount,
    Told,
)
from reconciler.report import rejected, status
from reconciler.report.notify import message
from reconciler.report.transitions import believed, drift, news, of_this_run, troubles
from tests.report.example import GRAFANA, NOW, PLANNED, bad_day, key
from tests.report.test_status import FLEET, SEEN, make

NOBODY = Told(notifier="team")
LAST, BEFORE = key(GRAFANA, "2026-01-20"), key(GRAFANA, "2026-01-19")


def holding(name: str, **fields: object) -> Holding:
    return Holding(destination=name, known=True, tiers=(TierCount(tier="daily", held=7, wanted=7),), **fields)  # type: ignore[arg-type]


def target(**fields: object) -> TargetStatus:
    """Grafana, of whose fields the test says what is not well."""
    return replace(make().targets[0], **fields)


def with_targets(*targets: TargetStatus, notes: Sequence[NoteStatus] = ()) -> Status:
    return replace(make(), targets=targets, notes=tuple(notes))


def replicated(state: str, name: str = "offsite", of: str = LAST) -> OutcomeStatus:
    return OutcomeStatus(
        action="replicate",
        target="grafana/data",
        destinations=(name,),
        key=of,
        reason="missing",
        state=state,  # type: ignore[arg-type]
        error="" if state == "done" else "no space left",
    )


def ran(before: Status, *outcomes: OutcomeStatus) -> Status:
    return replace(before, last_run=Run(time=NOW, outcomes=outcomes))


def test_a_good_day_has_no_trouble() -> None:
    assert troubles(make()) == {}
    assert news(NOBODY, make(), {}) == ()


def test_a_bad_day() -> None:
    found = troubles(bad_day())
    assert list(found) == ["shop-db/dump", "shop-db/dump at offsite", "wiki/data at offsite"]
    assert found["wiki/data at offsite"].startswith(
        "its newest backup, of 2026-01-20 03:00Z, is missing at offsite; "
    )


def test_troubles_of_a_target_do_not_hide_each_other() -> None:
    missing = "its newest backup, of 2026-01-20 03:00Z, is missing at offsite"
    one = target(
        state="failing",
        problems=(missing, "its clock is wrong"),
        holdings=(holding("local"), holding("offsite", missing=(LAST,))),
        last_success=Success(time=make().targets[0].last_success.time, key=LAST, size=1),  # type: ignore[union-attr]
        last_attempt=Attempt(time=NOW, state="partial", failures={"offsite": "no space left"}),
    )
    assert troubles(with_targets(one)) == {
        "grafana/data": "its clock is wrong",
        "grafana/data at offsite": f"{missing}; no space left",
    }


def test_an_objective_that_is_missed_is_told_apart_from_the_failure_that_it_comes_with() -> None:
    old = Listing(copies=SEEN.listings["local"].copies[:-1])
    seen = replace(SEEN, listings={"local": old, "offsite": old}, probes={})
    asked = replace(FLEET, backups=(replace(FLEET.backups[0], max_age="20h"),))
    whole = status(asked, seen, plan.make(asked, seen, PLANNED), (), NOW, None)
    found = troubles(whole)
    sentence = "its newest backup, of 2026-01-19 03:00Z, is older than maxAge allows (20h)"
    assert found["grafana/data: stale"] == sentence
    assert sentence not in found["grafana/data"], "that it is overdue"
    told = news(NOBODY, whole, found)
    assert [(event.transition, event.subject) for event in told] == [
        ("failure", "grafana/data"),
        ("stale", "grafana/data: stale"),
    ]
    knows = replace(NOBODY, troubles=believed(NOBODY, whole, found))
    assert news(knows, whole, found) == ()
    assert {event.transition for event in news(knows, make(), {})} == {"recovery"}


def test_a_target_that_is_suspended_recovers_with_that_word() -> None:
    told = replace(NOBODY, troubles=("grafana/data",))
    now = with_targets(target(state="suspended"))
    (event,) = news(told, now, troubles(now))
    assert event == Event(transition="recovery", subject="grafana/data", text="it is suspended now")


def test_what_no_spec_names_any_more_recovers_with_that_word() -> None:
    told = replace(NOBODY, troubles=("wiki/data", "destination usb"))
    events = news(told, make(), {})
    assert {event.subject: event.text for event in events} == {
        "wiki/data": "no spec names it any more",
        "destination usb": "no spec names it any more",
    }


def test_a_destination_that_cannot_be_looked_at_ends_no_trouble_there() -> None:
    told = replace(NOBODY, troubles=("grafana/data at offsite",))
    unknown = replace(
        make(),
        targets=(target(holdings=(holding("local"), Holding(destination="offsite", known=False))),),
        destinations=(
            DestinationStatus(
                name="offsite", url="file:///x", media="hdd", offsite=True, state="unknown", why="not mounted"
            ),
        ),
    )
    found = troubles(unknown)
    assert found == {"destination offsite": "it cannot be looked at: not mounted"}
    assert [event.transition for event in news(told, unknown, found)] == ["failure"]
    after = believed(told, unknown, found)
    assert after == ("destination offsite", "grafana/data at offsite")
    events = news(replace(told, troubles=after), make(), {})
    assert [(event.transition, event.subject) for event in events] == [
        ("recovery", "destination offsite"),
        ("recovery", "grafana/data at offsite"),
    ]


def test_specs_that_cannot_be_used_are_a_trouble_and_end_none() -> None:
    told = replace(NOBODY, troubles=tuple(troubles(bad_day())))
    wrong = rejected(bad_day(), ["backup.d/a.yaml:3:1: spec.x: unknown key"], "n1", NOW + timedelta(hours=1))
    found = troubles(of_this_run(wrong, bad_day()))
    (event,) = news(told, wrong, found)
    assert (event.transition, event.subject) == ("failure", "specs")
    assert "backup.d/a.yaml:3:1: spec.x: unknown key" in event.text
    again = replace(told, troubles=believed(told, wrong, found))
    (event,) = news(again, bad_day(), troubles(bad_day()))
    assert (event.transition, event.subject) == ("recovery", "specs")


def test_an_action_that_failed_is_over_only_when_it_was_done_or_is_not_wanted() -> None:
    artifact = SEEN.listings["local"].copies[0].artifact
    copying = Replicate(GRAFANA, artifact.key, ("local",), "offsite", 1, "missing")
    failed = status(
        FLEET, SEEN, Plan(now=NOW, actions=(copying,)), (Outcome(copying, error="full"),), NOW, None
    )
    found = troubles(failed)
    assert found == {"replicate grafana/data at offsite": "it failed: full"}
    told = replace(NOBODY, troubles=tuple(found))
    pending = of_this_run(
        status(FLEET, SEEN, Plan(now=NOW, actions=(copying,)), (), NOW + timedelta(hours=1), failed), failed
    )
    assert news(told, pending, troubles(pending)) == ()
    assert believed(told, pending, troubles(pending)) == told.troubles
    done = status(FLEET, SEEN, Plan(now=NOW), (Outcome(copying),), NOW + timedelta(hours=2), pending)
    (event,) = news(told, done, troubles(done))
    assert (event.transition, event.subject) == ("recovery", "replicate grafana/data at offsite")


def test_an_error_that_belongs_to_no_target() -> None:
    note = NoteStatus(severity="error", topic="held", subject="journal", message="shop-db stays stopped")
    warning = NoteStatus(severity="warning", topic="orphan", subject="x", message="kept")
    now = with_targets(target(), notes=(note, warning))
    assert troubles(now) == {"held journal": "shop-db stays stopped"}


def test_a_status_that_cannot_be_written() -> None:
    assert troubles(make(), "disk full") == {"status": "it could not be written: disk full"}


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("done", "1 copy lost or damaged there, made again"),
        ("failed", "1 copy lost or damaged there, and not made again yet"),
    ],
)
def test_a_copy_that_was_there_and_is_made_again_is_drift(state: str, text: str) -> None:
    before = with_targets(target(holdings=(holding("local"), holding("offsite"))))
    (event,) = drift(ran(before, replicated(state)), before)
    assert event == Event(transition="drift", subject="grafana/data at offsite", text=text)


def test_copies_of_one_target_at_one_destination_are_one_drift() -> None:
    before = with_targets(target(holdings=(holding("local"), holding("offsite"))))
    (event,) = drift(ran(before, replicated("done"), replicated("done", of=BEFORE)), before)
    assert event.text == "2 copies lost or damaged there, made again"


@pytest.mark.parametrize("broken", [(), (BrokenCopy(key=LAST, why="it is cut short"),)])
def test_a_copy_that_was_damaged_before_is_drift_too(broken: tuple[BrokenCopy, ...]) -> None:
    before = with_targets(target(holdings=(holding("local"), holding("offsite", broken=broken))))
    assert len(drift(ran(before, replicated("done")), before)) == 1


def test_what_is_new_or_was_missing_before_is_no_drift() -> None:
    whole = with_targets(target(holdings=(holding("local"), holding("offsite"))))
    missing = with_targets(target(holdings=(holding("local"), holding("offsite", missing=(LAST,)))))
    elsewhere = with_targets(target(holdings=(holding("local"),)))
    fewer = with_targets(
        target(
            holdings=(
                holding("local"),
                replace(holding("offsite"), tiers=(TierCount(tier="daily", held=3, wanted=3),)),
            )
        )
    )
    unknown = with_targets(target(holdings=(holding("local"), Holding(destination="offsite", known=False))))
    moved = replace(
        whole,
        destinations=tuple(
            replace(item, url="s3://other") if item.name == "offsite" else item for item in whole.destinations
        ),
    )
    now = ran(whole, replicated("done"))
    for before in (None, missing, elsewhere, fewer, unknown, moved):
        assert drift(now, before) == ()
    made = replace(replicated("done"), action="create", destinations=("local",))
    assert drift(ran(whole, made, replicated("done")), whole) == ()


SUBJECTS = ("grafana/data", "specs", "held journal")


@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from(SUBJECTS)), st.text(max_size=3), st.booleans()),
        min_size=1,
        max_size=12,
    )
)
def test_nothing_is_told_twice_and_nothing_is_lost(days: list[tuple[set[str], str, bool]]) -> None:
    """Whoever adds up what reached him knows what the status says; messages that were lost in between change nothing."""
    told, heard = NOBODY, dict.fromkeys(SUBJECTS, False)
    well = make()
    for wrong, text, arrives in days:
        found = dict.fromkeys(sorted(wrong), text)
        if arrives:
            for event in news(told, well, found):
                assert heard[event.subject] is (event.transition == "recovery")
                heard[event.subject] = event.transition == "failure"
            told = Told(notifier="team", troubles=believed(told, well, found))
            assert {subject for subject, is_wrong in heard.items() if is_wrong} == wrong


def notifier(**fields: str) -> Notifier:
    return Notifier(name="team", apprise=Apprise(url=SecretRef(from_env="X")), **fields)  # type: ignore[arg-type]


def test_a_message_is_short_whatever_happened() -> None:
    events = [
        Event(transition="failure", subject=f"app{number}/data", text="e\x1b[31m\n" * 900)
        for number in range(200)
    ]
    made = message(notifier(), events, bad_day())
    assert made.title.startswith(
        "Backups on backup1: 200 failures (app0/data, app1/data, app2/data, and 197 more)"
    )
    assert len(made.body) < 30_000
    assert "and 150 more" in made.body
    assert "\x1b" not in made.title + made.body


def test_a_title_is_one_line_and_a_template_has_every_variable() -> None:
    events = [Event(transition="drift", subject="a/b", text="x")]
    made = message(
        notifier(
            title="a\r\nBcc: you@example.com",
            body="${COMMIT} ${HEADLINE} ${NODE} ${SUMMARY} ${TIME} ${EVENTS} $5",
        ),
        events,
        bad_day(),
    )
    assert made.title == "a Bcc: you@example.com"
    assert made.body == (
        "4f0c1d2e9ab87c6d5e4f3a2b1c0d9e8f7a6b5c4d 2 of 4 targets need attention backup1 1 drift (a/b)"
        " 2026-01-20 03:05Z drift: a/b: x $5"
    )
    assert made.worst == "drift"
