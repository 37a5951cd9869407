"""``kill -9`` at random moments of quiesced backups and of restores into what containers use.

The next start brings the containers back, and nothing is lost or left. ``KILLS`` says how many of each
(8), ``SEED`` which moments.
"""

import os
import random
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.faults.project import Project, backup, destination, killed, policy
from tests.lifecycle.yard import Yard, health
from tests.parts.process import until
from tests.trees import Snapshot, differences, snapshot

KILLS = int(os.environ.get("KILLS", "8"))
SEED = int(os.environ.get("SEED", "20260120"))
BACK_SECONDS = 10.0
"""Within this after the next start, all that should run does."""
RUN = ("db", "app", "web")


class Siege:
    """Three containers with dependencies and a health check, backed up while stopped and while paused; killed again and again."""

    def __init__(self, yard: Yard, folder: Path) -> None:
        self.yard = yard
        self.rest = {"ended": "exited", "created": "created", "frozen": "paused"}
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
        hit = killed(self.start(), after)
        return hit, hit and bool(self.yard.records())

    def recovered(self, child: "subprocess.Popen[str]", begun: float) -> float:
        """The next apply: seconds until all that should run does; then it ends well, and nothing is left over."""
        until(
            lambda: not self.yard.records() and set(self.yard.status(*RUN)) == {"running"},
            "not all runs again",
        )
        came = time.monotonic() - begun
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0, (out, err)
        assert self.yard.status(*RUN, *self.rest) == ["running"] * 3 + list(self.rest.values())
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
    own_yard: Yard, tmp_path: Path, measured: Callable[[str], None]
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
    measured(
        f"quiesced backups: {landed} of {KILLS} kills hit a running apply (seed {SEED}), {held} while containers were held;"
        f" all ran again at most {slowest:.1f} s after the next start"
    )
    assert landed > KILLS // 4
    assert held > 0


class Return(Siege):
    """The same containers; what they use is restored to an older state while they run."""

    def __init__(self, yard: Yard, folder: Path) -> None:
        super().__init__(yard, folder)
        yard.client.containers.get(yard.name("frozen")).remove(
            force=True
        )  # a restore refuses to stop a paused one
        del self.rest["frozen"]
        self.whole()
        self.old = {"shop/data": snapshot(yard.data), "shop/files": snapshot(self.files)}
        self.at = self.now.isoformat()
        self.documents = self.project.root / "backup.d" / "restores.yaml"

    def place(self, target: str) -> Path:
        """Where a target's data is; a volume may have got another folder, so it is asked for each time."""
        return self.yard.data if target == "shop/data" else self.files

    def live(self, target: str, number: int) -> Snapshot:
        """New data that was never backed up; what is there then."""
        place = self.place(target)
        (place / "text").write_text(f"live {number}\n" * 9_000)
        (place / f"new-{number}").mkdir()
        (place / f"new-{number}" / "file").write_bytes(random.Random(number).randbytes(100_000))
        return snapshot(place)

    def restoring(self, target: str, number: int) -> "subprocess.Popen[str]":
        """Begin a restore of the old state: by the command, or by a document that an apply carries out."""
        now = {"RECONCILER_NOW": self.now.isoformat()}
        if number % 3:
            return self.project.start(
                "restore", target, "--specs", str(self.project.specs), "--at", self.at, "--overwrite", **now
            )
        service, kind = target.split("/")
        what = f'{{target: {{service: {service}, type: {kind}}}, at: "{self.at}", overwrite: true}}'
        self.documents.write_text(
            f"apiVersion: reconciler/v1\nkind: Restore\nmetadata: {{name: again-{number}}}\nspec: {what}\n"
        )
        return self.project.start("apply", **now)

    def undisturbed(self, target: str) -> float:
        """A restore to its end; its seconds."""
        self.live(target, -1)
        begun = time.monotonic()
        said = self.restoring(target, 1).communicate(timeout=60)
        took = time.monotonic() - begun
        assert differences(self.old[target], snapshot(self.place(target))) == [], said
        return took

    def next_start(self) -> float:
        """The next apply, which has nothing else to do: seconds until all that should run does."""
        self.documents.unlink(missing_ok=True)
        begun = time.monotonic()
        return self.recovered(self.start(), begun)


TARGETS = ("shop/data", "shop/files")


@pytest.mark.timeout(1800)
def test_kills_at_random_moments_of_restores(
    yard: Yard, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    """What is in place is the old state or the new one, whole, at every moment; what was never backed up is lost to no kill."""
    moments = random.Random(SEED)
    siege = Return(yard, tmp_path)
    before, beside = strays(yard), {target: around(siege.place(target)) for target in TARGETS}
    duration = {target: siege.undisturbed(target) for target in TARGETS}
    landed = replaced = 0
    slowest = 0.0
    for number in range(KILLS):
        target = TARGETS[number % 2]
        live = siege.live(target, number)
        child = siege.restoring(target, number)
        landed += killed(child, moments.uniform(0.2, 1) * duration[target])
        left = snapshot(siege.place(target))
        assert not differences(live, left) or not differences(siege.old[target], left), (SEED, number)
        came = siege.next_start()
        slowest = max(slowest, came)
        assert came <= BACK_SECONDS, (SEED, number)
        after = snapshot(siege.place(target))
        assert differences(left, after) == [], (SEED, number)
        replaced += not differences(siege.old[target], after)
        assert strays(yard) == before, (SEED, number)
        assert {name: around(siege.place(name)) for name in TARGETS} == beside, (SEED, number)
    for target in TARGETS:
        to = tmp_path / "back" / target
        assert siege.project.do("restore", target, "--to", f"path:{to}", "--at", siege.at).code == 0
        assert differences(siege.old[target], snapshot(to)) == []
    measured(
        f"restores: {landed} of {KILLS} kills hit a running one (seed {SEED}), {replaced} ended with the restored data in place,"
        f" the others with what was there; all ran again at most {slowest:.1f} s after the next start"
    )
    assert landed > KILLS // 4


def around(place: Path) -> list[str]:
    """What lies beside a place."""
    return sorted(path.name for path in place.parent.iterdir())
