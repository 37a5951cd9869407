"""``apply --jobs``: several targets at a time, each in a process of its own; limits, failures, interrupts and kills of them."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.descent import descendants, is_dead
from tests.faults.project import Project, backup, destination, policy, s3_destination
from tests.faults.watch import Bucket, Folder, copies, others, partial
from tests.parts.process import until
from tests.parts.s3 import S3Server

NOW = "2026-01-20T03:10:00Z"
NEXT = "2026-01-21T03:10:00Z"
MEET = "echo x > {meet}/{name}; n=0; while [ ! -e {meet}/{other} ]; do n=$((n+1)); [ $n -lt 200 ] || exit 9; sleep 0.05; done"
"""For a shell: end well only when the other one runs at the same time."""
COUNT = "mkdir {there}/$$; ls {there} | wc -l >> {counts}; sleep 0.2; rmdir {there}/$$; echo data"
"""For a shell: note how many of the same run at this moment."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture
def trees(tmp_path: Path) -> dict[str, Path]:
    """Three trees of half a megabyte that does not shrink."""
    made = {name: tmp_path / "trees" / name for name in ("one", "two", "three")}
    for name, tree in made.items():
        tree.mkdir(parents=True)
        (tree / "random").write_bytes(random.Random(name).randbytes(500_000))
        (tree / "link").symlink_to("random")
    return made


def disk(project: Project) -> Folder:
    return Folder(project.folder / "disk")


def at_disk(project: Project, **more: Any) -> dict[str, Any]:
    return destination("disk", f"file://{project.folder}/disk", **more)


def path(name: str, tree: Path) -> dict[str, Any]:
    return {"name": name, "kind": "path", "path": str(tree)}


def command(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "kind": "command", "backup": text}


def meeting(project: Project, name: str, other: str) -> str:
    meet = project.folder / "meet"
    meet.mkdir(exist_ok=True)
    return MEET.format(meet=meet, name=name, other=other)


def counted(project: Project, names: str) -> tuple[list[dict[str, Any]], Path]:
    """Targets that note how many run at once, and where they do."""
    there, counts = project.folder / "there", project.folder / "counts"
    there.mkdir(exist_ok=True)
    return [command(name, COUNT.format(there=there, counts=counts)) for name in names], counts


def test_targets_are_backed_up_side_by_side_and_each_comes_back(
    project: Project, trees: dict[str, Path], s3_server: S3Server
) -> None:
    project.env |= {"S3_KEY": s3_server.key, "S3_SECRET": s3_server.secret}
    cloud = Bucket(s3_server, s3_server.new_bucket())
    names = list(trees)
    hooks = [
        [{"phase": "archive-pre", "script": meeting(project, name, names[index - 1])}]
        for index, name in enumerate(names)
    ]
    targets = [path(name, tree) | {"hooks": hooks[index]} for index, (name, tree) in enumerate(trees.items())]
    remote = s3_destination("cloud", s3_server, cloud.name)
    project.write(policy(), at_disk(project), remote, backup("all", targets, ["disk", "cloud"]))
    applied = project.do("apply", "--jobs", "3", "--output", "json", RECONCILER_NOW=NOW)
    assert applied.code == 0, applied
    outcomes = applied.data()["outcomes"]
    planned = applied.data()["plan"]["actions"]
    assert [outcome["action"] for outcome in outcomes] == planned, "the report keeps the order of the plan"
    assert all(
        outcome["seconds"] > 0 and outcome["size"] > 0 for outcome in outcomes if "tier" in outcome["action"]
    )
    assert [len(outcome["hooks"]) for outcome in outcomes if "tier" in outcome["action"]] == [1, 1, 1]
    for place in (disk(project), cloud):
        assert partial(place, deep=True) == []
        assert (len(copies(place.sizes())), others(place.sizes())) == (3, set())
    for name, tree in trees.items():
        for place_name in ("disk", "cloud"):
            project.restored(f"{name}/files", tree, place_name, RECONCILER_NOW=NOW)
    assert workers().isdisjoint(descendants(os.getpid()))


