"""A restore into what a running container uses, from its first hook to its last, on a real Engine."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from reconciler import wiring
from reconciler.targets.volume import VolumeSink
from tests.faults.ports import Fault, FaultyEngine, Switch
from tests.faults.project import Project, Ran, backup, destination, policy
from tests.lifecycle.yard import Yard, health
from tests.parts.engine import EngineHost
from tests.trees import Snapshot, differences, snapshot

EVERY = 1 if os.environ.get("CAMPAIGN") == "all" else 4
"""Of the calls to the Engine, each so many gets a fault: all in ``make campaign``."""
SEE = "docker -H $DOCKER_HOST inspect -f '{{.State.Status}}'"


class Flow:
    """A backup of a volume was made, and the volume has gone on since; two containers use it, one needs the other."""

    def __init__(self, yard: Yard, folder: Path) -> None:
        self.yard = yard
        self.env = {"DOCKER_HOST": yard.host.url, "RECONCILER_STATE_DIR": str(yard.state)}
        self.project = Project(folder / "project", self.env)
        self.log = folder / "log"
        (yard.data / "rows").write_text("old\n")
        (yard.data / "link").symlink_to("rows")
        (yard.data / "rows").chmod(0o640)
        self.write()
        assert self.project.do("apply").code == 0
        self.old = snapshot(yard.data)
        (yard.data / "rows").write_text("live\n")
        (yard.data / "more").mkdir(mode=0o700)
        self.live = snapshot(yard.data)
        yard.run("db", healthcheck=health("true"))
        yard.run("web", needs={"db": "service_healthy"}, mode="ro")

    def write(self, *hooks: dict[str, Any], **more: Any) -> None:
        """The specs, with these hooks."""
        target = {"name": "shop", "kind": "volume", "volume": self.yard.volume, "hooks": list(hooks)}
        disk = destination("disk", f"file://{self.project.folder}/disk")
        self.project.write(policy(), disk, backup("shop", [target], ["disk"], **more))

    def look(self, phase: str, last: str = "true", **more: Any) -> dict[str, Any]:
        """A hook that notes in which state the containers are and what stands in the volume, and then ends as ``last``."""
        see = "; ".join(f"{SEE} {self.yard.name(name)}" for name in ("db", "web"))
        text = f"{{ echo {phase}; {see}; cat {self.yard.data}/rows; }} >> {self.log}; {last}"
        return {"phase": phase, "script": text, **more}

    def restore(self, *more: str) -> Ran:
        return self.project.do("restore", "shop/data", "--overwrite", *more)

    def now(self) -> Snapshot:
        return snapshot(self.yard.data)

    def as_it_was(self, before: list[str], ran: Ran) -> None:
        """The live data is there, and nothing was stopped."""
        assert differences(self.live, self.now()) == [], ran
        assert self.yard.started("db", "web") == before
        assert self.yard.status("db", "web") == ["running"] * 2

    def seen_inside(self) -> str:
        """What a container reads in the volume."""
        see = ["exec", self.yard.name("web"), "cat", "/d/rows"]
        docker = ["docker", "-H", self.yard.host.url]
        return subprocess.run([*docker, *see], check=True, capture_output=True, text=True).stdout

    def settled(self, expected: Snapshot) -> None:
        """That data, whole; all runs and reads it; nothing is left over."""
        assert differences(expected, self.now()) == []
        assert self.yard.status("db", "web") == ["running"] * 2
        assert self.seen_inside() == (self.yard.data / "rows").read_text()
        assert self.yard.records() == []
        assert [path.name for path in self.yard.data.parent.iterdir() if path.name != "opts.json"] == [
            "_data"
        ]


@pytest.fixture
def flow(yard: Yard, tmp_path: Path) -> Flow:
    return Flow(yard, tmp_path)


def test_hooks_run_around_the_swap_and_what_uses_the_volume_starts_with_the_new_data(flow: Flow) -> None:
    flow.write(flow.look("restore-pre"), flow.look("restore-post"))
    before = flow.yard.started("db", "web")
    ran = flow.restore()
    assert ran.code == 0, ran
    told = ["restore-pre", "running", "running", "live", "restore-post", "running", "running", "old"]
    assert flow.log.read_text().split() == told
    flow.settled(flow.old)
    after = flow.yard.started("db", "web")
    assert after[0] > before[0]
    assert after[1] > after[0], "in the order of their dependencies"


def test_a_pre_hook_that_fails_stops_it_before_anything_is_touched(flow: Flow) -> None:
    flow.write(flow.look("restore-pre", "exit 3"), flow.look("restore-post"))
    before = flow.yard.started("db", "web")
    ran = flow.restore()
    assert ran.code == 1
    assert "exit code 3" in ran.err or "exited with 3" in ran.err or "ended with 3" in ran.err, ran.err
    flow.as_it_was(before, ran)
    assert "restore-post" not in flow.log.read_text()


def test_a_post_hook_that_fails_brings_the_old_data_back(flow: Flow) -> None:
    flow.write(flow.look("restore-post", "exit 3", onError="Fail"))
    ran = flow.restore()
    assert ran.code == 1
    assert "what was there before is back" in ran.err
    assert flow.log.read_text().split()[-1] == "old", "the hook saw the restored data"
    flow.settled(flow.live)


def test_a_post_hook_that_may_fail_is_a_warning(flow: Flow) -> None:
    flow.write(flow.look("restore-post", "exit 3"))
    ran = flow.restore()
    assert ran.code == 0
    assert "restore-post" in ran.err
    flow.settled(flow.old)


SLOWLY = "trap 'exit 0' TERM; sleep 1; touch /tmp/ready; while :; do sleep 0.1; done"
READY = health("test -e /tmp/ready", retries=50)


def into(flow: Flow, name: str, **more: Any) -> dict[str, Any]:
    """A hook of restore-post that asks in a container whether it is ready."""
    command = ["test", "-e", "/tmp/ready"]
    return {"phase": "restore-post", "exec": {"container": flow.yard.name(name), "command": command}, **more}


def test_a_post_hook_waits_until_its_container_is_ready(flow: Flow) -> None:
    flow.yard.run("slow", SLOWLY, healthcheck=READY)
    flow.yard.client.containers.get(flow.yard.name("slow")).exec_run(["rm", "-f", "/tmp/ready"])
    flow.write(into(flow, "slow", waitForReady=True, waitTimeout="20s", onError="Fail"))
    ran = flow.restore()
    assert ran.code == 0, ran
    flow.settled(flow.old)


def test_one_that_never_gets_ready_fails_in_time(flow: Flow) -> None:
    flow.yard.run("deaf", healthcheck=health("false", retries=1000), volumes={})
    flow.write(into(flow, "deaf", waitForReady=True, waitTimeout="2s", onError="Fail"))
    begun = time.monotonic()
    ran = flow.restore()
    assert time.monotonic() - begun < 15
    assert ran.code == 1
    assert flow.yard.name("deaf") in ran.err
    assert "2 s" in ran.err, ran.err
    flow.settled(flow.live)


def test_what_may_not_be_stopped_is_refused_before_anything_is_touched(flow: Flow) -> None:
    before = flow.yard.started("db", "web")
    ran = flow.restore("--no-stop")
    assert ran.code == 1
    assert "would have to be stopped" in ran.err
    flow.as_it_was(before, ran)
    flow.write(quiesce="none")
    flow.as_it_was(before, flow.restore())


def test_a_volume_that_is_gone_is_made_again_with_its_options_and_labels(
    engine_host: EngineHost, yard: Yard, tmp_path: Path
) -> None:
    device = tmp_path / "device"
    device.mkdir()
    name, labels = yard.name("bound"), {"com.example.team": "shop"}
    options = {"type": "none", "o": "bind", "device": str(device)}
    yard.client.volumes.create(name, driver_opts=options, labels=labels)
    user = yard.run("user", volumes={name: {"bind": "/d", "mode": "rw"}})
    (device / "rows").write_text("old\n")
    (device / "rows").chmod(0o600)
    for path in (device / "rows", device):
        os.utime(path, (1_700_000_000, 1_700_000_000))  # what the Engine unpacks has times to the second
    env = {"DOCKER_HOST": engine_host.url, "RECONCILER_STATE_DIR": str(yard.state)}
    project = Project(tmp_path / "project", env)
    target = {"name": "shop", "kind": "volume", "volume": name}
    project.write(policy(), destination("disk", f"file://{tmp_path}/disk"), backup("b", [target], ["disk"]))
    assert project.do("apply").code == 0
    before = snapshot(device)
    user.remove(force=True)
    yard.client.volumes.get(name).remove()
    (device / "rows").unlink()
    ran = project.do("restore", "shop/data")
    assert ran.code == 0, ran
    made = yard.client.volumes.get(name)
    try:
        assert (made.attrs["Options"], labels.items() <= made.attrs["Labels"].items()) == (options, True)
        reader = yard.run("reader", volumes={name: {"bind": "/d", "mode": "ro"}})
        assert differences(before, snapshot(device)) == []
        assert reader.exec_run(["cat", "/d/rows"]).output == b"old\n"
    finally:
        yard.client.containers.get(yard.name("reader")).remove(force=True)
        made.remove()


def calls(flow: Flow, monkeypatch: pytest.MonkeyPatch, switch: Switch) -> Ran:
    """A restore whose calls to the Engine go through a switch."""
    from reconciler.adapters.docker import connect

    with monkeypatch.context() as patched:
        patched.setattr(wiring, "_connect", lambda: FaultyEngine(connect(), switch))
        return flow.restore()


def test_an_engine_that_fails_at_any_call_leaves_the_old_data_or_the_new(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = Switch()
    assert calls(flow, monkeypatch, undisturbed).code == 0
    flow.settled(flow.old)
    sites = undisturbed.sites
    assert {"stop", "start"} <= {site.method for site in sites}
    for number, site in list(enumerate(sites))[::EVERY]:
        (flow.yard.data / "rows").write_text(f"live {number}\n")
        live = flow.now()
        fault = Fault("error", after=number % 2 == 1)
        switch = Switch(site, fault)
        ran = calls(flow, monkeypatch, switch)
        assert switch.tripped, site
        found = flow.now()
        assert not differences(live, found) or not differences(flow.old, found), (site, ran)
        assert ran.code or not differences(flow.old, found), (site, ran)
        assert "Traceback" not in ran.err
        again = flow.project.do("apply")  # which first puts right what could not be
        assert again.code == 0, (site, again)
        flow.settled(found)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["receive", "commit"])
def test_a_sink_that_fails_leaves_the_old_data(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, method: str, after: bool
) -> None:
    whole = getattr(VolumeSink, method)

    def failing(self: VolumeSink, *arguments: Any) -> None:
        if after:
            whole(self, *arguments)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(VolumeSink, method, failing)
        ran = flow.restore()
    assert ran.code != 0
    flow.project.do("apply")
    flow.settled(flow.live)


def test_json_tells_what_hooks_did(flow: Flow) -> None:
    flow.write(flow.look("restore-pre"), flow.look("restore-post", "echo told; exit 3"))
    ran = flow.restore("--output", "json")
    assert ran.code == 0, ran
    pre, post = json.loads(ran.out)["hooks"]
    assert (pre["phase"], pre["error"]) == ("restore-pre", "")
    assert post["phase"] == "restore-post"
    assert "told" in post["output"]
    assert "3" in post["error"]
