"""``kill -9`` at random moments of a real apply over a disk and S3: nothing partial is listed, and the next apply mends it.

Every other kill comes at a random moment of the whole run, the others soon after something half made is seen: those hit,
however fast the machine is. Half of the runs do two targets at a time, in processes of their own.

``KILLS`` says how many (15), ``SEED`` which moments.
"""

import os
import random
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler import cli
from tests.faults.project import Project, backup, destination, killed, policy, s3_destination
from tests.faults.watch import Bucket, Folder, Observer, Place, copies, others, partial
from tests.parts.s3 import S3Server
from tests.trees import differences, snapshot

KILLS = int(os.environ.get("KILLS", "15"))
SEED = int(os.environ.get("SEED", "20260120"))
STATES = ("first", "replicate", "prune")
SIZE = 24 << 20
SOON = 0.1
"""Seconds after the first trace of something half made."""


class Siege:
    """A project that is killed again and again. Each round begins in one of the STATES."""

    def __init__(self, folder: Path, server: S3Server) -> None:
        self.server = server
        self.source = folder / "source"
        _plant(self.source)
        bucket = server.new_bucket()
        self.disk, self.cloud = Folder(folder / "disk"), Bucket(server, bucket)
        self.places: list[Place] = [self.disk, self.cloud]
        self.project = Project(folder / "project", {"S3_KEY": server.key, "S3_SECRET": server.secret})
        self.project.write(
            policy(),
            destination("disk", f"file://{folder}/disk"),
            s3_destination("cloud", server, bucket),
            backup(
                "shop",
                [
                    {"name": "shop", "kind": "path", "path": str(self.source / "large")},
                    {"name": "wiki", "kind": "path", "path": str(self.source / "small")},
                ],
                ["disk", "cloud"],
                retention={"daily": 1},
            ),
        )
        self.now = datetime(2026, 1, 20, 3, 0, tzinfo=UTC)

    def prepare(self, state: str, number: int) -> None:
        """Bring about the state: no copy anywhere; copies lost at one destination; a new day, on which all is due."""
        if state == "prune":
            self.now += timedelta(days=1)
            return
        self.now += timedelta(minutes=1)
        for index, place in enumerate(self.places):
            if state == "first" or index == number % 2:
                for key in copies(place.sizes()):
                    place.remove(f"{key}.json")
                    place.remove(key)

    def env(self) -> dict[str, str]:
        """The clock of this round."""
        return {"RECONCILER_NOW": self.now.isoformat()}

    def mended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A clean apply; then nothing is to do, everything is whole and nothing is left over."""
        for name, value in (self.project.env | self.env()).items():
            monkeypatch.setenv(name, value)
        assert cli.main(["apply", str(self.project.specs)]) == 0
        assert cli.main(["plan", str(self.project.specs)]) == 0
        assert self.server.open_uploads(self.cloud.name) == []
        for place in self.places:
            assert partial(place, deep=True) == []
            assert others(place.sizes()) == set()
            assert len(copies(place.sizes())) == 2

    def restored(self, folder: Path) -> None:
        """Both trees come back from both destinations."""
        for place in ("disk", "cloud"):
            for target, tree in (("shop", "large"), ("wiki", "small")):
                to = folder / place / tree
                arguments = ["--specs", str(self.project.specs), "--from", place, "--to", f"path:{to}"]
                assert cli.main(["restore", target, *arguments]) == 0
                assert differences(snapshot(self.source / tree), snapshot(to)) == []


@pytest.mark.timeout(900)
def test_kills_at_random_moments(
    tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, measured: Callable[[str], None]
) -> None:
    siege = Siege(tmp_path, s3_server)
    moments = random.Random(SEED)
    durations = {state: _undisturbed(siege, state) for state in STATES}
    siege.mended(monkeypatch)
    startup = _seconds(siege, "plan")  # before this nothing is written
    hurt = landed = 0
    for number in range(KILLS):
        state = STATES[number % len(STATES)]
        siege.prepare(state, number)
        observer = Observer(siege.places)
        with observer.watching():
            begun = time.monotonic()
            jobs = 1 + number // 2 % 2
            child = siege.project.start("apply", "--jobs", str(jobs), **siege.env())
            if number % 2:
                _at_work(siege, child)
                hit = killed(child, moments.uniform(0, SOON))
            else:
                hit = killed(child, moments.uniform(0.7 * startup, durations[state]))
                if not hit:  # the machine is faster than it was when the duration was measured
                    durations[state] = max(startup, time.monotonic() - begun)
            landed += hit
        assert observer.seen == [], (SEED, number, state)
        for place in siege.places:
            assert partial(place, deep=True) == [], (SEED, number, state)
        hurt += any(others(place.sizes()) for place in siege.places)
        siege.mended(monkeypatch)
    siege.restored(tmp_path / "restored")
    measured(f"{landed} of {KILLS} kills hit a running apply (seed {SEED}); {hurt} left something half made")
    assert landed > KILLS // 4
    assert hurt > 0


def _undisturbed(siege: Siege, state: str) -> float:
    """Seconds of a whole apply in that state."""
    siege.prepare(state, 0)
    return _seconds(siege, "apply")


def _seconds(siege: Siege, command: str) -> float:
    begun = time.monotonic()
    ran = siege.project.run(command, **siege.env())
    assert ran.code == 0, ran
    return time.monotonic() - begun


def _at_work(siege: Siege, child: "subprocess.Popen[str]") -> None:
    """Wait until it has begun to write or to delete, or has ended."""
    while child.poll() is None and not any(others(place.sizes()) for place in siege.places):
        pass


def _plant(source: Path) -> None:
    """A tree that takes a moment to back up, and a small one."""
    for name, size in (("large", SIZE), ("small", 1 << 20)):
        (source / name).mkdir(parents=True)
        (source / name / "random").write_bytes(random.Random(name).randbytes(size))
        (source / name / "text").write_text("a line\n" * 10_000)
