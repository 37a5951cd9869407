"""One source is in trouble: nothing of it is committed, the others are backed up, and everything says so."""

from pathlib import Path
from typing import Any

import pytest

from tests.faults.project import Project, Ran, backup, destination, policy
from tests.faults.watch import Folder, copies, others
from tests.parts.engine import EngineHost

NOW = "2026-01-20T03:10:00Z"


def write(project: Project, source: Path, *targets: dict[str, Any]) -> None:
    """A good target beside the others; two destinations."""
    project.write(
        policy(),
        destination("disk", f"file://{project.folder}/disk"),
        destination("usb", f"file://{project.folder}/usb"),
        backup("shop", [{"name": "shop", "kind": "path", "path": str(source)}, *targets], ["disk", "usb"]),
    )


def only_the_good_one(project: Project, source: Path, ran: Ran, *says: str) -> dict[str, Any]:
    """What holds whenever one target fails and the other does not. Returns the failing target's status."""
    assert ran.code == 1, ran
    for text in says:
        assert text in ran.out + ran.err
        assert text in project.page().replace("\\", "")
    for name in ("disk", "usb"):
        sizes = Folder(project.folder / name).sizes()
        assert [key.partition("_")[0] for key in copies(sizes)] == ["monthly/shop"]
        assert others(sizes) == set()
        project.restored("shop", source, name, RECONCILER_NOW=NOW)
    (failing,) = (target for target in project.status()["targets"] if target["service"] != "shop")
    assert failing["state"] == "failing"
    return dict(failing)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("head -c 3000000 /dev/urandom; echo the disk died >&2; exit 3", "the disk died"),
        ("head -c 3000000 /dev/urandom; kill -9 $$", "SIGKILL"),
        ("no-such-program-at-all", "no-such-program-at-all"),
        ("exit 1", "exit code 1"),
    ],
)
def test_a_command_that_fails_midway(project: Project, source: Path, command: str, says: str) -> None:
    write(project, source, {"name": "db", "kind": "command", "backup": command})
    ran = project.do("apply", RECONCILER_NOW=NOW)
    failing = only_the_good_one(project, source, ran, says)
    assert failing["lastAttempt"]["state"] == "failed"


def test_a_path_that_does_not_exist(project: Project, source: Path) -> None:
    write(project, source, {"name": "db", "kind": "path", "path": "/nowhere/at/all"})
    only_the_good_one(
        project, source, project.do("apply", RECONCILER_NOW=NOW), "/nowhere/at/all does not exist"
    )


def test_a_volume_that_does_not_exist(project: Project, source: Path, engine_host: EngineHost) -> None:
    project.env["DOCKER_HOST"] = engine_host.url
    write(project, source, {"name": "db", "kind": "volume", "volume": "no-such-volume"})
    only_the_good_one(project, source, project.do("apply", RECONCILER_NOW=NOW), "no-such-volume")


def test_an_engine_that_is_not_there(project: Project, source: Path) -> None:
    project.env["DOCKER_HOST"] = f"unix://{project.folder}/no.sock"
    write(project, source, {"name": "db", "kind": "volume", "volume": "data"})
    ran = project.do("apply", RECONCILER_NOW=NOW)
    only_the_good_one(project, source, ran, "Engine", f"{project.folder}/no.sock")


def test_a_source_that_fails_today_keeps_what_was_backed_up_before(project: Project, source: Path) -> None:
    """Nothing is pruned of a target whose backup failed."""
    flag = project.folder / "fails"
    targets = [{"name": "db", "kind": "command", "backup": f"echo data; test ! -e {flag}"}]
    place = destination("disk", f"file://{project.folder}/disk")
    project.write(policy(), place, backup("db", targets, ["disk"], retention={"daily": 1}))
    project.converge(RECONCILER_NOW=NOW)
    before = copies(Folder(project.folder / "disk").sizes())
    flag.touch()
    for day in (21, 22, 23):
        assert project.do("apply", RECONCILER_NOW=f"2026-01-{day}T03:10:00Z").code == 1
        assert copies(Folder(project.folder / "disk").sizes()) == before
    flag.unlink()
    project.converge(RECONCILER_NOW="2026-01-24T03:10:00Z")
    (after,) = copies(Folder(project.folder / "disk").sizes())
    assert "2026-01-24" in after
    ran = project.do("restore", "db", "--to", "-", RECONCILER_NOW="2026-01-24T03:10:00Z")
    assert ran.out == "data\n"
