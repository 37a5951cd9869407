"""The run itself is in trouble: interrupted, doubled, with a wrong clock, or with nowhere to write the status."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.faults.project import Project, backup, destination, policy, s3_destination
from tests.faults.watch import Bucket, Folder, copies, others, partial
from tests.parts.process import until
from tests.parts.s3 import S3Server

NOW = "2026-01-20T03:10:00Z"
TOMORROW = "2026-01-21T03:10:00Z"


def write(project: Project, source: Path) -> None:
    """One target, two destinations."""
    project.write(
        policy(),
        destination("disk", f"file://{project.folder}/disk"),
        destination("usb", f"file://{project.folder}/usb"),
        backup(
            "shop",
            [{"name": "shop", "kind": "path", "path": str(source)}],
            ["disk", "usb"],
            retention={"daily": 1},
        ),
    )


@pytest.fixture
def gate(project: Project, s3_server: S3Server) -> Path:
    """A source that gives 20 MB and then waits for this FIFO; on a disk and S3."""
    project.env |= {"S3_KEY": s3_server.key, "S3_SECRET": s3_server.secret}
    gate = project.folder / "gate"
    os.mkfifo(gate)
    bucket = s3_server.new_bucket()
    project.write(
        policy(),
        destination("disk", f"file://{project.folder}/disk"),
        s3_destination("cloud", s3_server, bucket),
        backup(
            "shop",
            [{"name": "shop", "kind": "command", "backup": f"head -c 20000000 /dev/urandom; cat {gate}"}],
            ["disk", "cloud"],
            compression={"codec": "none"},  # what was read is written at once
        ),
    )
    project.env["BUCKET"] = bucket
    return gate


def under_way(project: Project, server: S3Server, child: subprocess.Popen[str]) -> None:
    """Wait until both destinations have got a part of the artifact."""
    bucket = project.env["BUCKET"]

    def begun() -> bool:
        assert child.poll() is None, "the apply ended before it was disturbed"
        parts = [
            size for key, size in Folder(project.folder / "disk").sizes().items() if key.endswith(".part")
        ]
        return any(parts) and bool(server.open_uploads(bucket))

    until(begun, "the apply has not begun to write")


def test_ctrl_c_leaves_nothing_half_made(project: Project, s3_server: S3Server, gate: Path) -> None:
    child = project.start("apply", RECONCILER_NOW=NOW)
    under_way(project, s3_server, child)
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert err.strip().splitlines()[-1] == "interrupted; no copy is left half made"
    assert "Traceback" not in err
    disk, cloud = Folder(project.folder / "disk"), Bucket(s3_server, project.env["BUCKET"])
    for place in (disk, cloud):
        assert (copies(place.sizes()), others(place.sizes())) == (set(), set())
    assert s3_server.open_uploads(project.env["BUCKET"]) == []


def test_ctrl_c_does_not_wait_for_a_destination_that_does_not_answer(project: Project, source: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        project.env |= {"S3_KEY": "somebody", "S3_SECRET": "something"}
        options = {
            "endpoint_url": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "key": {"fromEnv": "S3_KEY"},
            "secret": {"fromEnv": "S3_SECRET"},
        }
        target = {"name": "shop", "kind": "path", "path": str(source)}
        cloud = destination("cloud", "s3://bucket/backups", options=options)
        project.write(policy(), cloud, backup("shop", [target], ["cloud"]))
        child = project.start("apply", RECONCILER_NOW=NOW)
        silent.settimeout(30)
        asking, _ = silent.accept()
        with asking:
            os.killpg(child.pid, signal.SIGINT)
            _, err = child.communicate(timeout=15)
    assert child.returncode == 130, err
    assert "Traceback" not in err


def test_a_second_apply_is_refused_and_the_first_is_not_disturbed(
    project: Project, s3_server: S3Server, gate: Path
) -> None:
    first = project.start("apply", RECONCILER_NOW=NOW)
    under_way(project, s3_server, first)
    second = project.do("apply", RECONCILER_NOW=NOW)
    assert second.code == 1
    assert "another run works on" in second.err
    assert len(second.err.strip().splitlines()) == 1
    assert project.do("plan", RECONCILER_NOW=NOW).code == 2  # reading is free
    gate.write_bytes(b"the end")
    out, err = first.communicate(timeout=60)
    assert first.returncode == 0, (out, err)
    for place in (Folder(project.folder / "disk"), Bucket(s3_server, project.env["BUCKET"])):
        assert partial(place, deep=True) == []
        assert (len(copies(place.sizes())), others(place.sizes())) == (1, set())
    held = project.folder / "held"
    assert project.do("restore", "shop", "--to", f"path:{held}", RECONCILER_NOW=NOW).code == 0
    (restored,) = held.iterdir()
    content = restored.read_bytes()
    assert (len(content), content[-7:]) == (20_000_007, b"the end")


def test_a_clock_ten_years_ahead_and_back_again(project: Project, source: Path) -> None:
    write(project, source)
    for day in ("2026-01-18", "2026-01-19", "2026-01-20"):
        project.converge(RECONCILER_NOW=f"{day}T03:10:00Z")
    disk = Folder(project.folder / "disk")
    true = copies(disk.sizes())
    ahead = project.do("apply", RECONCILER_NOW="2036-01-20T03:10:00Z")
    assert "is the clock right?" in ahead.out + ahead.err
    assert true < copies(disk.sizes())  # nothing was pruned
    back = project.do("plan", RECONCILER_NOW=NOW)
    assert "a clock is or was wrong" in back.out + back.err
    for date in (21, 22):
        assert project.do("apply", RECONCILER_NOW=f"2026-01-{date}T03:10:00Z").code == 0
    dated = {key.split("_")[2][:10] for key in copies(disk.sizes())}
    assert dated == {"2026-01-20", "2026-01-21", "2026-01-22", "2036-01-20"}
    project.restored("shop", source, "disk", RECONCILER_NOW="2026-01-22T04:00:00Z")
    for place in ("disk", "usb"):
        for path in (project.folder / place).rglob("*2036*"):
            path.unlink()
    project.converge(RECONCILER_NOW="2026-01-22T05:00:00Z")
    assert len(copies(disk.sizes())) == 1


def test_the_status_branch_is_checked_out(project: Project, source: Path) -> None:
    """The backups are made all the same, and the work tree is not touched."""
    write(project, source)
    project.converge(RECONCILER_NOW=NOW)
    project.git("worktree", "add", "--quiet", str(project.folder / "tree"), "backup-status")
    before = (project.folder / "tree" / "STATUS.md").read_bytes()
    ran = project.do("apply", RECONCILER_NOW=TOMORROW)
    assert ran.code == 1
    assert "branch backup-status is checked out" in ran.err
    assert (project.folder / "tree" / "STATUS.md").read_bytes() == before
    assert any("2026-01-21" in key for key in copies(Folder(project.folder / "disk").sizes()))
    project.git("worktree", "remove", str(project.folder / "tree"))
    project.converge(RECONCILER_NOW=TOMORROW)
    assert "2026-01-21" in project.page()
    project.restored("shop", source, RECONCILER_NOW=TOMORROW)


def test_specs_outside_git(tmp_path: Path, source: Path) -> None:
    """The status lies in a folder of this user, and destinations that were seen are remembered there."""
    project = Project(tmp_path / "project")
    write(project, source)
    (project.root / ".git").rename(tmp_path / "no-git")
    project.env["GIT_CEILING_DIRECTORIES"] = str(tmp_path)
    project.converge(RECONCILER_NOW=NOW)
    (status,) = (project.folder / "state" / "reconciler").rglob("STATUS.md")
    assert "shop" in status.read_text()
    (project.folder / "usb").rename(project.folder / "away")
    (project.folder / "usb").mkdir()
    ran = project.do("apply", RECONCILER_NOW=TOMORROW)
    assert ran.code == 1
    assert "has lost its marker" in ran.out + ran.err
    assert "has lost its marker" in status.read_text()
    project.restored("shop", source, RECONCILER_NOW=TOMORROW)


def test_specs_that_are_wrong_touch_nothing_and_are_told_in_the_status(
    project: Project, source: Path
) -> None:
    write(project, source)
    project.converge(RECONCILER_NOW=NOW)
    before = Folder(project.folder / "disk").sizes()
    (project.specs / "all.yaml").write_text("kind: Backup\nspec: {schedul: '@daily'}\n")
    ran = project.do("apply", RECONCILER_NOW=TOMORROW)
    assert ran.code == 1
    assert "all.yaml:" in ran.err
    assert Folder(project.folder / "disk").sizes() == before
    ready = next(item for item in project.status()["conditions"] if item["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "SpecsInvalid")


def test_wrong_specs_are_told_even_where_the_status_cannot_be_written(project: Project, source: Path) -> None:
    write(project, source)
    project.converge(RECONCILER_NOW=NOW)
    project.git("worktree", "add", "--quiet", str(project.folder / "tree"), "backup-status")
    (project.specs / "all.yaml").write_text("kind: Backup\nspec: {schedul: '@daily'}\n")
    ran = project.do("apply", RECONCILER_NOW=TOMORROW)
    assert ran.code == 1
    assert "all.yaml:" in ran.err
    assert "the status could not be written: " in ran.err


def test_specs_without_a_destination_or_a_backup_delete_nothing(project: Project, source: Path) -> None:
    """A target that no spec names any more keeps its copies."""
    write(project, source)
    project.converge(RECONCILER_NOW=NOW)
    before = Folder(project.folder / "disk").sizes()
    project.write(policy(), destination("disk", f"file://{project.folder}/disk"))
    ran = project.do("apply", RECONCILER_NOW=TOMORROW)
    assert ran.code == 0, ran
    assert Folder(project.folder / "disk").sizes() == before
    assert [orphan["copies"] for orphan in project.status()["orphans"]] == [1]


def test_a_plan_without_changes_lists_each_destination_once(project: Project, s3_server: S3Server) -> None:
    """100 targets over S3: one listing and the marker, and nothing for each target."""
    project.env |= {"S3_KEY": s3_server.key, "S3_SECRET": s3_server.secret}
    buckets = [s3_server.new_bucket(), s3_server.new_bucket()]
    targets = [
        {"name": f"service-{number}", "kind": "command", "backup": f"echo {number}", "extension": "txt"}
        for number in range(100)
    ]
    project.write(
        policy(),
        *(s3_destination(bucket, s3_server, bucket) for bucket in buckets),
        backup("all", targets, buckets),
    )
    project.converge(RECONCILER_NOW=NOW)
    before = [s3_server.counts(bucket) for bucket in buckets]
    assert project.do("plan", RECONCILER_NOW=NOW).code == 0
    for bucket, counted in zip(buckets, before, strict=True):
        calls = s3_server.counts(bucket) - counted
        assert calls == {"ListObjectsV2": 1, "GetObject": 1}
    ran = project.do("restore", "service-42", "--to", "-", RECONCILER_NOW=NOW)
    assert ran.out == "42\n"