def workers() -> set[int]:
    """The pids of all workers on this machine."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if b"from reconciler.worker import main" in words:
                found.add(int(folder.name))
    return found


def test_one_at_a_time_is_the_default(project: Project) -> None:
    targets, counts = counted(project, "abc")
    project.write(policy(), at_disk(project), backup("all", targets, ["disk"]))
    assert project.do("apply", RECONCILER_NOW=NOW).code == 0
    assert counts.read_text().split() == ["1", "1", "1"]


@pytest.mark.parametrize(("connections", "most"), [(None, 4), (2, 2), (1, 1)])
def test_connections_of_a_destination(project: Project, connections: int | None, most: int) -> None:
    targets, counts = counted(project, "abcd")
    limit = {"connections": connections} if connections else {}
    project.write(policy(), at_disk(project, **limit), backup("all", targets, ["disk"]))
    assert project.do("apply", "--jobs", "4", RECONCILER_NOW=NOW).code == 0
    seen = [int(word) for word in counts.read_text().split()]
    assert (len(seen), max(seen) <= most) == (4, True), seen
    assert most == 1 or max(seen) > 1, seen


def test_they_share_the_bandwidth_of_a_destination(project: Project, trees: dict[str, Path]) -> None:
    targets = [path(name, tree) for name, tree in trees.items()]
    slow = at_disk(project, bandwidth="600kB")
    project.write(policy(), slow, backup("all", targets, ["disk"]))
    begun = time.monotonic()
    assert project.do("apply", "--jobs", "3", RECONCILER_NOW=NOW).code == 0
    assert time.monotonic() - begun > 3 * 500_000 / 600_000 - 0.25, "each had the whole of it"
    assert partial(disk(project), deep=True) == []


def test_one_that_fails_stops_no_other(project: Project, trees: dict[str, Path]) -> None:
    secret = {"fromEnv": "DUMP_SECRET"}
    project.env["DUMP_SECRET"] = "a-secret-of-a-hook"
    bad = command("bad", "echo nothing good >&2; exit 7")
    bad["hooks"] = [
        {"phase": "failure", "http": {"url": "http://127.0.0.1:9/x", "headers": {"Authorization": secret}}}
    ]
    targets = [bad, *(path(name, tree) for name, tree in trees.items())]
    project.write(policy(), at_disk(project), backup("all", targets, ["disk"]))
    applied = project.do("apply", "--jobs", "2", "--output", "json", RECONCILER_NOW=NOW)
    assert applied.code == 1
    assert "a-secret-of-a-hook" not in applied.out + applied.err
    failed = {str(item["action"].get("target")): item.get("error", "") for item in applied.data()["outcomes"]}
    assert sorted(bool(error) for error in failed.values()) == [False] * (len(failed) - 1) + [True]
    assert "exit code 7" in "".join(failed.values())
    assert len(copies(disk(project).sizes())) == 3
    assert "exit code 7" in str(project.status())


@pytest.fixture
def stuck(project: Project, trees: dict[str, Path]) -> Iterator[subprocess.Popen[str]]:
    """An apply that is stuck in two targets, one of them in a hook; a third is done or waits."""
    gate = project.folder / "gate"
    os.mkfifo(gate)
    hook = {"phase": "archive-pre", "script": f"cat {gate}", "always": False}
    dump = command("dump", f"head -c 9000000 /dev/urandom; cat {gate}")
    hooked = path("one", trees["one"]) | {"hooks": [hook]}
    targets = [dump, hooked, path("two", trees["two"])]
    plain = {"codec": "none"}
    project.write(policy(), at_disk(project), backup("all", targets, ["disk"], compression=plain))

    def at_work() -> bool:
        parts = [size for key, size in disk(project).sizes().items() if key.endswith(".part")]
        return any(size > 1_000_000 for size in parts) and len(descendants(child.pid)) >= 4

    child = project.start("apply", "--jobs", "2", RECONCILER_NOW=NOW)
    try:
        until(at_work, "two targets are not at work")
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()
        open_for_all(gate)


def open_for_all(gate: Path) -> None:
    """Whoever waits there goes on, and whoever comes later does not wait."""
    opened = os.open(gate, os.O_RDWR)
    gate.unlink()
    gate.touch()
    os.close(opened)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupt_ends_all_of_them(
    project: Project, stuck: subprocess.Popen[str], number: signal.Signals, code: int
) -> None:
    below = descendants(stuck.pid)
    stuck.send_signal(number)
    _, err = stuck.communicate(timeout=30)
    assert (stuck.returncode, err.strip().splitlines()[-1]) == (
        code,
        "interrupted; no copy is left half made",
    )
    assert "Traceback" not in err
    assert [pid for pid in below if not is_dead(pid)] == []
    assert (copies(disk(project).sizes()), others(disk(project).sizes())) == (set(), set())


def test_a_kill_of_the_run_ends_its_workers_and_the_next_run_mends_it(
    project: Project, stuck: subprocess.Popen[str], trees: dict[str, Path]
) -> None:
    below = workers().intersection(descendants(stuck.pid))
    assert len(below) == 2
    stuck.kill()
    stuck.wait()
    until(lambda: all(map(is_dead, below)), "workers live on", 5)
    assert partial(disk(project), deep=True) == []
    targets = [path(name, trees[name]) for name in ("one", "two")]
    project.write(policy(), at_disk(project), backup("all", targets, ["disk"]))
    project.converge(RECONCILER_NOW=NEXT)
    project.restored("one/files", trees["one"], RECONCILER_NOW=NEXT)
    assert [key for key in others(disk(project).sizes()) if "dump" not in key] == []


def test_a_worker_that_is_killed_has_failed_and_the_others_go_on(
    project: Project, stuck: subprocess.Popen[str]
) -> None:
    os.kill(min(workers().intersection(descendants(stuck.pid))), signal.SIGKILL)
    open_for_all(project.folder / "gate")
    out, err = stuck.communicate(timeout=30)
    assert stuck.returncode == 1, (out, err)
    assert "the process that was at it ended with SIGKILL: is memory short? Fewer --jobs need less" in err
    assert len(copies(disk(project).sizes())) == 2
    assert partial(disk(project), deep=True) == []
