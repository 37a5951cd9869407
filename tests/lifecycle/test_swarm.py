"""Tasks of Swarm services are held by scaling their service down, and come back by scaling it up."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from docker.models.services import Service

from reconciler.errors import Refused, SourceError
from reconciler.lifecycle.hold import held
from reconciler.lifecycle.left import left
from reconciler.lifecycle.recovery import Recovered, pending, recover
from reconciler.model import LabelStop, Quiesce
from tests.lifecycle.killed import Scene, killed, undisturbed
from tests.lifecycle.yard import Yard
from tests.parts.engine import EngineHost
from tests.parts.process import until
from tests.parts.swarm import running, service, wait_running

STOP = Quiesce(mode="stop")


@pytest.fixture
def swarm_yard(swarm_host: EngineHost, tmp_path: Path) -> Iterator[Yard]:
    """Containers and services on a Swarm of one node."""
    with closing(Yard(swarm_host, tmp_path)) as yard:
        yield yard


def spec(yard: Yard, made: Service) -> dict[str, Any]:
    """What the Engine is asked for."""
    found: dict[str, Any] = yard.client.api.inspect_service(made.id)["Spec"]  # type: ignore[no-untyped-call]
    return found


def replicas(yard: Yard, made: Service) -> int:
    """How many tasks are asked for."""
    return int(spec(yard, made)["Mode"]["Replicated"]["Replicas"])


def test_a_replicated_service_is_scaled_down_and_up(swarm_yard: Yard) -> None:
    yard = swarm_yard
    yard.run("plain")
    with service(yard.host, yard.name("app"), yard.volume, replicas=2) as made:
        before = spec(yard, made)
        with held(yard.uses, STOP, (), yard.world(), "shop/data") as hold:
            assert (replicas(yard, made), running(yard.client, made)) == (0, [])
            assert yard.status("plain") == ["exited"]
            hold.check()
            hold.release()
            assert replicas(yard, made) == 2
            assert len(running(yard.client, made)) == 2
        assert hold.trouble == ""
        assert spec(yard, made) == before
    assert yard.records() == []


def test_a_service_may_be_named(swarm_yard: Yard) -> None:
    yard = swarm_yard
    quiesce = Quiesce(mode="stop", containers=(yard.name("app"),))
    with service(yard.host, yard.name("app"), yard.volume) as made:
        with held(yard.uses, quiesce, (), yard.world(), "shop/data"):
            assert running(yard.client, made) == []
        assert len(running(yard.client, made)) == 1


def test_a_service_that_somebody_scales_up_meanwhile_spoils_the_reading(swarm_yard: Yard) -> None:
    yard = swarm_yard
    with service(yard.host, yard.name("app"), yard.volume) as made:
        with held(yard.uses, STOP, (), yard.world(), "shop/data") as hold:
            again = yard.client.services.get(made.id)  # type: ignore[no-untyped-call]
            again.scale(3)
            until(lambda: len(running(yard.client, made)) == 3, "it has no three tasks")
            with pytest.raises(
                SourceError, match=f"{yard.name('app')}.* was started while its data was read"
            ):
                hold.check()
        assert hold.trouble == ""
        assert replicas(yard, made) == 3  # somebody wants it so


def test_a_global_service_is_refused_before_anything_stops(swarm_yard: Yard) -> None:
    yard = swarm_yard
    yard.run("plain")
    with service(yard.host, yard.name("app"), yard.volume, replicas=None) as made:
        before = yard.started("plain"), running(yard.client, made)
        with (
            pytest.raises(Refused, match=rf"service {yard.name('app')} is not replicated \(it is global"),
            held(yard.uses, STOP, (), yard.world(), "shop/data"),
        ):
            raise AssertionError
        assert (yard.started("plain"), running(yard.client, made)) == before
        with held(yard.uses, Quiesce(mode="pause"), (), yard.world(), "shop/data") as hold:
            (name,) = before[1] or [""]
            assert yard.client.containers.get(name).status == "paused"
            hold.check()
        assert running(yard.client, made) == before[1]


def test_after_a_kill_a_service_has_its_tasks_again(swarm_yard: Yard) -> None:
    yard = swarm_yard
    with service(yard.host, yard.name("app"), yard.volume, replicas=2) as made:
        scene = Scene(yard.host.url, yard.state, yard.uses, STOP)
        calls = undisturbed(scene)
        first, last = calls.index("scale"), len(calls) - calls[::-1].index("scale") - 1
        killed(scene._replace(at=first, when="after"))
        until(lambda: running(yard.client, made) == [], "its tasks do not end")
        assert yard.name("app") in pending(yard.world().journal)[0]
        (entry,) = left(yard.world())
        assert (entry.why, entry.wrong) == ("shop/data", True)
        assert f"died and left {yard.name('app')} stopped" in entry.text
        found = recover(yard.world())
        assert found.done == (
            f"service {yard.name('app')} has its 2 tasks again: a run for shop/data had died",
        )
        assert len(running(yard.client, made)) == 2
        for at in (first, last):
            killed(scene._replace(at=at, when="during"))
            assert recover(yard.world()).failed == ()
            assert replicas(yard, made) == 2
            wait_running(yard.client, made, 2)
            assert yard.records() == []


def test_a_service_that_was_removed_is_told(swarm_yard: Yard) -> None:
    yard = swarm_yard
    with service(yard.host, yard.name("app"), yard.volume) as made:
        scene = Scene(yard.host.url, yard.state, yard.uses, STOP)
        killed(scene._replace(at=undisturbed(scene).index("scale"), when="after"))
        made.remove()  # type: ignore[no-untyped-call]
        text = f"service {yard.name('app')} was removed or replaced while it was held by a run for shop/data that died"
        assert recover(yard.world()) == Recovered((f"{text}: it is left as it is",))


def test_a_label_may_want_a_service_left_at_zero(swarm_yard: Yard) -> None:
    yard = swarm_yard
    with service(yard.host, yard.name("app"), yard.volume) as made:
        (task,) = running(yard.client, made)
        stop = LabelStop(task, restart=False)
        with held(yard.uses, None, (stop,), yard.world(), "shop/data") as hold:
            assert running(yard.client, made) == []
        assert (replicas(yard, made), hold.trouble) == (0, "")


def test_the_longest_downtime_of_a_service(swarm_yard: Yard) -> None:
    yard = swarm_yard
    with service(yard.host, yard.name("app"), yard.volume) as made:
        quiesce = Quiesce(mode="stop", max_downtime="3s")
        with held(yard.uses, quiesce, (), yard.world(), "shop/data") as hold:
            ended = threading.Event()
            hold.on_expiry(ended.set)
            assert running(yard.client, made) == []
            assert ended.wait(30)
            assert len(running(yard.client, made)) == 1
            with pytest.raises(SourceError, match="maxDowntime"):
                hold.check()
