"""Containers that are held while data is read: which, in what order, and how they come back. On a real Engine."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.adapters.node import own_container
from reconciler.errors import EngineError, ReconcilerError, Refused, SourceError
from reconciler.lifecycle.hold import Hold, held
from reconciler.model import LabelStop, Quiesce, Uses
from tests.lifecycle.yard import STUBBORN, Yard, health
from tests.parts.process import until

STOP, PAUSE = Quiesce(mode="stop"), Quiesce(mode="pause")


@contextmanager
def hold(
    yard: Yard, quiesce: Quiesce | None = STOP, *stops: LabelStop, uses: Uses | None = None
) -> Iterator[Hold]:
    with held(yard.uses if uses is None else uses, quiesce, stops, yard.world(), "shop/data") as holding:
        yield holding


@pytest.mark.parametrize(("mode", "during"), [("stop", "exited"), ("pause", "paused")])
def test_what_ran_is_held_and_runs_again(yard: Yard, mode: str, during: str) -> None:
    yard.run("db")
    yard.run("web")
    with hold(yard, Quiesce(mode=mode)) as holding:  # type: ignore[arg-type]
        assert yard.status("db", "web") == [during, during]
        assert len(yard.records()) == 2  # one record, and its lock
        holding.check()
        holding.release()
        assert yard.status("db", "web") == ["running", "running"]
        holding.settle()
    assert (holding.trouble, holding.warnings) == ("", ())
    assert yard.records() == []


@pytest.mark.parametrize("mode", ["stop", "pause"])
def test_every_other_state_stays_as_it_was(yard: Yard, mode: str) -> None:
    yard.create("created")
    yard.run("ended", "exit 3")
    yard.run("frozen").pause()
    yard.await_status("exited", "ended")
    states = ("created", "ended", "frozen")
    before = yard.status(*states), yard.started(*states)
    with hold(yard, Quiesce(mode=mode)) as holding:  # type: ignore[arg-type]
        assert (yard.status(*states), yard.started(*states)) == before
        holding.check()
    assert (yard.status(*states), yard.started(*states)) == before
    assert before[0] == ["created", "exited", "paused"]


def test_a_container_between_two_restarts_is_held_and_restarts_again(yard: Yard) -> None:
    yard.run("loop", "exit 1", restart_policy={"Name": "always"})
    until(lambda: yard.of("loop")["RestartCount"] >= 5, "it does not restart")  # by now it rests for seconds
    yard.await_status("restarting", "loop")
    with hold(yard) as holding:
        assert yard.status("loop") == ["exited"]
        holding.check()
    until(lambda: yard.of("loop")["State"]["Status"] in ("running", "restarting"), "it is not tried again")


def test_only_those_that_could_write_are_held(yard: Yard, tmp_path: Path) -> None:
    folder = tmp_path / "app" / "files"
    folder.mkdir(parents=True)
    bind = {str(folder): {"bind": "/d", "mode": "rw"}}
    yard.run("writer", volumes=bind)
    yard.run("reader", volumes={str(folder): {"bind": "/d", "mode": "ro"}})
    yard.run("other")
    for path in (folder, folder.parent, folder / "deep"):
        with hold(yard, uses=Uses(paths=(str(path),))):
            assert yard.status("writer", "reader", "other") == ["exited", "running", "running"]
    with hold(yard, uses=Uses(paths=(str(yard.data / "inside"),))):
        assert yard.status("writer", "reader", "other") == ["running", "running", "exited"]
    with hold(yard, uses=Uses(paths=(str(tmp_path / "else"),))):
        assert yard.status("writer", "reader", "other") == ["running", "running", "running"]


def test_what_exists_in_a_container_alone_is_held_by_that(yard: Yard) -> None:
    yard.run("db")
    yard.run("web", tmpfs={"/scratch": ""})
    with hold(yard, PAUSE, uses=Uses(container=yard.name("web"), inside=True)):
        assert yard.status("db", "web") == ["running", "paused"]
    with hold(yard, PAUSE, uses=Uses(container=yard.name("web"))):  # a command that runs in it
        assert yard.status("db", "web") == ["running", "running"]


def test_named_containers_are_held_and_no_others(yard: Yard) -> None:
    yard.run("db")
    yard.run("web", volumes={})
    quiesce = Quiesce(mode="stop", containers=(yard.name("web"),))
    with hold(yard, quiesce) as holding:
        assert yard.status("db", "web") == ["running", "exited"]
        holding.check()
    assert yard.status("db", "web") == ["running", "running"]


def test_a_named_container_that_does_not_exist_is_an_error_before_anything_stops(yard: Yard) -> None:
    yard.run("db")
    before = yard.started("db")
    quiesce = Quiesce(mode="stop", containers=(yard.name("db"), "nobody"))
    with (
        pytest.raises(Refused, match="container nobody, which is to be held, does not exist"),
        hold(yard, quiesce),
    ):
        raise AssertionError
    assert yard.started("db") == before
    assert yard.status("db") == ["running"]


def test_a_container_that_would_vanish_is_refused(yard: Yard) -> None:
    yard.run("db")
    yard.run("once", auto_remove=True)
    with pytest.raises(Refused, match="--rm"), hold(yard):
        raise AssertionError
    assert yard.status("db", "once") == ["running", "running"]
    with hold(yard, PAUSE):
        assert yard.status("db", "once") == ["paused", "paused"]
    assert yard.status("db", "once") == ["running", "running"]


def test_dependants_stop_first_and_start_last(yard: Yard) -> None:
    yard.run("db")
    yard.run("app", needs={"db": "service_started", "gone": "service_started"})
    yard.run("web", needs={"app": "service_started"})
    with hold(yard):
        ends = yard.ended("web", "app", "db")
        assert ends == sorted(ends)
    starts = yard.started("db", "app", "web")
    assert starts == sorted(starts)
    assert starts[0] > ends[-1]


def test_a_start_waits_until_what_it_needs_is_healthy(yard: Yard) -> None:
    well = "rm -f /tmp/well; (sleep 1; touch /tmp/well) & "
    yard.run(
        "db",
        f"{well} trap 'exit 0' TERM; sleep infinity & wait",
        healthcheck=health("test -e /tmp/well", retries=100),
    )
    yard.run("app", needs={"db": "service_healthy"})
    yard.run("other", needs={"db": "service_started"})
    with hold(yard) as holding:
        holding.release()
        first = next(
            entry["End"] for entry in yard.of("db")["State"]["Health"]["Log"] if entry["ExitCode"] == 0
        )
        assert yard.started("app")[0] > first[:19]
        assert yard.of("db")["State"]["Health"]["Status"] == "healthy"
    assert holding.trouble == ""


def test_one_that_is_starting_is_waited_for(yard: Yard) -> None:
    begin = "(sleep 1; touch /tmp/well) & trap 'exit 0' TERM; sleep infinity & wait"
    yard.run("db", begin, healthcheck=health("test -e /tmp/well", interval=0.1, retries=100))
    assert yard.of("db")["State"]["Health"]["Status"] == "starting"
    with hold(yard):
        assert yard.of("db")["State"]["Status"] == "exited"
        assert any(entry["ExitCode"] == 0 for entry in yard.of("db")["State"]["Health"]["Log"])


def test_settle_waits_for_health_and_warns_without_it(yard: Yard) -> None:
    sick = "touch /d/count; echo x >> /d/count; trap 'exit 0' TERM; sleep infinity & wait"
    yard.run("good", healthcheck=health("true"))
    yard.run("sick", sick, healthcheck=health('test "$(cat /d/count)" = x', interval=0.1))
    yard.run(
        "short",
        "test -e /d/once && { sleep 0.3; exit 5; }; touch /d/once; exec sleep 600",
        stop_signal="KILL",
    )
    until((yard.data / "once").exists, "short did not run")
    with hold(yard) as holding:
        holding.release()
        yard.await_status("exited", "short")
        holding.settle()
    assert yard.of("good")["State"]["Health"]["Status"] == "healthy"
    assert f"container {yard.name('short')} was started again, and is exited now" in holding.trouble
    told = f"container {yard.name('sick')} was started again, and its health check says unhealthy"
    assert holding.warnings == (told,)


def test_one_that_takes_too_long_to_stop_is_killed(yard: Yard) -> None:
    yard.run("stubborn", STUBBORN)
    begun = time.monotonic()
    with hold(yard, Quiesce(mode="stop", stop_timeout="1s")):
        assert time.monotonic() - begun < 6
        assert yard.of("stubborn")["State"]["ExitCode"] == 137
    assert yard.status("stubborn") == ["running"]


def test_independent_ones_stop_at_the_same_time(yard: Yard) -> None:
    slow = "trap 'sleep 1; exit 0' TERM; sleep infinity & wait"
    for name in ("a", "b", "c"):
        yard.run(name, slow)
    begun = time.monotonic()
    with hold(yard):
        assert time.monotonic() - begun < 2.8


def test_a_label_may_want_a_container_left_stopped(yard: Yard) -> None:
    yard.run("batch")
    yard.run("db", volumes={})
    stops = (LabelStop(yard.name("batch"), restart=False), LabelStop(yard.name("db")))
    with hold(yard, None, *stops) as holding:
        assert yard.status("batch", "db") == ["exited", "exited"]
        holding.check()
    assert yard.status("batch", "db") == ["exited", "running"]
    assert holding.trouble == ""


def test_nothing_is_left_paused(yard: Yard) -> None:
    """The label is for a stop; what stays paused for ever would hang for ever."""
    yard.run("batch")
    with hold(yard, PAUSE, LabelStop(yard.name("batch"), restart=False)):
        assert yard.status("batch") == ["paused"]
    assert yard.status("batch") == ["running"]


def test_the_longest_downtime_starts_everything_and_ends_the_reading(yard: Yard) -> None:
    yard.run("db")
    with hold(yard, Quiesce(mode="stop", max_downtime="1s")) as holding:
        ended = threading.Event()
        holding.on_expiry(ended.set)
        assert yard.status("db") == ["exited"]
        assert ended.wait(20)
        assert yard.status("db") == ["running"]
        with pytest.raises(
            SourceError, match=rf"{yard.name('db')} had to run again after 1 s \(quiesce.maxDowntime\)"
        ):
            holding.check()
        late = threading.Event()
        holding.on_expiry(late.set)
        assert late.is_set()
    assert yard.records() == []


def test_the_longest_downtime_counts_from_before_the_first_stop(yard: Yard) -> None:
    yard.run("quick", needs={"stubborn": "service_started"})
    yard.run("stubborn", STUBBORN)
    begun = time.monotonic()
    quiesce = Quiesce(mode="stop", stop_timeout="1m", max_downtime="1s")
    with pytest.raises(SourceError, match="maxDowntime"), hold(yard, quiesce):
        raise AssertionError
    assert time.monotonic() - begun < 15
    assert yard.status("quick", "stubborn") == ["running", "running"]
    assert yard.records() == []


def test_one_that_was_started_meanwhile_spoils_the_reading(yard: Yard) -> None:
    yard.run("db")
    with hold(yard) as holding:
        yard.client.containers.get(yard.name("db")).start()
        with pytest.raises(SourceError, match=f"container {yard.name('db')} was started again"):
            holding.check()
    with hold(yard) as holding:
        container = yard.client.containers.get(yard.name("db"))
        container.start()
        container.stop()  # it is left so
        with pytest.raises(SourceError, match=f"container {yard.name('db')} was started again"):
            holding.check()
    assert yard.status("db") == ["exited"]
    container.start()
    with hold(yard, PAUSE) as holding:
        container.unpause()
        with pytest.raises(SourceError, match=f"container {yard.name('db')} was paused and is running now"):
            holding.check()
    assert holding.trouble == ""


def test_another_one_that_began_to_write_meanwhile_spoils_the_reading(yard: Yard) -> None:
    yard.run("db")
    yard.create("late")
    with hold(yard) as holding:
        yard.client.containers.get(yard.name("late")).start()
        with pytest.raises(SourceError, match=f"{yard.name('late')} was started while its data was read"):
            holding.check()
    assert yard.status("db", "late") == ["running", "running"]


def test_one_that_began_to_write_where_nothing_had_run_spoils_the_reading(yard: Yard) -> None:
    yard.create("late")
    with hold(yard) as holding:
        holding.check()
        yard.client.containers.get(yard.name("late")).start()
        with pytest.raises(SourceError, match=f"{yard.name('late')} was started while its data was read"):
            holding.check()
    assert (yard.status("late"), yard.records()) == (["running"], [])


@pytest.mark.parametrize("named", [True, False])
def test_one_that_was_replaced_meanwhile_spoils_the_reading_and_is_left_alone(
    yard: Yard, named: bool
) -> None:
    yard.run("db")
    quiesce = Quiesce(mode="stop", containers=(yard.name("db"),)) if named else STOP
    with hold(yard, quiesce) as holding:
        yard.client.containers.get(yard.name("db")).remove()
        yard.run("db")
        started = yard.started("db")
        with pytest.raises(SourceError, match=f"{yard.name('db')} was started while its data was read"):
            holding.check()
    assert holding.trouble == f"container {yard.name('db')} was removed or replaced while it was held"
    assert yard.started("db") == started
    assert yard.records() == []


def test_one_that_was_removed_is_named_and_the_others_start(yard: Yard) -> None:
    yard.run("db")
    yard.run("web", needs={"db": "service_started"})
    with hold(yard) as holding:
        yard.client.containers.get(yard.name("db")).remove()
        holding.check()
    assert holding.trouble == f"container {yard.name('db')} was removed or replaced while it was held"
    assert yard.status("web") == ["running"]


def test_one_that_cannot_start_is_named_and_the_others_start(yard: Yard, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("x")
    mount = {"Type": "bind", "Source": str(config), "Target": "/config"}
    yard.run("db", mounts=[mount])
    yard.run("web", needs={"db": "service_started"})
    with hold(yard) as holding:
        config.rename(tmp_path / "aside")
        holding.release()
    assert holding.trouble.startswith(f"container {yard.name('db')} does not run again: ")
    assert str(config) in holding.trouble
    assert holding.trouble.endswith("the next run tries again")
    assert yard.status("web") == ["running"]
    assert len(yard.records()) == 2  # it stays for the next run


def test_what_does_not_come_back_is_told_when_something_else_failed_too(yard: Yard, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("x")
    yard.run("db", mounts=[{"Type": "bind", "Source": str(config), "Target": "/config"}])
    down = f"^the disk is full; container {yard.name('db')} does not run again: .*; the next run tries again$"

    def fail() -> None:
        config.rename(tmp_path / "aside")
        raise SourceError("the disk is full")

    with pytest.raises(SourceError, match=down), hold(yard):
        fail()


def test_one_that_ends_as_soon_as_it_starts_is_named(yard: Yard) -> None:
    yard.run("db", "test -e /d/stop && exit 1; exec sleep 600", stop_signal="KILL")
    with hold(yard) as holding:
        (yard.data / "stop").touch()
        holding.release()
        yard.await_status("exited", "db")
        holding.settle()
    assert holding.trouble.startswith(f"container {yard.name('db')} ")
    assert f"docker logs {yard.name('db')}" in holding.trouble


def test_a_container_in_the_network_of_another_starts_after_it(yard: Yard) -> None:
    yard.run("zone")
    yard.run("aim", network_mode=f"container:{yard.name('zone')}", labels={"com.docker.compose.project": ""})
    with hold(yard) as holding:
        assert yard.status("zone", "aim") == ["exited", "exited"]
    assert (holding.trouble, yard.status("zone", "aim")) == ("", ["running", "running"])


def test_the_reconcilers_own_container_is_not_held(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.run("db")
    itself = yard.run("itself")
    pid = yard.of("itself")["State"]["Pid"]
    inside = Path(f"/proc/{pid}/mountinfo").read_text()
    assert own_container(inside) == itself.id
    assert own_container() == ""
    monkeypatch.setattr("reconciler.lifecycle.choice.own_container", lambda: own_container(inside))
    with hold(yard) as holding:
        assert yard.status("db", "itself") == ["exited", "running"]
        holding.check()
    assert holding.warnings == (f"{yard.name('itself')} is the reconciler's own container: it is not held",)


def test_without_a_journal_nothing_is_stopped(yard: Yard) -> None:
    yard.run("db")
    before = yard.started("db")
    yard.state.write_text("no folder")
    with pytest.raises(ReconcilerError, match=r"the journal in .* cannot be used"), hold(yard):
        raise AssertionError
    assert (yard.started("db"), yard.status("db")) == (before, ["running"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, SourceError, ZeroDivisionError])
def test_whatever_ends_the_block_they_come_back(yard: Yard, error: type[BaseException]) -> None:
    yard.run("db")
    with pytest.raises(error), hold(yard):
        raise error
    assert yard.status("db") == ["running"]
    assert yard.records() == []


def test_nothing_is_asked_where_nothing_is_held(yard: Yard) -> None:
    def engine() -> None:
        raise EngineError("nobody should ask")

    world = yard.world(engine)  # type: ignore[arg-type]
    for quiesce in (None, Quiesce(mode="none")):
        with held(yard.uses, quiesce, (), world, "shop/data") as holding:
            holding.check()
            holding.release()
            holding.settle()
    assert not yard.state.exists()
