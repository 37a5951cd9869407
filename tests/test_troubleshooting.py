"""docs/troubleshooting.md: each trouble is made, and the commands of its section say what the page says and mend it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import docker.types
import pytest

from tests.cli.place import Place
from tests.faults.conftest import Disks, disks
from tests.parts.engine import EngineHost
from tests.parts.keys import KeyRing
from tests.test_docs import REPOSITORY, blocks, run_all

__all__ = ["disks"]  # a fixture of the tests of faults
PAGE = REPOSITORY / "docs/troubleshooting.md"
DESTINATIONS = """\
apiVersion: reconciler/v1
kind: Destination
metadata: {name: disk}
spec: {url: "file://../mnt", media: hdd}
---
apiVersion: reconciler/v1
kind: Destination
metadata: {name: offsite}
spec: {url: "file://../bucket", media: object-storage, offsite: true}
"""
WIKI = """\
apiVersion: reconciler/v1
kind: Backup
metadata: {name: wiki}
spec:
  schedule: "0 3 * * *"
  destinations: [disk, offsite]
  retention: {daily: 7}
  targets:
    - {name: wiki, kind: path, path: ../wiki}
"""
FOURTH_DAY = "2026-01-23T03:10:00Z"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """One target at two destinations, backed up once, with the specs in git."""
    place = Place(tmp_path)
    shutil.rmtree(tmp_path / "backup.d")
    place.write("backup.d/destinations.yaml", DESTINATIONS)
    place.write("backup.d/wiki.yaml", WIKI)
    place.into_git()
    backed_up(place, place.now)
    return place


def backed_up(place: Place, now: str) -> None:
    """An apply at that time, after somebody wrote in the wiki."""
    place.now = now
    place.write("wiki/home.txt", f"hello at {now}\n")
    assert place.run("apply").code == 0


def followed(place: Place, section: str, **environment: str) -> str:
    """The commands of a section give what the page says; all of their output."""
    return "".join(run_all(PAGE, place.root, section=section, **{**place.environment(), **environment}))


def protected(place: Place) -> None:
    """Nothing is left to do, and the target comes back as it is from either destination."""
    assert place.run("plan").code == 0
    for name in ("disk", "offsite"):
        if f"name: {name}}}" in (place.root / "backup.d/destinations.yaml").read_text():
            ran = place.run("restore", "wiki", "--from", name, "--to", f"path:from-{name}")
            assert ran.code == 0, ran.err
            same(place.root / "wiki", place.root / f"from-{name}")


def same(one: Path, other: Path) -> None:
    """Both trees hold the same."""
    subprocess.run(["diff", "--recursive", one, other], check=True)


def a_disk_died(place: Place) -> None:
    shutil.rmtree(place.root / "mnt")
    (place.root / "mnt").mkdir()


def a_copy_was_lost(place: Place) -> None:
    (copy,) = (place.root / "bucket").rglob("*.tar.zst")
    copy.unlink()


def the_specs_are_wrong(place: Place) -> None:
    place.write("backup.d/wiki.yaml", WIKI.replace("retention:", "retentoin:"))


def deletions_are_withheld(place: Place) -> None:
    for day in ("21", "22", "23"):
        backed_up(place, f"2026-01-{day}T03:10:00Z")
    place.write("backup.d/wiki.yaml", WIKI.replace("daily: 7", "daily: 1"))
    policy = "apiVersion: reconciler/v1\nkind: Policy\nmetadata: {name: fleet}\nspec:\n  deletions: {maxPerRun: 4}\n"
    place.write("backup.d/policy.yaml", policy)


def the_clock_was_wrong(place: Place) -> None:
    backed_up(place, "2031-01-20T03:10:00Z")
    backed_up(place, "2026-01-21T03:10:00Z")


TROUBLES: dict[str, Callable[[Place], None]] = {
    "A disk died, or is not mounted": a_disk_died,
    "A copy was lost or damaged": a_copy_was_lost,
    "The specs have an error": the_specs_are_wrong,
    "Deletions are withheld": deletions_are_withheld,
    "The clock was wrong": the_clock_was_wrong,
}


@pytest.mark.parametrize("section", TROUBLES)
def test_a_trouble_is_mended(section: str, place: Place) -> None:
    TROUBLES[section](place)
    followed(place, section)
    protected(place)


def test_a_destination_is_full(place: Place, disks: Disks) -> None:
    small = disks.mount("small", "size=256k")
    shutil.copytree(place.root / "bucket", small, dirs_exist_ok=True)
    shutil.rmtree(place.root / "bucket")
    (place.root / "bucket").symlink_to(small)
    (place.root / "wiki/photo.jpg").write_bytes(os.urandom(400_000))
    place.now = "2026-01-21T03:10:00Z"
    (place.root / "larger").write_text(f"#!/bin/sh\nmount -o remount,size=4M {small}\n")
    (place.root / "larger").chmod(0o755)
    followed(place, "A destination is full", PATH=f"{place.root}:{os.environ['PATH']}")
    protected(place)


def test_a_key_was_lost(place: Place, keys: KeyRing) -> None:
    public = []
    for name in ("backup.key", "paper.key"):
        subprocess.run(["age-keygen", "-o", place.root / name], check=True, capture_output=True)
        made = subprocess.run(
            ["age-keygen", "-y", place.root / name], check=True, capture_output=True, text=True
        )
        public.append(made.stdout.strip())
    place.write(
        "backup.d/wiki.yaml", WIKI + f"  encryption: {{age: {{recipients: [{', '.join(public)}]}}}}\n"
    )
    backed_up(place, "2026-01-21T03:10:00Z")
    (place.root / "backup.key").unlink()
    place.now = "2026-01-21T04:00:00Z"
    followed(place, "A key was lost", LOST=public[0])
    same(place.root / "wiki", place.root / "look")
    ran = place.run("restore", "wiki", "--identity", "new.key", "--to", "path:newest")
    assert ran.code == 0, ran.err
    same(place.root / "wiki", place.root / "newest")


def test_the_machine_is_gone(place: Place) -> None:
    repository, original = place.root / "backups.git", place.root / "original"
    place.git("clone", "--quiet", "--bare", ".", str(repository))
    (place.root / "wiki").rename(original)
    for path in (place.root / "backup.d", place.root / ".git", place.root / "state"):
        shutil.rmtree(path, ignore_errors=True)
    place.env["RECONCILER_NODE"] = "new"
    new = place.root / "new"
    new.mkdir()
    for name in ("mnt", "bucket"):
        (place.root / name).rename(new / name)
    run_all(PAGE, new, section="The machine is gone", **place.environment())
    same(original, new / "specs/wiki")


@pytest.fixture
def shop(engine_host: EngineHost, tmp_path: Path) -> Iterator[Path]:
    """A container that stops when it is told to, and cannot be started again; the file that it lacks."""
    client = engine_host.client()
    needed = tmp_path / "app.conf"
    needed.touch()
    volume = client.volumes.create("shop_data")
    container = client.containers.run(
        engine_host.image,
        ["sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait"],
        name="shop-app",
        detach=True,
        network_mode="none",
        volumes={"shop_data": {"bind": "/data"}},
        mounts=[docker.types.Mount("/etc/app.conf", str(needed), type="bind")],
    )
    needed.unlink()
    yield needed
    container.remove(force=True)
    volume.remove()
    client.close()


def test_a_container_stays_down(place: Place, engine_host: EngineHost, shop: Path) -> None:
    text = WIKI.replace("name: wiki", "name: shop").replace(
        "kind: path, path: ../wiki", "kind: volume, volume: shop_data"
    )
    place.write("backup.d/wiki.yaml", text + "  quiesce: stop\n")
    place.now = "2026-01-21T03:10:00Z"
    followed(place, "A container stays down", DOCKER_HOST=engine_host.url)
    container = engine_host.client().containers.get("shop-app")
    assert container.status == "running"


def test_every_section_with_commands_is_followed() -> None:
    others = {"A destination is full", "A key was lost", "The machine is gone", "A container stays down"}
    assert {block.section for block in blocks(PAGE) if block.code is not None} == {*TROUBLES, *others}
