"""The probes tell the truth: they fail when the loop hangs, and when backups cannot be made."""

import msgspec

from reconciler.model import Plan
from reconciler.web.live import GRACE, SILENCE
from tests.report.example import PLANNED, actions, bad_day, outcomes
from tests.web.place import Served, a_bad_day


def test_a_loop_that_shows_itself_is_healthy(site: Served) -> None:
    assert site.ask("/healthz").text == "ok   loop: starting; a sign of life 0 s ago\n"
    for _ in range(5):
        a_bad_day(site.live)
        site.clock.turn(60)
        assert site.ask("/healthz").status == 200


def test_a_loop_that_does_not_wake_is_not(site: Served) -> None:
    a_bad_day(site.live)
    site.clock.turn(60 + GRACE)
    assert site.ask("/healthz").status == 200
    site.clock.turn(5)
    answer = site.ask("/healthz")
    assert answer.status == 503
    assert answer.text == "FAIL loop: no sign of life for 365 s, 5 s more than there should be\n"
    assert site.ask("/readyz").status == 503
    assert "The service gave no sign of life for 6 min." in site.page().words
    site.live.began()
    assert site.ask("/healthz").status == 200


def test_a_long_run_is_healthy_while_anything_moves(site: Served) -> None:
    action = actions()["grafana"]
    site.live.began()
    site.live.planned(Plan(now=PLANNED, actions=(action,)))
    site.live.started(action)
    for _ in range(30):
        site.clock.turn(SILENCE - 1)
        assert site.ask("/healthz").status == 200
        site.live.advanced(action.target, 1)
    site.clock.turn(SILENCE + 1)
    assert site.ask("/healthz").status == 503


def test_it_is_ready_when_a_tick_ended_and_every_destination_answers(site: Served) -> None:
    assert site.ask("/readyz").text.splitlines() == [
        "not ready",
        "ok   loop: starting; a sign of life 0 s ago",
        "FAIL tick: none has ended since the start",
    ]
    a_bad_day(site.live)
    answer = site.ask("/readyz")
    assert (answer.status, answer.text.splitlines()[0]) == (200, "ready")
    assert outcomes()[1].error, "a target that fails does not make the service unready"
    site.live.began()
    site.clock.turn(30)
    assert site.ask("/readyz").status == 200, "a tick that goes on is no reason to be unready"


def test_it_is_not_ready_when_a_destination_is_away(site: Served) -> None:
    day = bad_day()
    gone = msgspec.structs.replace(day.destinations[1], state="unknown", why="no route to host")
    site.live.ended(msgspec.structs.replace(day, destinations=(day.destinations[0], gone)))
    answer = site.ask("/readyz")
    assert answer.status == 503
    assert "FAIL destination offsite: no route to host" in answer.text
    assert "ok   destination local: reachable" in answer.text


def test_it_is_not_ready_when_the_specs_cannot_be_read(site: Served) -> None:
    a_bad_day(site.live)
    site.live.ended(None, "backup.d/a.yaml:1:1: wrong\nbackup.d/b.yaml:1:1: wrong, too")
    answer = site.ask("/readyz")
    assert answer.status == 503
    assert "FAIL tick: backup.d/a.yaml:1:1: wrong backup.d/b.yaml:1:1: wrong, too" in answer.text
    a_bad_day(site.live)
    assert site.ask("/readyz").status == 200
