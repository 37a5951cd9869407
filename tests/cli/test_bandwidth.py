"""`bandwidth` of a destination: how long it takes against the same without, what waits for it, and how it is interrupted."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.place import Place
from tests.cli.test_apply import ended
from tests.trees import snapshot

SIZE = 1_000_000
LIMIT = "bandwidth: 400kB"
LEAST = SIZE / 400_000 - 0.25
"""Seconds that SIZE bytes must take: a quarter of a second may be made up for."""

FLOOD = """\
apiVersion: reconciler/v1
kind: Backup
metadata: {{name: flood}}
spec:
  schedule: "0 3 * * *"
  destinations: [local, offsite]
  compression: none
  targets:
    - {{name: flood, kind: command, backup: "head -c 8000000 /dev/urandom; echo > '{begun}'; exec sleep 600"}}
"""


def took(what: Callable[[], object]) -> float:
    begun = time.monotonic()
    what()
    return time.monotonic() - begun


@pytest.fixture
def place(place: Place) -> Place:
    """A target that does not shrink, and nothing else."""
    (place.root / "wiki/photo.jpg").write_bytes(random.Random(3).randbytes(SIZE))
    return place


def limit(place: Place, *names: str) -> None:
    specs = place.root / "backup.d/destinations.yaml"
    text = specs.read_text()
    for name in names:
        text = text.replace(f'copies/{name}"', f'copies/{name}", {LIMIT}')
    specs.write_text(text)


def test_a_limited_destination_gets_and_gives_slowly_and_the_backup_waits_for_neither(
    place: Place,
) -> None:
    free = took(lambda: place.run("apply", "--only", "wiki"))
    place.now = "2026-01-21T03:10:00Z"
    (place.root / "wiki/photo.jpg").write_bytes(random.Random(4).randbytes(SIZE))
    limit(place, "offsite")
    planned = place.run("plan", "--output", "json").json["actions"]
    kinds = [item["type"] for item in planned]
    assert kinds == sorted(kinds), "every backup is made before the first upload"
    assert "replicate" in kinds
    slow = took(lambda: place.run("apply", "--only", "wiki"))
    assert slow > LEAST
    assert slow > free + 1
    (near, far) = (place.copies(name, "wiki*2026-01-21*")[0] for name in ("local", "offsite"))
    assert near.read_bytes() == far.read_bytes()
    there = place.root / "there"
    restore = ("restore", "wiki", "--to", "path:there", "--from")
    assert took(lambda: place.run(*restore, "offsite")) > LEAST
    assert snapshot(there) == snapshot(place.root / "wiki")


def test_where_all_are_limited_the_limits_hold_side_by_side(place: Place) -> None:
    limit(place, "local", "offsite")
    spent = took(lambda: place.run("apply", "--only", "wiki"))
    assert LEAST < spent < 2 * LEAST + 2
    (near, far) = (place.copies(name, "wiki*")[0] for name in ("local", "offsite"))
    assert near.read_bytes() == far.read_bytes()


def test_an_interrupt_does_not_wait_until_the_line_has_taken_what_was_read(place: Place) -> None:
    os.mkfifo(place.root / "begun")
    place.write("backup.d/flood.yaml", FLOOD.format(begun=place.root / "begun"))
    place.run("apply", "--only", "wiki")
    limit(place, "local", "offsite")
    with place.start("apply", "--only", "flood") as process:
        (place.root / "begun").read_text()  # by then 8 MB were read, which take 20 s to be written
        assert took(lambda: ended(process, signal.SIGTERM)) < 10
    assert process.returncode == 143
    assert _services(place.root / "copies") == {"wiki"}


def _services(copies: Path) -> set[str]:
    return {path.name.partition("_")[0] for path in copies.rglob("*_*")}
