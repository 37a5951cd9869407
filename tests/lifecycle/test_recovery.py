"""After a run that died: what ran runs again, what did not does not. On a real Engine."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.errors import EngineError
from reconciler.lifecycle.hold import held
from reconciler.lifecycle.left import left
from reconciler.lifecycle.recovery import Recovered, pending, recover
from reconciler.model import LabelStop, Quiesce
from reconciler.ports import Engine
from tests.faults.project import Project, backup, destination, policy
from tests.lifecycle.killed import Scene, When, killed, undisturbed
from tests.lifecycle.yard import Yard

CHANGES = ("begin", "write", "stop", "pause", "start", "unpause", "clear")
SLOWLY = "trap 'sleep 0.2; exit 0' TERM; sleep infinity & wait"


def scene(yard: Yard, mode: str = "stop", *stops: LabelStop, at: int = -1, when: When = "before") -> Scene:
    """Holding what mounts the volume."""
    quiesce = Quiesce(mode=mode)  # type: ignore[arg-type]
    return Scene(yard.host.url, yard.state, yard.uses, quiesce, stops, at, when)


def killed_while_held(yard: Yard, mode: str = "stop", *stops: LabelStop) -> None:
    """All is held, and nobody is there any more."""
    calls = undisturbed(scene(yard, mode, *stops))
    last = max(number for number, name in enumerate(calls) if name == ("stop" if mode == "stop" else "pause"))
    killed(scene(yard, mode, *stops, at=last, when="after"))


@pytest.mark.parametrize("when", ["before", "during"])
@pytest.mark.parametrize("mode", ["stop", "pause"])
def test_a_kill_at_every_call(yard: Yard, mode: str, when: When) -> None:
    yard.run("db", SLOWLY)
    yard.run("web", needs={"db": "service_started"})
    yard.create("created")
    yard.run("ended", "exit 0")
    yard.run("frozen").pause()
    yard.await_status("exited", "ended")
    others = ("created", "ended", "frozen")
    before = yard.status(*others), yard.started(*others)
    calls = undisturbed(scene(yard, mode))
    assert {"begin", "write", mode, "clear", "start" if mode == "stop" else "unpause"} <= set(calls)
    for at, name in enumerate(calls):
        if when == "during" and name not in CHANGES:
            continue
        killed(scene(yard, mode, at=at, when=when))
        found = recover(yard.world())
        assert yard.status("db", "web") == ["running", "running"], (at, name, found)
        assert (yard.status(*others), yard.started(*others)) == before, (at, name)
        assert found.failed == (), (at, name)
        assert yard.records() == [], (at, name)
        assert recover(yard.world()) == Recovered(), (at, name)


def test_what_was_not_touched_yet_is_not_touched(yard: Yard) -> None:
    yard.run("db")
    yard.run("web", needs={"db": "service_started"})
    calls = undisturbed(scene(yard))
    before = yard.started("db", "web")
    killed(scene(yard, at=calls.index("stop"), when="after"))
    assert yard.status("db", "web") == ["running", "exited"]
    recover(yard.world())
    assert yard.status("db", "web") == ["running", "running"]
    assert yard.started("db")[0] == before[0]


def test_it_says_what_it_did_and_before_that_what_is_to_be_done(yard: Yard) -> None:
    yard.run("db")
    killed_while_held(yard)
    before = yard.status("db")
    told = pending(yard.world().journal)
    assert told == (f"a run for shop/data died and may have left {yard.name('db')} stopped",)
    assert yard.status("db") == before == ["exited"]
    found = recover(yard.world())
    assert found == Recovered(
        (f"container {yard.name('db')} was started again: a run for shop/data had died",)
    )
    assert yard.status("db") == ["running"]


def test_paused_ones_go_on(yard: Yard) -> None:
    yard.run("db")
    before = yard.started("db")
    killed_while_held(yard, "pause")
    assert yard.status("db") == ["paused"]
    found = recover(yard.world())
    assert found.done == (f"container {yard.name('db')} was continued: a run for shop/data had died",)
    assert (yard.status("db"), yard.started("db")) == (["running"], before)


def test_they_start_in_order(yard: Yard) -> None:
    yard.run("db")
    yard.run("app", needs={"db": "service_started"})
    yard.run("web", needs={"app": "service_started"})
    killed_while_held(yard)
    recover(yard.world())
    starts = yard.started("db", "app", "web")
    assert starts == sorted(starts)


def test_one_that_was_removed_or_replaced_is_left_alone_and_the_others_start(yard: Yard) -> None:
    yard.run("db")
    yard.run("web")
    yard.run("gone")
    killed_while_held(yard)
    for name in ("db", "gone"):
        yard.client.containers.get(yard.name(name)).remove()
    yard.create("db")
    found = recover(yard.world())
    assert yard.status("db", "web") == ["created", "running"]
    assert found.failed == ()
    for name in ("db", "gone"):
        text = f"container {yard.name(name)} was removed or replaced while it was held by a run for shop/data that died"
        assert f"{text}: it is left as it is" in found.done
    assert yard.records() == []


def test_one_that_somebody_started_and_stopped_meanwhile_is_left_alone(yard: Yard) -> None:
    yard.run("db")
    killed_while_held(yard)
    container = yard.client.containers.get(yard.name("db"))
    container.start()
    container.stop()
    assert recover(yard.world()) == Recovered()
    assert yard.status("db") == ["exited"]


def test_what_a_label_wants_left_stopped_is_left_stopped(yard: Yard) -> None:
    yard.run("batch", volumes={})
    yard.run("db")
    stop = LabelStop(yard.name("batch"), restart=False)
    calls = undisturbed(scene(yard, "stop", stop))
    yard.client.containers.get(yard.name("batch")).start()
    last = max(number for number, name in enumerate(calls) if name == "stop")
    killed(scene(yard, "stop", stop, at=last, when="after"))
    found = recover(yard.world())
    assert yard.status("batch", "db") == ["exited", "running"]
    assert len(found.done) == 1


def test_what_a_live_run_holds_is_not_touched(yard: Yard) -> None:
    yard.run("db")
    with held(yard.uses, Quiesce(mode="stop"), (), yard.world(), "shop/data"):
        assert recover(yard.world()) == Recovered()
        assert pending(yard.world().journal) == ()
        assert yard.status("db") == ["exited"]


def test_one_that_cannot_start_stays_in_the_journal_and_the_others_start(yard: Yard, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("x")
    yard.run("db", mounts=[{"Type": "bind", "Source": str(config), "Target": "/config"}])
    yard.run("web")
    killed_while_held(yard)
    config.rename(tmp_path / "aside")
    found = recover(yard.world())
    assert yard.status("db", "web") == ["exited", "running"]
    assert [yard.name("db") in text for text in found.failed] == [True]
    (entry,) = left(yard.world())
    assert entry.text.startswith(f"container {yard.name('db')} does not run again: "), (
        "why, also for who only looks"
    )
    assert (entry.why, entry.wrong, entry.text.endswith("; the next run tries again")) == (
        "shop/data",
        True,
        True,
    )
    assert [yard.name("web") in text for text in found.done] == [True]
    (tmp_path / "aside").rename(config)
    started = yard.started("web")
    assert recover(yard.world()).failed == ()
    assert (yard.status("db", "web"), yard.started("web")) == (["running", "running"], started)


def test_an_engine_that_is_away_is_told_and_the_record_stays(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def engine() -> Engine:
        raise EngineError("no Docker Engine answers")

    monkeypatch.setattr("reconciler.lifecycle.back.AWAY_SECONDS", 0.5)
    yard.run("db")
    yard.run("web")
    killed_while_held(yard)
    found = recover(yard.world(engine))
    assert len(found.failed) == 2
    assert all("no Docker Engine answers" in text for text in found.failed)
    assert pending(yard.world().journal) != ()
    assert recover(yard.world()).failed == ()
    assert yard.status("db", "web") == ["running", "running"]


def test_a_record_that_cannot_be_read_is_told_and_keeps_no_other_from_its_turn(yard: Yard) -> None:
    yard.run("db")
    killed_while_held(yard)
    yard.world().journal.begin(b'{"format": "reconciler/journal/v9"}').let_go()
    yard.world().journal.begin(b"\xff").let_go()
    found = recover(yard.world())
    assert yard.status("db") == ["running"]
    assert [text.startswith("a record in the journal cannot be read") for text in found.failed] == [
        True,
        True,
    ]
    assert [(item.why, item.wrong) for item in left(yard.world())] == [("", True), ("", True)]
    assert len(pending(yard.world().journal)) == 2


class Bound:
    """A volume with driver options, ``name``, that the Engine alone fills; its data is in ``device``, and backed up."""

    def __init__(self, yard: Yard, folder: Path) -> None:
        self.device = folder / "device"
        self.device.mkdir()
        (self.device / "rows").write_text("all of it")
        self.name = yard.name("bound")
        options = {"type": "none", "o": "bind", "device": str(self.device)}
        self.made = yard.client.volumes.create(self.name, driver_opts=options)
        env = {"DOCKER_HOST": yard.host.url, "RECONCILER_STATE_DIR": str(yard.state)}
        self.project = Project(folder / "project", env)
        self.disk = destination("disk", f"file://{folder}/disk")
        self.write()
        assert self.project.do("apply").code == 0

    def write(self, **more: object) -> None:
        """The specs."""
        targets = [{"name": "shop", "kind": "volume", "volume": self.name}]
        self.project.write(policy(), self.disk, backup("b", targets, ["disk"], **more))

    def restore_and_die(self) -> None:
        """A restore that is killed when the journal has it."""
        self.write(hooks=[{"phase": "restore-pre", "script": "kill -9 $PPID"}])
        child = self.project.start("restore", "shop/data", "--specs", str(self.project.specs))
        child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL
        self.write()


@pytest.fixture
def bound(yard: Yard, tmp_path: Path) -> Iterator[Bound]:
    bound = Bound(yard, tmp_path)
    yield bound
    bound.made.remove()


def test_a_restore_that_died_while_the_engine_filled_an_empty_volume_is_told_once(
    yard: Yard, bound: Bound
) -> None:
    """Nobody but the journal knows that what is there may be a part."""
    rows = bound.device / "rows"
    rows.unlink()
    bound.restore_and_die()
    rows.write_text("all")
    ran = [bound.project.do("restore", "shop/data") for _ in range(2)]
    assert ([item.code for item in ran], rows.read_text()) == ([1, 1], "all")
    told = f"died while the Engine filled volume {bound.name}"
    assert [told in item.err for item in ran] == [True, False], ran
    assert "holds data" in ran[1].err
    rows.unlink()
    assert bound.project.do("restore", "shop/data").code == 0
    assert rows.read_text() == "all of it"
    assert yard.records() == []
