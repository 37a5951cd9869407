"""An Engine that is killed, restarted or frozen while containers are held."""

import signal
import threading
from typing import Any, cast

import pytest

from reconciler.errors import EngineError, SourceError
from reconciler.lifecycle.hold import held
from reconciler.lifecycle.recovery import recover
from reconciler.model import Quiesce
from reconciler.ports import Engine
from tests.lifecycle.killed import Scene, killed, undisturbed
from tests.lifecycle.yard import Yard
from tests.parts.engine import EngineHost

ALWAYS = {"Name": "always"}


@pytest.mark.parametrize("mode", ["stop", "pause"])
def test_an_engine_that_is_killed_and_started_again(own_yard: Yard, mode: str) -> None:
    yard = own_yard
    yard.run("db")
    yard.run("web", needs={"db": "service_started"})
    yard.run("ended", "exit 0")
    yard.await_status("exited", "ended")
    with held(yard.uses, Quiesce(mode=mode), (), yard.world(), "shop/data") as hold:  # type: ignore[arg-type]
        yard.host.restart()
        if mode == "pause":  # a starting Engine ends what was running without it
            with pytest.raises(SourceError, match="was paused and is exited now"):
                hold.check()
        else:
            hold.check()
    assert hold.trouble == ""
    assert yard.status("db", "web", "ended") == ["running", "running", "exited"]
    assert yard.records() == []


def test_what_a_starting_engine_started_spoils_the_reading(own_yard: Yard) -> None:
    yard = own_yard
    yard.run("db", restart_policy=ALWAYS)
    with held(yard.uses, Quiesce(mode="stop"), (), yard.world(), "shop/data") as hold:
        assert yard.status("db") == ["exited"]
        yard.host.restart()
        yard.await_status("running", "db")
        with pytest.raises(SourceError, match=f"container {yard.name('db')} was started again"):
            hold.check()
    assert hold.trouble == ""
    assert yard.status("db") == ["running"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the library leaks sockets
def test_the_end_of_a_hold_waits_for_an_engine_that_is_being_restarted(own_yard: Yard) -> None:
    yard = own_yard
    yard.run("db")
    yard.run("web", needs={"db": "service_started"})
    with held(yard.uses, Quiesce(mode="stop"), (), yard.world(), "shop/data") as hold:
        yard.host.kill()
        ending = threading.Thread(target=hold.release)
        ending.start()
        ending.join(1.5)
        assert ending.is_alive()
        yard.host.start()
        ending.join(30)
    assert hold.trouble == ""
    assert yard.status("db", "web") == ["running", "running"]
    assert yard.records() == []


def test_an_engine_that_stays_away_is_told_and_the_next_run_brings_them_back(
    own_yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard = own_yard
    monkeypatch.setattr("reconciler.lifecycle.back.AWAY_SECONDS", 1)
    yard.run("db")
    yard.run("web", needs={"db": "service_started"})
    with held(yard.uses, Quiesce(mode="stop"), (), yard.world(), "shop/data") as hold, yard.host.frozen():
        hold.release()
    assert "does not run again" in hold.trouble
    assert hold.trouble.endswith("the next run tries again")
    assert recover(yard.world()).failed == ()
    assert yard.status("db", "web") == ["running", "running"]


def test_the_longest_downtime_also_ends_while_the_engine_does_not_answer(own_yard: Yard) -> None:
    yard = own_yard
    yard.run("db")
    with held(yard.uses, Quiesce(mode="stop", max_downtime="1s"), (), yard.world(), "shop/data") as hold:
        ended = threading.Event()
        hold.on_expiry(ended.set)
        with yard.host.frozen():
            assert not ended.wait(4)
        assert ended.wait(30)
        assert yard.status("db") == ["running"]
        with pytest.raises(SourceError, match="maxDowntime"):
            hold.check()
    assert yard.records() == []


class FreezesAtStop:
    """An Engine that is frozen for three seconds when it is first asked to stop something."""

    def __init__(self, inner: Engine, host: EngineHost) -> None:
        self._inner = inner
        self._host = host
        self._done = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def stop(self, container: str, timeout: float | None) -> None:
        if not self._done:
            self._done = True
            self._host.daemon.send(signal.SIGSTOP)
            threading.Timer(3, self._host.daemon.send, [signal.SIGCONT]).start()
        self._inner.stop(container, timeout)


def test_a_stop_that_nobody_waits_for_any_more_does_not_end_what_came_back(
    own_yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Engine does not answer while it is asked to stop; later it does what it was asked."""
    yard = own_yard
    yard.run("db", "trap 'sleep 1; exit 0' TERM; sleep infinity & wait")
    monkeypatch.setattr("reconciler.adapters.engine_containers._SLACK", 0.0)
    engine = cast(Engine, FreezesAtStop(yard.engine, yard.host))
    quiesce = Quiesce(mode="stop", stop_timeout="2s")
    with pytest.raises(EngineError), held(yard.uses, quiesce, (), yard.world(lambda: engine), "shop/data"):
        raise AssertionError
    assert yard.status("db") == ["running"]
    assert yard.records() == []
    with pytest.raises(TimeoutError):
        yard.await_status("exited", "db", seconds=3)


def test_a_kill_and_a_restarted_engine(own_yard: Yard) -> None:
    """An Engine that is killed ends what it ran, and starts again what has a restart policy; the rest is ours."""
    yard = own_yard
    yard.run("db")
    yard.run("always", restart_policy=ALWAYS, needs={"db": "service_started"})
    yard.run("ended", "exit 0")
    yard.await_status("exited", "ended")
    scene = Scene(yard.host.url, yard.state, yard.uses, Quiesce(mode="stop"))
    calls = undisturbed(scene)
    for at, name in enumerate(calls):
        # Not within a stop or start: Docker 20.10 itself may then be unable to start that container ever again.
        if name in ("stop", "start"):
            killed(scene._replace(at=at, when="after"))
            yard.host.restart()
            assert recover(yard.world()).failed == (), (at, name)
            yard.await_status("running", "db", "always")
            assert yard.status("ended") == ["exited"]
            assert yard.records() == []
