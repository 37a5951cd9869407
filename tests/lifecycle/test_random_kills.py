"""``kill -9`` at random moments of quiesced backups: the next start brings the containers back, and nothing is lost or left.

``KILLS`` says how many (12), ``SEED`` which moments.
"""

import os
import random
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.faults.project import Project, backup, destination, policy
from tests.lifecycle.yard import Yard, health
from tests.parts.process import until
from tests.trees import differences, snapshot

KILLS = int(os.environ.get("KILLS", "12"))
SEED = int(os.environ.get("SEED", "20260120"))
BACK_SECONDS = 10.0
"""Within this after the next start, all that should run does."""
RUN, REST = ("db", "app", "web"), ("ended", "created", "frozen")


class Siege:
    """Three containers with dependencies and a health check, backed up while stopped and while paused; killed again and again."""

    def __init__(self, yard: Yard, folder: Path) -> None:
        self.yard = yard
        self.now = datetime(2026, 1, 20, 3, 0, tzinfo=UTC)
        self.files = folder / "files"
        _plant(yard.data)
        _plant(self.files)
        both = {yard.volume: {"bind": "/d", "mode": "rw"}, str(self.files): {"bind": "/f", "mode": "rw"}}
        yard.run("db", volumes=both, healthcheck=health("true", interval=0.5))
        yard.run("app", needs={"db": "service_healthy"})
        yard.run("web", needs={"app": "service_started"})
        yard.run("ended", "exit 0")
        yard.create("created")
        yard.run("frozen").pause()
        yard.await_status("exited", "ended")
        env = {"DOCKER_HOST": yard.host.url, "RECONCILER_STATE_DIR": str(yard.state)}
        self.project = Project(folder / "project", env)
        self.project.write(
            policy(),
            destination("disk", f"file://{folder}/disk"),
            backup(
                "shop",
                [
                    {"name": "shop", "kind": "volume", "volume": yard.volume},
                    {"name": "shop", "kind": "path", "path": str(self.files), "quiesce": "pause"},
                ],
                ["disk"],
                quiesce="stop",
                retention={"daily": 2},
            ),
        )

    def start(self) -> "subprocess.Popen[str]":
        """Begin an apply."""
        return self.project.start("apply", RECONCILER_NOW=self.now.isoformat())

    def whole(self) -> float:
        """A new day, an apply to its end, all well; its seconds."""
        self.now += timedelta(days=1)
        begun = time.monotonic()
        self.recovered(self.start(), begun)
        return time.monotonic() - begun

    def killed(self, after: float) -> tuple[bool, bool]:
        """A new day, an apply that is killed after so many seconds; whether it still ran, and whether it held anything."""
        self.now += timedelta(days=1)
        child = self.start()
        try:
            child.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            return True, bool(self.yard.records())
        return False, False

    def recovered(self, child: "subprocess.Popen[str]", begun: float) -> float:
        """The next apply: seconds until all that should run does; then it ends well, and nothing is left over."""
        until(
            lambda: not self.yard.records() and set(self.yard.status(*RUN)) == {"running"},
            "not all runs again",
        )
        came = time.monotonic() - begun
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0, (out, err)
        assert self.yard.status(*RUN, *REST) == ["running"] * 3 + ["exited", "created", "paused"]
        assert self.yard.records() == []
        return came


def _plant(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "random").write_bytes(random.Random(str(folder)).randbytes(16 << 20))
    (folder / "text").write_text("a line\n" * 10_000)


def strays(yard: Yard) -> tuple[Any, ...]:
    """Everything that the Engine holds, scratch included."""
    api = yard.client.api
    containers = sorted(item["Names"][0] for item in api.containers(all=True))
    volumes = sorted(item["Name"] for item in api.volumes()["Volumes"])
    return containers, volumes, sorted(item["Id"] for item in api.images())


@pytest.mark.timeout(1800)
def test_kills_at_random_moments_of_quiesced_backups(
    own_yard: Yard, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    yard, moments = own_yard, random.Random(SEED)
    siege = Siege(yard, tmp_path)
    before = strays(yard)
    sources = snapshot(yard.data), snapshot(siege.files)
    siege.whole()
    duration = siege.whole()
    landed = held = 0
    slowest = 0.0
    for number in range(KILLS):
        hit, holding = siege.killed(moments.uniform(0.2 * duration, duration))
        landed += hit
        held += holding
        begun = time.monotonic()
        came = siege.recovered(siege.start(), begun)
        slowest = max(slowest, came)
        assert came <= BACK_SECONDS, (SEED, number)
        assert strays(yard) == before, (SEED, number)
    assert (snapshot(yard.data), snapshot(siege.files)) == sources
    for target, source in (("shop/data", sources[0]), ("shop/files", sources[1])):
        to = tmp_path / target
        ran = siege.project.do("restore", target, "--to", f"path:{to}", RECONCILER_NOW=siege.now.isoformat())
        assert ran.code == 0, ran
        assert differences(source, snapshot(to)) == []
    with capfd.disabled():
        print(
            f"\n{landed} of {KILLS} kills hit a running apply (seed {SEED}), {held} while containers were held; all ran again"
            f" at most {slowest:.1f} s after the next start"
        )
    assert landed > KILLS // 4
    assert held > 0
