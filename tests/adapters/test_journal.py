"""The journal on disk: what is written is there after a kill, and belongs to its process as long as that lives."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.adapters.journal import FileJournal, state_folder
from reconciler.errors import ReconcilerError

HOLDER = """
import sys
from pathlib import Path
from reconciler.adapters.journal import FileJournal
entry = FileJournal(Path(sys.argv[1])).begin(b"live")
print("begun", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a record; it dies at the end of the block at the latest."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        yield child
        child.kill()


def left(journal: FileJournal) -> list[bytes]:
    """The content of every abandoned record; they stay."""
    found = []
    for content, entry in journal.abandoned():
        found.append(content)
        entry.let_go()
    return found


def test_a_record_is_abandoned_once_nobody_holds_it(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    entry = journal.begin(b"one")
    assert left(FileJournal(tmp_path)) == []
    entry.let_go()
    assert left(journal) == left(journal) == [b"one"]


def test_a_record_may_be_replaced_and_cleared(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    entry = journal.begin(b"one")
    entry.write(b"two" * 100_000)
    assert left(journal) == []
    entry.let_go()
    for content, found in journal.abandoned():
        assert content == b"two" * 100_000
        found.clear()
        found.let_go()
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_comes_first(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    for number in range(5):
        journal.begin(b"%d" % number).let_go()
        (newest,) = (path for path in tmp_path.glob("*.held") if path.read_bytes() == b"%d" % number)
        os.utime(newest, (1_700_000_000 - number, 1_700_000_000 - number))
    assert left(journal) == [b"4", b"3", b"2", b"1", b"0"]


def test_a_live_process_keeps_its_record_and_a_killed_one_leaves_it(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    with another_process(tmp_path) as child:
        assert left(journal) == []
        child.kill()
        child.wait()
        assert left(journal) == [b"live"]


def test_one_who_only_looks_does_not_hide_a_record(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    journal.begin(b"one").let_go()
    looking = journal.abandoned()
    _, entry = next(looking)
    threading.Timer(0.05, entry.let_go).start()
    assert left(FileJournal(tmp_path)) == [b"one"]


def test_what_a_kill_left_before_the_record_was_there_is_swept(tmp_path: Path) -> None:
    for name in ("a.lock", "a.part", "b.lock"):
        (tmp_path / name).write_bytes(b"")
    with another_process(tmp_path):
        before = set(tmp_path.iterdir())
        assert left(FileJournal(tmp_path)) == []
        assert {path.name for path in before - set(tmp_path.iterdir())} == {"a.lock", "a.part", "b.lock"}
        assert len(list(tmp_path.iterdir())) == 2


def test_notes_last(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "not" / "there" / "yet")
    assert journal.recall("restore-x") is None
    journal.remember("restore-x", b"begun")
    journal.remember("restore-x", b"done")
    assert FileJournal(tmp_path / "not" / "there" / "yet").recall("restore-x") == b"done"
    assert left(journal) == []


def test_only_its_user_may_read_it(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "state")
    entry = journal.begin(b"one")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()} == {0o600}
    entry.clear()


def test_a_folder_that_cannot_be_used_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReconcilerError, match="Set RECONCILER_STATE_DIR to a folder on a disk that stays"):
        FileJournal(tmp_path / "file" / "below").begin(b"one")


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_STATE_DIR", str(tmp_path))
    assert state_folder() == tmp_path
    monkeypatch.delenv("RECONCILER_STATE_DIR")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert state_folder() == Path("/var/lib/reconciler")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder() == tmp_path / "reconciler"
