"""The ledger: on a branch inside git, in a folder of the user's state outside it."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters import git
from reconciler.adapters.ledger import BranchLedger, FolderLedger, Ledger, open_ledger, state_folder
from reconciler.errors import ReconcilerError

TIME = datetime(2026, 1, 20, 3, 0, tzinfo=UTC)


def branch_ledger(folder: Path) -> Ledger:
    subprocess.run(["git", "init", "-q", folder], check=True)
    return open_ledger(folder, git.find(folder))


def folder_ledger(folder: Path) -> Ledger:
    return FolderLedger(folder / "state" / "deep")


@pytest.mark.parametrize("make", [branch_ledger, folder_ledger])
def test_what_was_written_last_is_read(make: object, tmp_path: Path) -> None:
    assert callable(make)
    ledger: Ledger = make(tmp_path)
    assert ledger.read("status.json") is None
    ledger.write({"STATUS.md": b"# One\n", "status.json": b"1"}, "One", TIME)
    ledger.write({"STATUS.md": b"# Two\n", "status.json": b"2"}, "Two", TIME)
    assert (ledger.read("STATUS.md"), ledger.read("status.json")) == (b"# Two\n", b"2")
    assert ledger.read("other") is None


def test_inside_git_it_is_the_branch(tmp_path: Path) -> None:
    ledger = branch_ledger(tmp_path)
    assert isinstance(ledger, BranchLedger)
    assert ledger.place == "branch backup-status"
    assert ledger.write({"status.json": b"1"}, "One", TIME)
    assert ledger.write({"status.json": b"1"}, "One", TIME) is None


def test_outside_git_each_specs_path_has_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    one, other = open_ledger(tmp_path / "one", None), open_ledger(tmp_path / "other", None)
    one.write({"status.json": b"1"}, "One", TIME)
    assert other.read("status.json") is None
    assert open_ledger(tmp_path / "other" / ".." / "one", None).read("status.json") == b"1"
    assert Path(one.place).parent == tmp_path / "state" / "reconciler"
    assert [path.name for path in Path(one.place).iterdir()] == ["status.json"], "no part file stays"
    assert Path(one.place).stat().st_mode & 0o077 == 0


def test_a_relative_state_home_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_folder(tmp_path).is_relative_to(tmp_path / ".local" / "state" / "reconciler")


def test_a_folder_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ledger = FolderLedger(tmp_path / "file" / "state")
    with pytest.raises(
        ReconcilerError, match=r"cannot write the status .*status\.json: Not a directory; make the folder"
    ):
        ledger.write({"status.json": b"1"}, "One", TIME)
    with pytest.raises(ReconcilerError, match="cannot read the status"):
        ledger.read("status.json")
