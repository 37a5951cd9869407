"""A restore into a mount: old or new data whole, wherever it fails or dies."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.errors import ReconcilerError, Refused
from reconciler.pipeline.archive import TreeSource
from reconciler.pipeline.mounted import MountSink, clean_up
from tests.trees import Snapshot, snapshot

CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.chown", "os.utime")
DIED, FAILED = 9, 3


def tree(place: Path, text: str, mode: int) -> Path:
    (place / "sub").mkdir(parents=True)
    (place / "sub/file").write_text(text)
    (place / f"only-{text}").write_text(text)
    (place / "both").write_text(text)
    place.chmod(mode)
    for path in (*place.rglob("*"), place):
        os.utime(path, ns=(0, 1_700_000_000_123_456_789 + mode))
    return place


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What is there."""
    return tree(tmp_path / "mount", "old", 0o751)


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """What is restored."""
    return tree(tmp_path / "fresh", "new", 0o2770)


@pytest.fixture
def archive(fresh: Path) -> bytes:
    source = TreeSource(fresh)
    try:
        return b"".join(source.chunks())
    finally:
        source.close()


@pytest.fixture
def sink(place: Path, archive: bytes) -> MountSink:
    sink = MountSink(place, "db:/scratch")
    sink.check(True)
    sink.receive([archive])
    return sink


def whole(place: Path) -> Snapshot:
    """All but the times of the root, which a restore that was killed does not bring back."""
    found = snapshot(place)
    root = min(found)
    return {**found, root: found[root]._replace(mtime_ns=0)}


def in_child(step: int, act: Callable[[], None], code: int) -> int:
    """Run ``act`` in a child that dies, or fails, at its change number ``step``; its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = step

    def watch(event: str, _: object) -> None:
        nonlocal left
        if event in CHANGES:
            left -= 1
            if left == 0 and code == DIED:
                os._exit(DIED)
            if left == 0:
                raise OSError(28, "No space left on device")

    sys.addaudithook(watch)
    try:
        act()
    except ReconcilerError:
        os._exit(FAILED)
    except BaseException:
        os._exit(99)
    os._exit(0)


def test_it_is_swapped_and_the_old_goes_at_the_end(sink: MountSink, place: Path, fresh: Path) -> None:
    assert sink.kept == ""
    sink.commit()
    assert sink.kept == f"{place}/.reconciler-restoring-old"
    sink.finish()
    assert snapshot(place) == snapshot(fresh)


def test_it_comes_back(place: Path, archive: bytes) -> None:
    before = snapshot(place)
    for act in (MountSink.revert, MountSink.abort):
        sink = MountSink(place, "x")
        sink.receive([archive])
        sink.commit()
        act(sink)
        assert snapshot(place) == before
        act(sink)
        assert snapshot(place) == before


def test_what_was_only_unpacked_goes(sink: MountSink, place: Path, tmp_path: Path) -> None:
    sink.abort()
    assert sorted(path.name for path in place.iterdir()) == ["both", "only-old", "sub"]


def test_a_broken_archive_touches_nothing(place: Path, archive: bytes) -> None:
    before = snapshot(place)
    sink = MountSink(place, "db:/scratch")
    with pytest.raises(ReconcilerError):
        sink.receive([archive[: len(archive) // 2]])
    sink.abort()
    assert snapshot(place) == before


def test_data_is_refused_unasked_and_an_empty_mount_is_not(place: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="db:/scratch holds data: --overwrite replaces it"):
        MountSink(place, "db:/scratch").check(False)
    (tmp_path / "empty").mkdir()
    MountSink(tmp_path / "empty", "x").check(False)


def steps(act: Callable[[int], bool]) -> Iterator[int]:
    """1, 2, … until ``act`` says that nothing stood in its way."""
    for step in range(1, 200):
        if act(step):
            return
        yield step
    raise AssertionError("it never ends")


@pytest.mark.parametrize("then", ["commit", "commit, finish", "commit, revert"])
def test_killed_at_any_change_it_is_old_or_new_and_nothing_is_left(
    then: str, tmp_path: Path, archive: bytes, fresh: Path
) -> None:
    old = whole(tree(tmp_path / "before", "old", 0o751))
    killed = 0

    def once(step: int) -> bool:
        nonlocal killed
        place = tree(tmp_path / f"mount{step}", "old", 0o751)
        sink = MountSink(place, "x")
        sink.receive([archive])

        def act() -> None:
            for name in then.split(", "):
                getattr(sink, name)()

        code = in_child(step, act, DIED)
        clean_up(place)
        assert whole(place) in (old, whole(fresh)), step
        clean_up(place)
        assert whole(place) in (old, whole(fresh)), step
        killed += code == DIED
        return code == 0

    assert len(list(steps(once))) == killed > 8


def test_a_recovery_that_is_killed_itself_is_done_by_the_next(
    tmp_path: Path, archive: bytes, fresh: Path
) -> None:
    old = whole(tree(tmp_path / "before", "old", 0o751))
    for first in (3, 6, 8, 11):

        def once(step: int, first: int = first) -> bool:
            place = tree(tmp_path / f"mount{first}-{step}", "old", 0o751)
            sink = MountSink(place, "x")
            sink.receive([archive])
            in_child(first, sink.commit, DIED)
            code = in_child(step, lambda: clean_up(place), DIED)
            clean_up(place)
            assert whole(place) in (old, whole(fresh)), (first, step)
            return code == 0

        assert list(steps(once))


def test_an_error_at_any_change_of_the_swap_brings_the_old_data_back(tmp_path: Path, archive: bytes) -> None:
    old = whole(tree(tmp_path / "before", "old", 0o751))

    def once(step: int) -> bool:
        place = tree(tmp_path / f"mount{step}", "old", 0o751)
        sink = MountSink(place, "x")
        sink.receive([archive])
        code = in_child(step, sink.commit, FAILED)
        if code == FAILED:
            assert whole(place) == old, step
        return code == 0

    assert len(list(steps(once))) > 8


def test_a_link_in_the_place_of_a_hidden_folder_is_not_followed(place: Path, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host/file").write_text("host")
    for name in ("moving", "old"):
        (place / f".reconciler-restoring-{name}").symlink_to(tmp_path / "host")
    clean_up(place)
    assert (tmp_path / "host/file").read_text() == "host"
    assert (place / "only-old").exists()
