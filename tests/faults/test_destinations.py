"""One destination is in trouble: a clear line, the right exit code, a status that says so, and the other one gets its copy."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Disks
from tests.faults.project import Project, Ran, backup, destination, policy, s3_destination
from tests.faults.watch import Folder, copies, others, partial
from tests.parts.process import free_port
from tests.parts.s3 import S3Server

DAY1, DAY2, DAY3 = (f"2026-01-{day}T03:10:00Z" for day in (20, 21, 22))
KEPT = {"daily": 1}


def write(project: Project, source: Path, *places: dict[str, Any], **more: Any) -> None:
    """One target with copies at ``disk`` and at ``places``."""
    disk = destination("disk", f"file://{project.folder}/disk")
    names = ["disk", *(place["metadata"]["name"] for place in places)]
    target = {"name": "shop", "kind": "path", "path": str(source)}
    project.write(policy(), disk, *places, backup("shop", [target], names, **{"retention": KEPT, **more}))


def disk(project: Project) -> Folder:
    """The good destination."""
    return Folder(project.folder / "disk")


def other_is_served(
    project: Project, source: Path, ran: Ran, *says: str, now: str = DAY1, held: int = 1
) -> dict[str, Any]:
    """What holds whenever one destination fails and the other does not. Returns the status."""
    assert ran.code == 1, ran
    shown = ran.out + ran.err
    assert "Traceback" not in shown
    status = project.status()
    for text in says:
        assert text in shown
        assert text in project.page().replace("\\", "")
    assert len(copies(disk(project).sizes())) == held
    assert partial(disk(project), deep=True) == []
    assert others(disk(project).sizes()) == set()
    assert now[:10] in status["targets"][0]["lastSuccess"]["time"]
    project.restored("shop", source, "disk", RECONCILER_NOW=now)
    return dict(status)


def states(status: dict[str, Any]) -> dict[str, str]:
    """Ready, Converged, Healthy."""
    return {item["type"]: item["status"] for item in status["conditions"]}


def test_full(project: Project, source: Path, disks: Disks) -> None:
    small = disks.mount("small", "size=1m")
    write(project, source, destination("small", f"file://{small}"))
    ran = project.do("apply", RECONCILER_NOW=DAY1)
    status = other_is_served(project, source, ran, "small: write daily/shop_files", "no space left on device")
    assert states(status) == {"Ready": "True", "Converged": "False", "Healthy": "False"}
    assert (copies(Folder(small).sizes()), others(Folder(small).sizes())) == (set(), set())
    disks.remount(small, "size=20m")
    project.converge(RECONCILER_NOW=DAY1)
    project.restored("shop", source, "small", RECONCILER_NOW=DAY1)


def test_full_when_the_data_is_to_reach_the_disk(
    project: Project, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, source, destination("late", f"file://{project.folder}/late"))
    fsync = os.fsync

    def late(file: int) -> None:
        if f"{project.folder}/late/daily" in os.readlink(f"/proc/self/fd/{file}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(file)

    monkeypatch.setattr(os, "fsync", late)
    ran = project.do("apply", RECONCILER_NOW=DAY1)
    monkeypatch.undo()
    other_is_served(project, source, ran, "no space left on device")
    assert copies(Folder(project.folder / "late").sizes()) == set()
    project.converge(RECONCILER_NOW=DAY1)
    assert others(Folder(project.folder / "late").sizes()) == set()


def test_a_full_disk_can_be_pruned(project: Project, source: Path, disks: Disks) -> None:
    small = disks.mount("small", "size=7m")
    write(project, source, destination("small", f"file://{small}"), retention={"daily": 2})
    project.converge(RECONCILER_NOW=DAY1)
    project.converge(RECONCILER_NOW=DAY2)
    (small / "foreign").write_bytes(bytes(64 << 10))
    with pytest.raises(OSError, match="No space left"):
        (small / "foreign").write_bytes(bytes(8 << 20))
    write(project, source, destination("small", f"file://{small}"))
    project.converge(RECONCILER_NOW=DAY2)
    assert len(copies(Folder(small).sizes())) == 1
    project.restored("shop", source, "small", RECONCILER_NOW=DAY2)


def test_read_only(project: Project, source: Path, disks: Disks) -> None:
    place = disks.mount("place", "size=20m")
    write(project, source, destination("place", f"file://{place}"))
    project.converge(RECONCILER_NOW=DAY1)
    disks.remount(place, "ro")
    before = Folder(place).sizes()
    ran = project.do("apply", RECONCILER_NOW=DAY2)
    other_is_served(project, source, ran, "read-only file system; mount it writable", now=DAY2, held=2)
    assert Folder(place).sizes() == before
    disks.remount(place, "rw")
    project.converge(RECONCILER_NOW=DAY2)
    assert len(copies(Folder(place).sizes())) == 1
    project.restored("shop", source, "place", RECONCILER_NOW=DAY2)


def test_unreachable(project: Project, source: Path, s3_server: S3Server) -> None:
    project.env |= {"S3_KEY": s3_server.key, "S3_SECRET": s3_server.secret}
    bucket = s3_server.new_bucket()
    write(project, source, s3_destination("cloud", s3_server, bucket))
    project.converge(RECONCILER_NOW=DAY1)
    away = s3_destination("cloud", s3_server, bucket)
    away["spec"]["options"]["endpoint_url"] = f"http://127.0.0.1:{free_port()}"
    write(project, source, away)
    ran = project.do("apply", RECONCILER_NOW=DAY2)
    status = other_is_served(project, source, ran, "cloud", "cannot be used", now=DAY2)
    assert states(status)["Ready"] == "False"
    assert next(place for place in status["destinations"] if place["name"] == "cloud")["state"] == "unknown"
    write(project, source, s3_destination("cloud", s3_server, bucket))
    project.converge(RECONCILER_NOW=DAY2)
    project.restored("shop", source, "cloud", RECONCILER_NOW=DAY2)


def test_wrong_credentials(project: Project, source: Path, s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    write(project, source, s3_destination("cloud", s3_server, bucket))
    wrong = {"S3_KEY": "AKIAWRONG", "S3_SECRET": "not-the-secret-at-all", "RECONCILER_NOW": DAY1}
    ran = project.do("apply", **wrong)
    project.env |= {"S3_KEY": s3_server.key, "S3_SECRET": s3_server.secret}
    status = other_is_served(project, source, ran, "the credentials were refused")
    assert states(status)["Ready"] == "False"
    for secret in (wrong["S3_KEY"], wrong["S3_SECRET"]):
        assert secret not in ran.out + ran.err + project.page() + str(status)
    project.converge(RECONCILER_NOW=DAY1)
    project.restored("shop", source, "cloud", RECONCILER_NOW=DAY1)


def test_a_wrong_secret_key(project: Project, source: Path, rclone_s3: S3Server) -> None:
    """This server checks signatures."""
    write(project, source, s3_destination("cloud", rclone_s3, rclone_s3.new_bucket()))
    ran = project.do("apply", S3_KEY=rclone_s3.key, S3_SECRET="not-the-secret-at-all", RECONCILER_NOW=DAY1)
    project.env |= {"S3_KEY": rclone_s3.key, "S3_SECRET": rclone_s3.secret}
    other_is_served(project, source, ran, "the credentials were refused (SignatureDoesNotMatch)")
    project.converge(RECONCILER_NOW=DAY1)


def test_a_secret_that_is_not_set(project: Project, source: Path, s3_server: S3Server) -> None:
    write(project, source, s3_destination("cloud", s3_server, s3_server.new_bucket()))
    ran = project.do("apply", RECONCILER_NOW=DAY1)
    project.env |= {"S3_KEY": s3_server.key, "S3_SECRET": s3_server.secret}
    other_is_served(project, source, ran, "environment variable S3_KEY is not set")


def test_no_such_bucket(project: Project, source: Path, s3_server: S3Server) -> None:
    project.env |= {"S3_KEY": s3_server.key, "S3_SECRET": s3_server.secret}
    write(project, source, s3_destination("cloud", s3_server, "no-such-bucket"))
    ran = project.do("apply", RECONCILER_NOW=DAY1)
    other_is_served(project, source, ran, "there is no bucket no-such-bucket")


def test_unmounted(project: Project, source: Path, disks: Disks) -> None:
    real = project.folder / "real"
    place = project.folder / "mountpoint"
    real.mkdir()
    place.mkdir()
    disks.bind(real, place)
    try:
        write(project, source, destination("usb", f"file://{place}"))
        project.converge(RECONCILER_NOW=DAY1)
    finally:
        disks.unmount(place)
    before = Folder(real).sizes()
    ran = project.do("apply", RECONCILER_NOW=DAY2)
    other_is_served(project, source, ran, "has lost its marker", "unmounted disk", now=DAY2)
    assert list(place.iterdir()) == []
    again = project.do("plan", RECONCILER_NOW=DAY2)
    assert again.code == 1, again
    assert Folder(real).sizes() == before
    disks.bind(real, place)
    try:
        project.converge(RECONCILER_NOW=DAY2)
        project.restored("shop", source, "usb", RECONCILER_NOW=DAY2)
    finally:
        disks.unmount(place)
    assert len(copies(Folder(real).sizes())) == 1


def test_nothing_is_pruned_while_a_destination_is_unknown_that_may_hold_the_last_copy(
    project: Project, source: Path
) -> None:
    write(project, source, destination("usb", f"file://{project.folder}/usb"))
    project.converge(RECONCILER_NOW=DAY1)
    (project.folder / "usb").rename(project.folder / "away")
    (project.folder / "usb").mkdir()
    assert project.do("apply", RECONCILER_NOW=DAY2).code == 1
    assert list((project.folder / "usb").iterdir()) == []
    assert len(copies(Folder(project.folder / "away").sizes())) == 1
    (project.folder / "usb").rmdir()
    (project.folder / "away").rename(project.folder / "usb")
    project.converge(RECONCILER_NOW=DAY2)
    project.restored("shop", source, "usb", RECONCILER_NOW=DAY2)


def test_the_wrong_place(project: Project, source: Path) -> None:
    """Another destination's folder: nothing is written there and nothing deleted."""
    usb, foreign = project.folder / "usb", project.folder / "of-somebody-else"
    write(project, source, destination("usb", f"file://{usb}"), destination("theirs", f"file://{foreign}"))
    project.converge(RECONCILER_NOW=DAY1)
    before = Folder(foreign).sizes()
    write(project, source, destination("usb", f"file://{foreign}"))
    ran = project.do("apply", RECONCILER_NOW=DAY2)
    other_is_served(
        project, source, ran, "this is destination 'theirs'", "a wrong folder or bucket", now=DAY2
    )
    assert Folder(foreign).sizes() == before
    write(project, source, destination("usb", f"file://{usb}"))
    project.converge(RECONCILER_NOW=DAY2)
    project.restored("shop", source, "usb", RECONCILER_NOW=DAY2)


