"""A branch whose old commits become one, on the object store alone."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.adapters import git
from reconciler.adapters import history as module
from reconciler.errors import GitError

BRANCH = "backup-status"
FIRST = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)
KEPT = "--format=%T %an %ae %ad %cn %ce %cd %B"


def run(folder: Path, *arguments: str, **environment: str) -> str:
    ran = subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return ran.stdout.strip()


def day(number: int) -> datetime:
    return FIRST + timedelta(days=number)


def history(folder: Path, days: int, *, form: str = "sha1") -> git.GitRepository:
    """A repository with a report for each day, ``day 0`` the first."""
    folder.mkdir()
    run(folder, "init", "--quiet", "--initial-branch=main", f"--object-format={form}")
    repository = git.find(folder)
    assert repository
    for number in range(days):
        files = {"status.json": b"%d" % number, "nodes/a.json": b"a"}
        assert repository.commit(BRANCH, files, f"day {number}\n\nmore: äöü", day(number))
    return repository


@pytest.mark.parametrize("form", ["sha1", "sha256"])
def test_old_commits_become_one_and_newer_ones_stay(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "repo"
    repository = history(folder, 7, form=form)
    before = run(folder, "log", KEPT, "-3", BRANCH)
    tree, old = run(folder, "rev-parse", f"{BRANCH}^{{tree}}"), run(folder, "rev-parse", BRANCH)

    found = repository.squash(BRANCH, day(4))
    assert found
    assert (found.older, found.newer) == (4, 3)
    assert run(folder, "rev-parse", BRANCH) == found.tip
    assert run(folder, "rev-parse", f"{BRANCH}^{{tree}}") == tree
    assert run(folder, "log", KEPT, "-3", BRANCH) == before
    root = run(folder, "log", "--max-parents=0", "--format=%s|%aI|%b", BRANCH)
    assert root == (
        "The history begins here: what was older is squashed|2026-01-04T03:00:00+00:00|day 3\n\nmore: äöü"
    )
    assert run(folder, "show", f"{BRANCH}~3:status.json") == "3"
    assert run(folder, "rev-list", "--count", BRANCH) == "4"
    assert run(folder, "reflog", "-1", "--format=%gs", BRANCH) == "reconciler: squash"
    assert run(folder, "rev-parse", f"{BRANCH}@{{1}}") == old
    run(folder, "fsck", "--strict")

    assert repository.squash(BRANCH, day(4)) is None, "it is done"
    again = repository.squash(BRANCH, day(6))
    assert again
    assert (again.older, again.newer) == (3, 1)
    assert run(folder, "log", "--max-parents=0", "--format=%b", BRANCH) == "day 5\n\nmore: äöü"


def test_all_of_it_is_old_or_none(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    repository = history(folder, 3)
    tip = run(folder, "rev-parse", BRANCH)
    assert repository.squash(BRANCH, day(0)) is None
    assert repository.squash(BRANCH, day(1)) is None, "one is older, and is one already"
    assert run(folder, "rev-parse", BRANCH) == tip
    found = repository.squash(BRANCH, day(90))
    assert found
    assert (found.older, found.newer) == (3, 0)
    assert run(folder, "show", f"{BRANCH}:status.json") == "2"
    assert run(folder, "rev-list", "--count", BRANCH) == "1"


def test_an_old_date_on_top_of_newer_ones_squashes_none_of_these(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    repository = history(folder, 4)
    assert repository.commit(BRANCH, {"status.json": b"late"}, "late", day(0)), (
        "of a machine that was cut off"
    )
    found = repository.squash(BRANCH, day(3))
    assert found
    assert (found.older, found.newer) == (3, 2)
    assert run(folder, "log", "--format=%s", BRANCH).splitlines()[:2] == ["late", "day 3"]


def test_merges_stay_merges_and_signatures_go(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    repository = history(folder, 4)
    tree = run(folder, "rev-parse", f"{BRANCH}^{{tree}}")
    side = run(
        folder,
        "commit-tree",
        tree,
        "-p",
        f"{BRANCH}~1",
        "-m",
        "side",
        GIT_COMMITTER_DATE="2026-01-04T04:00:00Z",
    )
    body = f"tree {tree}\nparent {run(folder, 'rev-parse', BRANCH)}\nparent {side}\n"
    body += "author A <a@example.com> 1767582000 +0100\ncommitter A <a@example.com> 1767582000 +0100\n"
    body += "gpgsig -----BEGIN SSH SIGNATURE-----\n AAAA\n -----END SSH SIGNATURE-----\n\nmerged\n"
    (tmp_path / "body").write_text(body)
    merge = run(folder, "hash-object", "-w", "-t", "commit", str(tmp_path / "body"))
    run(folder, "update-ref", f"refs/heads/{BRANCH}", merge)
    found = repository.squash(BRANCH, day(3))
    assert found
    assert (found.older, found.newer) == (3, 3)
    told = run(folder, "log", "--topo-order", "--format=%s", BRANCH).splitlines()
    assert told[0] == "merged"
    assert sorted(told[1:3]) == ["day 3", "side"]
    assert len(told) == 4
    assert run(folder, "rev-list", "--max-parents=0", "--count", BRANCH) == "1"
    assert "gpgsig" not in run(folder, "cat-file", "commit", BRANCH)
    assert run(folder, "log", "-1", "--format=%ai", BRANCH) == "2026-01-05 04:00:00 +0100"


def test_who_writes_meanwhile_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "repo"
    repository = history(folder, 4)

    def meanwhile(*arguments: object) -> object:
        found = module.squashed(*arguments)  # type: ignore[arg-type]
        repository.commit(BRANCH, {"status.json": b"new"}, "new", day(4))
        return found

    monkeypatch.setattr(git, "squashed", meanwhile)
    with pytest.raises(GitError, match=r"cannot move branch backup-status: .*; another process has just"):
        repository.squash(BRANCH, day(3))
    told = run(folder, "log", "--format=%s", BRANCH).splitlines()
    assert told == ["new", "day 3", "day 2", "day 1", "day 0"]


def test_there_is_nothing_to_move_or_it_may_not_be(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    repository = history(folder, 3)
    run(folder, "worktree", "add", "--quiet", str(tmp_path / "tree"), BRANCH)
    with pytest.raises(GitError, match="branch backup-status is checked out in a work tree"):
        repository.squash(BRANCH, day(2))
    with pytest.raises(GitError, match="it has no branch other of its own"):
        repository.squash("other", day(2))
