"""What the service feeds: from any thread, bounded, without a secret."""

import threading

import pytest

from reconciler.adapters.secrets import resolve
from reconciler.model import FromEnv, Outcome, Plan
from reconciler.ports import Progress
from reconciler.web import Live
from reconciler.web.live import MOST_RUNS
from reconciler.web.record import LONGEST, MOST_LINES
from tests.report.example import PLANNED, actions, bad_day
from tests.web.place import Hand

ACTION = actions()["grafana"]
PLAN = Plan(now=PLANNED, actions=(ACTION,))


def begun() -> tuple[Live, Hand]:
    clock = Hand()
    live = Live(clock)
    live.began()
    live.planned(PLAN)
    return live, clock


def test_what_it_is_told_as_a_progress_is_seen_as_a_run() -> None:
    live, clock = begun()
    progress: Progress = live
    progress.started(ACTION)
    progress.advanced(ACTION.target, 700)
    progress.said("archive-pre", "half of it")
    (run,) = live.seen().runs
    (move,) = run.moving
    assert (run.state, run.planned, move.action, move.size, move.last) == (
        "running",
        1,
        ACTION,
        700,
        "archive-pre",
    )
    clock.turn(5)
    progress.finished(Outcome(ACTION, size=700))
    live.ended(None)
    (run,) = live.seen().runs
    assert (run.state, run.moving, [outcome.size for outcome in run.outcomes]) == ("done", (), [700])
    assert run.ended == clock.now()
    log = live.log(run.id)
    assert log is not None
    assert [line.text for line in log.lines][1] == "half of it"
    assert log.lines[-1].text.endswith(": done, 700 B in 0.0 s")


def test_runs_and_logs_are_bounded() -> None:
    live, _ = begun()
    for _ in range(2 * MOST_RUNS):
        live.planned(PLAN)
        live.started(ACTION)
        for number in range(MOST_LINES):
            live.said("hook", f"{number} {'x' * 3000}")
        live.finished(Outcome(ACTION))
        live.ended(None)
    seen = live.seen()
    assert len(seen.runs) == MOST_RUNS
    assert len({run.id for run in seen.runs}) == MOST_RUNS
    log = live.log(seen.runs[0].id)
    assert log is not None
    assert (len(log.lines), log.left_out) == (MOST_LINES, 2)
    assert max(len(line.text) for line in log.lines) == LONGEST + 1


def test_a_tick_with_nothing_to_do_is_no_run() -> None:
    live = Live(Hand())
    live.began()
    live.planned(Plan(now=PLANNED))
    live.ended(bad_day())
    assert live.seen().runs == ()
    live.said("late", "words of a hook that nobody waits for")
    live.advanced(ACTION.target, 1)
    live.finished(Outcome(ACTION))


def test_a_run_that_breaks_off_has_failed() -> None:
    live, _ = begun()
    live.started(ACTION)
    live.ended(None, "the disk is full")
    (run,) = live.seen().runs
    assert (run.state, run.moving, run.outcomes) == ("failed", (), ())
    log = live.log(run.id)
    assert log is not None
    assert log.lines[-1].text == "broke off: the disk is full"


def test_secrets_are_struck_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGE_SECRET", "hunter2-hunter2")
    resolve(FromEnv(from_env="PAGE_SECRET"))
    live, _ = begun()
    live.started(ACTION)
    live.said("hook hunter2-hunter2", "the password is hunter2-hunter2")
    live.ended(None, "login hunter2-hunter2 refused")
    seen = live.seen()
    log = live.log(seen.runs[0].id)
    assert log is not None
    assert [(line.who, line.text) for line in log.lines][-2] == ("hook [secret]", "the password is [secret]")
    assert seen.problem == "login [secret] refused"


def test_the_rate_is_that_of_late() -> None:
    live, clock = begun()
    live.started(ACTION)
    for _ in range(60):
        clock.turn(1)
        live.advanced(ACTION.target, 1000)
    assert live.seen().runs[0].moving[0].rate == pytest.approx(1000)
    clock.turn(20)
    (move,) = live.seen().runs[0].moving
    assert (move.size, move.seconds) == (60_000, 80)
    assert move.rate < 600, "it stands still, and the rate says so"


def test_it_may_be_fed_and_read_by_many_threads_at_once() -> None:
    live, _ = begun()
    live.started(ACTION)

    def feed() -> None:
        for _ in range(500):
            live.advanced(ACTION.target, 3)
            live.said("hook", "line")

    def read() -> None:
        for _ in range(200):
            for run in live.seen().runs:
                assert live.log(run.id) is not None

    threads = [threading.Thread(target=work) for work in (feed, feed, feed, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = live.seen()
    assert seen.runs[0].moving[0].size == 3 * 500 * 3
    log = live.log(seen.runs[0].id)
    assert log is not None
    assert len(log.lines) + log.left_out == 1 + 1500