def test_a_marker_that_cannot_be_read(project: Project, source: Path) -> None:
    usb = project.folder / "usb"
    write(project, source, destination("usb", f"file://{usb}"))
    project.converge(RECONCILER_NOW=DAY1)
    marker = (usb / ".reconciler.json").read_bytes()
    (usb / ".reconciler.json").write_bytes(b"\0\0\0")
    before = Folder(usb).sizes()
    ran = project.do("apply", RECONCILER_NOW=DAY2)
    other_is_served(project, source, ran, "is not readable", now=DAY2)
    assert Folder(usb).sizes() == before
    (usb / ".reconciler.json").write_bytes(marker)
    project.converge(RECONCILER_NOW=DAY2)


def test_every_destination_fails(project: Project, source: Path) -> None:
    write(project, source, destination("usb", f"file://{project.folder}/none/usb"))
    (project.folder / "disk").write_text("a file stands where the folder should be")
    ran = project.do("apply", RECONCILER_NOW=DAY1)
    assert ran.code == 1, ran
    status = project.status()
    assert states(status) == {"Ready": "False", "Converged": "Unknown", "Healthy": "False"}
    for text in (ran.out + ran.err, project.page()):
        assert "not a directory" in text.lower()
        assert f"there is no folder {project.folder}/none" in text.replace("\\", "")
        assert "none of its destinations can be used" in text
    (project.folder / "disk").unlink()
    (project.folder / "none").mkdir()
    project.converge(RECONCILER_NOW=DAY1)
    for name in ("disk", "usb"):
        project.restored("shop", source, name, RECONCILER_NOW=DAY1)


