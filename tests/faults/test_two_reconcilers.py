"""Two reconcilers on the same destinations, a disk and S3, one of them stopped and continued at random moments.

No target is backed up twice for one slot, nothing is corrupted, and whoever was stopped beyond its lease writes nothing when it
wakes. ``TICKS`` says how many slots there are (4), ``SEED`` which moments; ``make turns`` has 500.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from tests.faults.again_and_again import Reconciler
from tests.faults.project import Project, backup, destination, policy, s3_destination
from tests.faults.watch import Bucket, Folder, Place, copies, others, partial
from tests.parts.s3 import S3Server

TICKS = int(os.environ.get("TICKS", "4"))
SEED = int(os.environ.get("SEED", "20260120"))
FIRST = datetime(2026, 1, 20, 3, 0, tzinfo=UTC)
KEPT = 3
TARGETS = ("shop/dump", "wiki/files")
DUMP = 'head -c 500000 /dev/urandom; eval "$PAUSE"'


class Pair:
    """Both reconcilers; each has a clone of the specs of its own, as on two machines."""

    def __init__(
        self, folder: Path, server: S3Server, stack: ExitStack, lease: float = 1.0, jobs: int = 1
    ) -> None:
        bucket = server.new_bucket()
        self.server, self.bucket = server, bucket
        self.disk = Folder(folder / "disk")
        self.places: list[Place] = [self.disk, Bucket(server, bucket)]
        tree = folder / "wiki"
        tree.mkdir()
        (tree / "page").write_bytes(random.Random(1).randbytes(300_000))
        self.begun, self.gate = folder / "begun", folder / "gate"
        pause = f"if [ -p {self.begun} ]; then echo > {self.begun}; cat {self.gate}; fi"
        projects = [Project(folder / f"host-{number}") for number in (1, 2)]
        for number, project in enumerate(projects, 1):
            project.env |= {"S3_KEY": server.key, "S3_SECRET": server.secret, "RECONCILER_LEASE": str(lease)}
            project.env |= {"RECONCILER_NODE": f"node-{number}", "PAUSE": pause if number == 1 else ":"}
            project.env["JOBS"] = str(jobs)
            project.write(
                policy(),
                destination("disk", f"file://{folder}/disk"),
                s3_destination("cloud", server, bucket),
                backup(
                    "all",
                    [
                        {
                            "name": "shop",
                            "kind": "command",
                            "type": "dump",
                            "backup": DUMP,
                        },
                        {"name": "wiki", "kind": "path", "path": str(tree)},
                    ],
                    ["disk", "cloud"],
                    retention={"daily": KEPT},
                ),
            )
        self.both = [stack.enter_context(Reconciler(project)) for project in projects]

    def begin(self, day: int) -> None:
        """Both begin the run of that day, each by its own clock."""
        for number in (0, 1):
            self.begin_alone(number, day)

    def begin_alone(self, number: int, day: int) -> None:
        """One of them begins it."""
        self.both[number].begin((FIRST + timedelta(days=day, seconds=1 + number)).isoformat())

    def held(self) -> None:
        """Let the first one begin the next run; returns while it reads a target, with records at both places."""
        os.mkfifo(self.begun)
        os.mkfifo(self.gate)
        self.begin_alone(0, 1)
        with self.begun.open() as begun:  # opening it waits for the command
            begun.read()
        self.begun.unlink()

    def let_go(self) -> None:
        """Let that command go on, if it still runs."""
        gate = os.open(self.gate, os.O_RDWR)
        os.write(gate, b"go on")
        os.close(gate)

    def made(self, day: int) -> list[set[str]]:
        """The copies of that day at each place."""
        stamp = f"_{FIRST + timedelta(days=day):%Y-%m-%d}T"
        return [{key for key in copies(place.sizes()) if stamp in key} for place in self.places]

    def calls(self) -> list[str]:
        """The requests about leases so far."""
        return [call.operation for call in self.server.calls(self.bucket) if ".leases/" in call.key]

    def check(self, day: int, about: object) -> None:
        """One artifact of each target for the slot, the same at both places, and every copy whole."""
        disk, cloud = self.made(day)
        assert disk == cloud, about
        assert len(disk) == len(TARGETS), (about, disk)
        for place in self.places:
            assert partial(place, deep=True) == [], about


@pytest.fixture
def jobs() -> int:
    """How many targets each does at a time."""
    return 1


@pytest.fixture
def pair(tmp_path: Path, s3_server: S3Server, jobs: int) -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(tmp_path, s3_server, stack, jobs=jobs)


@pytest.mark.timeout(1800)
def test_one_is_stopped_and_continued_at_random(pair: Pair, measured: Callable[[str], None]) -> None:
    moments = random.Random(SEED)
    usual = 0.0
    for day in (0, 1):  # the first one takes longer: everything is loaded
        begun = time.monotonic()
        pair.begin(day)
        assert all(item.end().code == 0 or day for item in pair.both)
        usual = time.monotonic() - begun
        pair.check(day, "undisturbed")
    fenced = 0
    for day in range(2, TICKS):
        stopped, other = moments.sample(pair.both, 2)
        begun = time.monotonic()
        pair.begin(day)
        Event().wait(moments.uniform(0.1, 0.9) * usual)
        stopped.send(signal.SIGSTOP)
        ended = other.end()
        usual += 0.3 * (min(time.monotonic() - begun, 2 * usual) - usual)  # as busy as the machine is
        stopped.send(signal.SIGCONT)
        woken = stopped.end()
        about = f"seed {SEED}, day {day}: {ended.said} and {woken.said}"
        for one in (ended, woken):  # on a busy machine also the other one may stand still for a second
            assert one.code == 0 or "took over" in one.said, about
        fenced += "took over while this one stood still" in woken.said
        pair.check(day, about)
    mended(pair, TICKS)
    measured(f"{TICKS} slots, one of two reconcilers stopped in each; {fenced} fenced (seed {SEED})")
    assert fenced > 0 or TICKS < 100


@pytest.mark.parametrize("jobs", [1, 2])
def test_who_is_stopped_beyond_its_lease_writes_nothing_when_it_wakes(pair: Pair) -> None:
    """Stopped while it reads a target, with the lease and with records at both places."""
    run(pair, 0, *pair.both)
    pair.held()
    first, second = pair.both
    first.send(signal.SIGSTOP)
    pair.begin_alone(1, 1)
    assert second.end().code == 0
    pair.check(1, "taken over")
    before = [sizes_and_bytes(place) for place in pair.places]
    pair.let_go()
    first.send(signal.SIGCONT)
    woken = first.end()
    assert woken.code == 1
    assert "another run took over while this one stood still for" in woken.said
    for place, had in zip(pair.places, before, strict=True):
        has = sizes_and_bytes(place)
        assert has.items() <= had.items()
        assert all(key.endswith(".part") for key in had.keys() - has.keys())
    mended(pair, 2)


def test_who_takes_over_and_stands_still_itself_leaves_nothing_that_stays(pair: Pair) -> None:
    """Its claim of a manifest lands after the next one had cleared everything: an empty one, of no data and no record."""
    run(pair, 0, *pair.both)
    late = "daily/wiki_files_2026-01-19T030002Z_daily.tar.zst.json"
    (pair.disk.root / late).touch()
    pair.server.client().put_object(Bucket=pair.bucket, Key=f"backups/{late}", Body=b"")
    mended(pair, 1)


def sizes_and_bytes(place: Place) -> dict[str, bytes | None]:
    """Everything at a place."""
    return {key: place.content(key) for key in place.sizes()}


def run(pair: Pair, day: int, *reconcilers: Reconciler) -> None:
    """An apply of each, one after the other."""
    for reconciler in reconcilers:
        reconciler.begin((FIRST + timedelta(days=day)).isoformat())
        assert reconciler.end().code == 0


def mended(pair: Pair, day: int) -> None:
    """After a run of each one nothing is left of what was broken off."""
    run(pair, day, *pair.both)
    for place in pair.places:
        assert others(place.sizes()) == set()
        assert len(copies(place.sizes())) == min(KEPT, day + 1) * len(TARGETS)
    assert pair.server.open_uploads(pair.bucket) == []


def test_a_killed_holder_is_followed_at_once_on_its_machine(pair: Pair) -> None:
    run(pair, 0, *pair.both)
    pair.held()
    with pair.both[0] as first:
        first.send(signal.SIGKILL)
    pair.begin_alone(1, 1)
    ended = pair.both[1].end()
    assert (ended.code, "waiting for its end" in ended.said) == (0, False)
    pair.check(1, "followed")
    pair.let_go()


def test_what_a_lease_costs(tmp_path: Path, s3_server: S3Server) -> None:
    """Two calls of a store; on S3 five requests, since the first claim tries out whether conditions are heeded. None at rest."""
    with ExitStack() as stack:
        pair = Pair(tmp_path, s3_server, stack, lease=60)
        run(pair, 0, pair.both[0])
        counted = pair.calls()
        assert Counter(counted) == {"PutObject": 3, "HeadObject": 2}
        run(pair, 0, pair.both[0])
        assert pair.calls() == counted
