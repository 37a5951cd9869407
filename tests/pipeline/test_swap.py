"""Old data comes back, or goes, whatever interrupts a swap and wherever; on file systems with and without an exchange."""

import contextlib
import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.adapters.lock import hold
from reconciler.errors import ReconcilerError
from reconciler.pipeline import swap
from reconciler.pipeline.archive import TreeSource
from reconciler.pipeline.extract import TreeSink, clean_up
from reconciler.pipeline.swap import Swap
from tests.trees import snapshot


def packed(place: Path) -> bytes:
    source = TreeSource(place)
    try:
        return b"".join(source.chunks())
    finally:
        source.close()


def tree(place: Path, text: str) -> Path:
    (place / "sub").mkdir(parents=True)
    (place / "sub/file").write_text(text)
    (place / text).write_text(text)
    return place


@pytest.fixture(params=["in one step", "in two steps"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "in two steps":
        monkeypatch.setattr(swap, "_exchange", lambda one, other: False)


@pytest.fixture(params=["tree", "file"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What is there; the archive that replaces it is of the same kind."""
    place = tmp_path / "in/place"
    if request.param == "tree":
        return tree(place, "old")
    place.parent.mkdir()
    place.write_text("old")
    return place


@pytest.fixture
def fresh(old: Path, tmp_path: Path) -> Path:
    if old.is_dir():
        return tree(tmp_path / "fresh", "new")
    (tmp_path / "fresh").write_text("new")
    return tmp_path / "fresh"


@pytest.fixture
def sink(old: Path, fresh: Path) -> TreeSink:
    sink = TreeSink(old)
    sink.check(True)
    sink.receive([packed(fresh)])
    return sink


def content(place: Path) -> object:
    return snapshot(place) if place.is_dir() else place.read_text()


def alone(place: Path) -> bool:
    return [path.name for path in place.parent.iterdir()] == [place.name]


def test_the_old_data_is_kept_until_the_end(sink: TreeSink, old: Path, fresh: Path) -> None:
    sink.commit()
    assert content(old) == content(fresh)
    assert not alone(old)
    sink.finish()
    assert content(old) == content(fresh)
    assert alone(old)


def test_it_comes_back(sink: TreeSink, old: Path) -> None:
    before = content(old)
    sink.commit()
    sink.revert()
    assert content(old) == before
    assert alone(old)


def test_where_there_was_nothing_there_is_nothing_again(old: Path, fresh: Path) -> None:
    place = old.parent.parent / "made/here"
    sink = TreeSink(place)
    sink.check(False)
    sink.receive([packed(fresh)])
    sink.commit()
    assert content(place) == content(fresh)
    sink.revert()
    assert list(place.parent.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "broken")])
@pytest.mark.parametrize("step", ["_sync_folder", "_exchange", "rename"])
def test_whatever_ends_the_swap_the_old_data_is_back(
    sink: TreeSink, old: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    before = content(old)
    with monkeypatch.context() as patched:
        if step == "rename":
            patched.setattr(Path, "rename", failing_second(Path.rename, error))
        else:
            patched.setattr(swap, step, raising(error))
        with contextlib.suppress(KeyboardInterrupt, ReconcilerError):
            sink.commit()  # in one step there is no second rename to fail
    sink.abort()
    assert content(old) == before
    assert alone(old)


def raising(error: BaseException) -> Callable[..., None]:
    def call(*_arguments: object) -> None:
        raise error

    return call


def failing_second(
    rename: Callable[[Path, Path], Path], error: BaseException
) -> Callable[[Path, Path], Path]:
    calls: list[Path] = []

    def call(self: Path, to: Path) -> Path:
        calls.append(self)
        if len(calls) == 2:
            raise error
        return rename(self, to)

    return call


class TestAfterAKill:
    """What recovery makes of the folder of a process that died."""

    def died(self, sink: TreeSink) -> None:
        sink._swap._let_go()

    def test_while_it_unpacked(self, sink: TreeSink, old: Path) -> None:
        before = content(old)
        self.died(sink)
        clean_up(old)
        assert content(old) == before
        assert alone(old)

    def test_between_the_steps(self, sink: TreeSink, old: Path) -> None:
        before = content(old)
        self.died(sink)
        old.rename(sink._swap.old)
        clean_up(old)
        assert content(old) == before
        assert alone(old)

    def test_between_the_steps_with_something_new_in_the_place(self, sink: TreeSink, old: Path) -> None:
        before = content(old)
        self.died(sink)
        old.rename(sink._swap.old)
        old.mkdir()  # by an application that missed it
        clean_up(old)
        assert content(sink._swap.old) == before

    def test_after_the_swap(self, sink: TreeSink, old: Path, fresh: Path) -> None:
        sink.commit()
        self.died(sink)
        clean_up(old)
        assert content(old) == content(fresh)
        assert alone(old)

    def test_while_it_was_taken_back(self, sink: TreeSink, old: Path) -> None:
        before = content(old)
        sink.commit()
        sink._swap.undo()
        self.died(sink)
        clean_up(old)
        assert content(old) == before
        assert alone(old)

    def test_a_restore_that_lives_is_left_alone(self, sink: TreeSink, old: Path, fresh: Path) -> None:
        clean_up(old)
        sink.commit()
        sink.finish()
        assert content(old) == content(fresh)

    def test_nothing_is_left(self, tmp_path: Path) -> None:
        clean_up(tmp_path / "never/made")
        clean_up(tmp_path / "place")
        assert list(tmp_path.glob("*restoring*")) == []


def test_old_data_that_cannot_go_back_is_named(
    sink: TreeSink, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(old)
    sink.commit()
    kept = sink._swap.kept
    assert kept is not None
    with monkeypatch.context() as patched:
        patched.setattr(swap, "_exchange", raising(OSError(errno.EIO, "broken")))
        with pytest.raises(ReconcilerError, match=f"broken; it lies in {kept}"):
            sink.revert()
    assert content(kept) == before


def test_the_lock_waits_for_nobody_when_asked_not_to(tmp_path: Path) -> None:
    one, other = Swap(tmp_path / "a"), Swap(tmp_path / "a")
    assert one.lock()
    assert not other.lock(wait=False)
    one.unlock()
    assert other.lock(wait=False)
    other.unlock()


def test_the_lock_of_the_folder_is_another_one(tmp_path: Path) -> None:
    swap = Swap(tmp_path / "place")
    with hold(tmp_path):  # the specs of whoever restores may lie in the same folder
        assert swap.lock()
    swap.unlock()
    assert list(tmp_path.iterdir()) == []