def test_foreign_files_are_reported_and_left_alone(project: Project, source: Path) -> None:
    write(project, source, destination("usb", f"file://{project.folder}/usb"))
    strange = {
        "daily/holiday photo [2026].tar.zst": "1",
        "daily/shop_files_2026-01-01T030000Z_daily.tar.zst.sha256": "2",
        "README": "3",
    }
    for name, text in strange.items():
        path = project.folder / "usb" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for day in (DAY1, DAY2, DAY3):
        project.converge(RECONCILER_NOW=day)
    assert {name: (project.folder / "usb" / name).read_text() for name in strange} == strange
    place = next(place for place in project.status()["destinations"] if place["name"] == "usb")
    assert place["foreign"] == len(strange)
    assert set(place["foreignNames"]) <= set(strange)
    assert len(copies(Folder(project.folder / "usb").sizes())) == 1
    project.restored("shop", source, "usb", RECONCILER_NOW=DAY3)


def only_copy(project: Project, name: str) -> Path:
    """The artifact at a destination."""
    (key,) = copies(Folder(project.folder / name).sizes())
    return project.folder / name / key


@pytest.mark.parametrize("damage", ["manifest", "cut", "data gone", "both gone"])
def test_a_damaged_copy_is_healed_from_the_other(project: Project, source: Path, damage: str) -> None:
    write(project, source, destination("usb", f"file://{project.folder}/usb"))
    project.converge(RECONCILER_NOW=DAY1)
    copy = only_copy(project, "usb")
    manifest = copy.with_name(f"{copy.name}.json")
    match damage:
        case "manifest":
            manifest.write_text("<html>no JSON</html>")
        case "cut":
            os.truncate(copy, 1000)
        case "data gone":
            copy.unlink()
        case _:
            copy.unlink()
            manifest.unlink()
    planned = project.do("plan", RECONCILER_NOW=DAY1)
    assert planned.code == 2, planned
    assert "replicate" in planned.out
    project.converge(RECONCILER_NOW=DAY1)
    assert partial(Folder(project.folder / "usb"), deep=True) == []
    for name in ("disk", "usb"):
        project.restored("shop", source, name, RECONCILER_NOW=DAY1)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("manifest", "is not readable"),
        ("cut", "has 1000 bytes instead of"),
        ("flip", "the compressed stream is damaged"),
    ],
)
def test_a_damaged_copy_without_another_is_told_by_the_restore(
    project: Project, source: Path, damage: str, says: str
) -> None:
    write(project, source)
    project.converge(RECONCILER_NOW=DAY1)
    copy = only_copy(project, "disk")
    match damage:
        case "manifest":
            copy.with_name(f"{copy.name}.json").write_text("<html>no JSON</html>")
        case "cut":
            os.truncate(copy, 1000)
        case _:
            content = bytearray(copy.read_bytes())
            content[-100] ^= 1
            copy.write_bytes(content)
    to = project.folder / "restored"
    ran = project.do("restore", "shop", "--to", f"path:{to}", RECONCILER_NOW=DAY1)
    assert ran.code == 1, ran
    assert says in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert not to.exists()
    shutil.rmtree(project.folder / "disk" / "daily")
    project.converge(RECONCILER_NOW=DAY2)
    project.restored("shop", source, "disk", RECONCILER_NOW=DAY2)
