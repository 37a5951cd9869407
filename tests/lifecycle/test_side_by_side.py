"""Containers that are held by an apply with ``--jobs``: one target at a time, and back whatever becomes of its process."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_jobs import workers
from tests.descent import descendants
from tests.faults.project import Project, backup, destination, policy
from tests.faults.watch import Folder, copies, others
from tests.lifecycle.yard import Yard

SLOW = "echo begun; exec sleep 60"


@pytest.fixture
def project(yard: Yard, tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.env |= {"DOCKER_HOST": yard.host.url, "RECONCILER_STATE_DIR": str(yard.state)}
    return made


def write(project: Project, yard: Yard, *targets: dict[str, Any]) -> None:
    disk = destination("disk", f"file://{project.folder}/disk")
    project.write(policy(), disk, backup("shop", list(targets), ["disk"]))


def held(yard: Yard, short: str, text: str) -> dict[str, Any]:
    """A target that is read while a container is stopped."""
    quiesce = {"mode": "stop", "containers": [yard.name(short)]}
    return {"name": short, "kind": "command", "backup": text, "quiesce": quiesce}


def test_two_that_hold_containers_are_never_down_at_the_same_time(yard: Yard, project: Project) -> None:
    """Nor is a command run in a container while one is held."""
    yard.run("db")
    yard.run("web")
    seen = (
        f"docker -H {yard.host.url} ps --filter name={yard.tag} --format '{{{{.Names}}}}' | wc -l; sleep 0.3"
    )
    inside = {
        "name": "inside",
        "kind": "command",
        "container": yard.name("web"),
        "backup": "echo from inside",
    }
    write(project, yard, held(yard, "db", seen), held(yard, "web", seen), inside)
    applied = project.do("apply", "--jobs", "3")
    assert applied.code == 0, applied
    for target in ("db", "web"):
        to = project.folder / f"there-{target}"
        assert project.do("restore", f"{target}/dump", "--to", f"path:{to}").code == 0
        (only,) = to.iterdir()
        assert only.read_text() == "1\n", "one was down, and one ran"
    assert yard.status("db", "web") == ["running", "running"]
    assert yard.records() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, 1)])
def test_they_run_again_when_their_worker_dies_or_the_run_is_interrupted(
    yard: Yard, project: Project, number: signal.Signals, code: int
) -> None:
    """SIGTERM goes to the run; SIGKILL to the worker, and the run itself puts it right."""
    yard.run("db")
    write(project, yard, held(yard, "db", SLOW), {"name": "wiki", "kind": "command", "backup": "echo wiki"})
    child = project.start("apply", "--jobs", "2")
    yard.await_status("exited", "db")
    if number == signal.SIGTERM:
        child.send_signal(number)
    else:
        (victim,) = [pid for pid in workers().intersection(descendants(child.pid)) if descendants(pid)]
        os.kill(victim, number)
    out, err = child.communicate(timeout=30)
    assert child.returncode == code, err
    assert "Traceback" not in err
    assert yard.status("db") == ["running"]
    assert yard.records() == []
    if number == signal.SIGKILL:
        assert f"container {yard.name('db')} was started again" in out + err
    disk = Folder(project.folder / "disk")
    assert not any("db_dump" in key for key in copies(disk.sizes()))
    assert number == signal.SIGKILL or others(disk.sizes()) == set()


def test_a_kill_of_the_whole_run_is_put_right_by_the_next(yard: Yard, project: Project) -> None:
    yard.run("db")
    write(project, yard, held(yard, "db", SLOW), held(yard, "db", "echo other") | {"type": "other"})
    child = project.start("apply", "--jobs", "2")
    yard.await_status("exited", "db")
    child.kill()
    child.communicate()
    assert len(yard.records()) > 0
    write(project, yard, held(yard, "db", "echo quick"))
    applied = project.do("apply", "--jobs", "2")
    assert applied.code == 0, applied
    assert yard.status("db") == ["running"]
    assert yard.records() == []
    assert len(copies(Folder(project.folder / "disk").sizes())) == 1
