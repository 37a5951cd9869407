"""Several machines on one status branch: a part each, and a page from all of them."""

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from reconciler.adapters.ledger import BRANCH
from reconciler.adapters.remote import remote
from reconciler.model.status import Status
from reconciler.report.nodes import encode, files
from reconciler.sources import Followed
from tests.report.fleets import fleet_of
from tests.service.site import Site
from tests.service.test_sources import TIME

ROUNDS = 200 if os.environ.get("CAMPAIGN") == "all" else 8
REJECTS = """\
#!/bin/sh
dice=$(od -An -N1 -tu1 /dev/urandom)
test $((dice % 3)) = 0 || exit 0
echo "not now" >> ROOT/rejected
exit 1
"""
NOTES = """\
#!/bin/sh
cat >> ROOT/taken
"""


@pytest.mark.timeout(1200)
def test_two_writers_and_a_remote_that_rejects_at_random(
    site: Site, monkeypatch: pytest.MonkeyPatch, measured: Callable[[str], None]
) -> None:
    site.backup("shop")
    site.push()
    writers = {name: writer(site, monkeypatch, name) for name in ("one", "two")}
    hook(site, "update", REJECTS)
    hook(site, "post-receive", NOTES)
    threads = [threading.Thread(target=rounds, args=writer) for writer in writers.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hook(site, "update", "#!/bin/sh\n")
    assert [source.share() for source in writers.values()] == ["", ""]

    log = git(site, "log", "--reverse", "--format=%H %s", BRANCH).splitlines()
    for name in writers:
        told = [line.partition(" ")[2] for line in log if f" {name} " in line]
        assert told == [f"{name} {number}" for number in range(ROUNDS)], "each once, in its order"
    commits = [line.split()[0] for line in log]
    moves = [line.split()[:2] for line in (site.root / "taken").read_text().splitlines()]
    moves.sort(key=lambda move: commits.index(move[1]))
    assert [old for old, _ in moves[1:]] == [new for _, new in moves[:-1]], "each on top of the one before"
    assert len(log) == 2 * ROUNDS
    assert git(site, "log", "--diff-filter=D", "--name-only", "--format=", BRANCH) == "", "no part ever went"
    for name in writers:
        assert part(site, name) == report_of(name, ROUNDS - 1)
    page = git(site, "show", f"{BRANCH}:STATUS.md")
    assert all(f"| {name} | " in page for name in writers)
    rejected = len((site.root / "rejected").read_text().splitlines())
    measured(
        f"{ROUNDS} rounds of two writers: {len(moves)} pushes were taken, {rejected} rejected by the hook"
    )


def writer(site: Site, monkeypatch: pytest.MonkeyPatch, name: str) -> Followed:
    """A machine of that name, which follows the repository."""
    monkeypatch.setenv("RECONCILER_NODE", name)
    state = site.root / "state" / "followed" / name
    state.mkdir(parents=True)
    return Followed(remote(str(site.remote)), "main", "backup.d", state)


def hook(site: Site, name: str, text: str) -> None:
    path = site.remote / "hooks" / name
    path.write_text(text.replace("ROOT", str(site.root)))
    path.chmod(0o755)


def rounds(name: str, source: Followed) -> None:
    """Report and push, again and again. What could not be pushed goes with a later round."""
    for number in range(ROUNDS):
        status = report_of(name, number)
        source.origin().ledger.write(files(status, encode(status)), f"{name} {number}", status.time)
        source.share()


def report_of(name: str, number: int) -> Status:
    whole = fleet_of(2 if name == "one" else 3)
    return replace(whole, node=name, time=TIME + timedelta(minutes=number))


def git(site: Site, *arguments: str) -> str:
    return site.git(*arguments, at=site.remote)


def part(site: Site, name: str) -> Status:
    return msgspec.json.decode(git(site, "show", f"{BRANCH}:nodes/{name}.json"), type=Status)


def listed(site: Site) -> list[str]:
    return git(site, "ls-tree", "-r", "--name-only", BRANCH).splitlines()


def test_two_services_one_page(site: Site) -> None:
    node(site, "shop", "a")
    node(site, "wiki", "b")
    first = site.push()
    tick(site, "a")
    assert listed(site) == ["STATUS.md", "status.json", "status.svg"], "alone, as ever"
    assert site.status()["node"] == "a"

    tick(site, "b")
    assert listed(site) == ["STATUS.md", "nodes/a.json", "nodes/b.json", "status.json", "status.svg"]
    whole = site.status()
    assert [item["node"] for item in whole["nodes"]] == ["a", "b"]
    assert [item["service"] for item in whole["targets"]] == ["shop", "wiki"]
    assert [item["copies"] for item in whole["destinations"]] == [2], "one place, seen by both"
    assert {item["status"] for item in whole["conditions"]} == {"True"}
    assert whole["orphans"] == []
    page = git(site, "show", f"{BRANCH}:STATUS.md")
    assert "# Backups: all is well with 2 targets" in page
    assert f"| a | 2026-01-20 03:10Z | {first[:12]} | 1 |" in page

    before = git(site, "rev-parse", BRANCH)
    site.env["RECONCILER_NOW"] = "2026-01-20T03:20:00Z"
    tick(site, "a")
    tick(site, "b")
    assert git(site, "log", "--format=%s", f"{before}..{BRANCH}") == "what was seen changed", "by a alone"

    site.backup("blog")
    (site.work / "backup.d/shop.yaml").write_text(
        (site.work / "backup.d/shop.yaml").read_text().replace("daily: 3", "daily: 5")
    )
    second = site.push()
    tick(site, "a")
    items = site.status()["changes"]["items"]
    assert ("shop/files", second) in {(item["subject"], item["commit"]) for item in items}
    assert {item["commit"] for item in items} == {second, None}
    assert part(site, "b").spec_commit == first, "b has not heard of it yet"


def test_a_machine_that_is_silent_does_not_look_good_until_it_is_taken_off(site: Site) -> None:
    node(site, "shop", "a")
    node(site, "wiki", "b")
    site.push()
    tick(site, "a")
    tick(site, "b")
    site.env["RECONCILER_NOW"] = "2026-01-21T09:00:00Z"
    tick(site, "a")
    whole = site.status()
    assert [item["overdue"] for item in whole["nodes"]] == [[], ["wiki/files"]]
    healthy = next(item for item in whole["conditions"] if item["type"] == "Healthy")
    assert (healthy["status"], healthy["reason"]) == ("Unknown", "NodeSilent")
    assert [item["state"] for item in whole["targets"]] == ["good", "unknown"]
    page = git(site, "show", f"{BRANCH}:STATUS.md")
    assert "# Backups: b has not reported" in page
    assert (
        "**wiki/files**: b has not reported since 2026-01-20 03:10Z, and was to back it up 2026-01-21 00:00Z"
        in page
    )

    clone = site.root / "by-hand"
    site.git("clone", "--quiet", "--branch", BRANCH, str(site.remote), str(clone), at=site.root)
    site.git("rm", "--quiet", "nodes/b.json", at=clone)
    site.git("commit", "--quiet", "--message=b is gone", at=clone)
    site.git("push", "--quiet", at=clone)
    site.env["RECONCILER_NOW"] = "2026-01-22T09:00:00Z"
    tick(site, "a")
    assert listed(site) == ["STATUS.md", "status.json", "status.svg"], "taken off the page by hand"
    assert [item["service"] for item in site.status()["targets"]] == ["shop"]


def node(site: Site, name: str, where: str) -> None:
    """A Backup that the machine ``where`` carries out."""
    site.backup(name)
    path: Path = site.work / f"backup.d/{name}.yaml"
    path.write_text(path.read_text().replace("spec:\n", f"spec:\n  node: {where}\n", 1))


def tick(site: Site, name: str) -> None:
    site.env["RECONCILER_NODE"] = name
    ran = site.once("--state-dir", str(site.root / "state" / name))
    assert ran.returncode == 0, ran.stderr


def test_a_report_that_somebody_made_up_stops_no_backup(site: Site) -> None:
    node(site, "shop", "a")
    site.push()
    tick(site, "a")
    clone = site.root / "by-hand"
    site.git("clone", "--quiet", "--branch", BRANCH, str(site.remote), str(clone), at=site.root)
    (clone / "nodes").mkdir()
    told = (clone / "status.json").read_text().replace('"a"', '"evil"').replace('Z"', '"')
    (clone / "nodes/evil.json").write_text(told)
    site.git("add", "nodes", at=clone)
    site.git("commit", "--quiet", "--message=Times without a zone", at=clone)
    site.git("push", "--quiet", at=clone)
    site.env["RECONCILER_NOW"] = "2026-01-21T09:00:00Z"
    tick(site, "a")
    assert len(site.copies("shop")) == 2
    assert [(item["node"], item["time"]) for item in site.status()["nodes"]] == [
        ("a", "2026-01-21T09:00:00Z"),
        ("evil", None),
    ]
