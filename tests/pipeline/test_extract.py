"""Restores go beside and are swapped in: whole trees come back, and whatever fails leaves the old data."""

import io
import os
import signal
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.errors import Corrupt, ReconcilerError, Refused, SourceError
from reconciler.pipeline import swap
from reconciler.pipeline.archive import TreeSource
from reconciler.pipeline.extract import TreeSink
from tests.descent import children
from tests.parts.process import need_root
from tests.trees import build_nasty_tree, differences, snapshot


def packed(root: Path) -> bytes:
    source = TreeSource(root)
    try:
        data = b"".join(source.chunks())
        source.finish()
        return data
    finally:
        source.close()


def pieces(data: bytes, size: int = 100_000) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def restore(data: bytes, place: Path, *, overwrite: bool = False) -> None:
    sink = TreeSink(place)
    sink.check(overwrite)
    sink.receive(pieces(data))
    sink.commit()
    sink.finish()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A target that holds data already."""
    place = tmp_path / "place"
    (place / "sub").mkdir(parents=True)
    (place / "sub/old").write_text("old data")
    return place


@pytest.fixture
def fresh(tmp_path: Path) -> bytes:
    """An archive with other data."""
    (tmp_path / "fresh").mkdir()
    (tmp_path / "fresh/new").write_text("new data")
    return packed(tmp_path / "fresh")


def test_a_hostile_tree_comes_back(tmp_path: Path) -> None:
    build_nasty_tree(tmp_path / "tree")
    before = snapshot(tmp_path / "tree")
    restore(packed(tmp_path / "tree"), tmp_path / "parent" / "made" / "restored")
    after = snapshot(tmp_path / "parent" / "made" / "restored")
    assert before == after, "\n".join(differences(before, after))


def test_a_tree_replaces_an_older_one(old: Path, fresh: bytes, tmp_path: Path) -> None:
    restore(fresh, old, overwrite=True)
    assert snapshot(old) == snapshot(tmp_path / "fresh")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "place"]


def test_a_place_with_data_is_refused(old: Path) -> None:
    with pytest.raises(Refused, match="holds data: --overwrite replaces it"):
        TreeSink(old).check(False)


@pytest.mark.parametrize("empty", [True, False])
def test_an_empty_or_missing_folder_needs_no_permission(tmp_path: Path, fresh: bytes, empty: bool) -> None:
    if empty:
        (tmp_path / "place").mkdir()
    restore(fresh, tmp_path / "place")
    assert (tmp_path / "place/new").read_text() == "new data"


def test_a_link_is_followed_to_its_folder(old: Path, fresh: bytes, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(old)
    restore(fresh, tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (old / "new").read_text() == "new data"


@pytest.mark.parametrize("below", [False, True])
def test_a_mount_point_is_refused(tmp_path: Path, below: bool) -> None:
    need_root("mounting")
    mount = tmp_path / "place" / "with space" if below else tmp_path / "place"
    mount.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mount], check=True)
    try:
        with pytest.raises(Refused, match="is a mount point"):
            TreeSink(tmp_path / "place").check(True)
    finally:
        subprocess.run(["umount", mount], check=True)


def test_a_cut_archive_leaves_the_old_data(old: Path, fresh: bytes, tmp_path: Path) -> None:
    before = snapshot(old)
    end = len(fresh.rstrip(b"\0"))
    for cut in (0, 100, 512, 1500, end, end + 100):
        sink = TreeSink(old)
        sink.check(True)
        with pytest.raises(ReconcilerError):
            sink.receive(pieces(fresh[:cut]))
        sink.abort()
        sink.abort()
    assert snapshot(old) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "place"]


def test_a_source_that_fails_leaves_the_old_data(old: Path, fresh: bytes, tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield fresh[:2000]
        raise Corrupt("the artifact is rotten")

    before, sink = snapshot(old), TreeSink(old)
    with pytest.raises(Corrupt, match="rotten"):
        sink.receive(failing())
    sink.abort()
    assert snapshot(old) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "place"]


def test_a_killed_tar_leaves_the_old_data(old: Path, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(8 << 20))

    def killing() -> Iterator[bytes]:
        for number, piece in enumerate(pieces(packed(tmp_path / "large"))):
            if number == 20:
                found = children(os.getpid())
                [tar] = [pid for pid in found if Path(f"/proc/{pid}/comm").read_text() == "tar\n"]
                os.kill(tar, signal.SIGKILL)
            yield piece

    before, sink = snapshot(old), TreeSink(old)
    with pytest.raises(ReconcilerError, match="SIGKILL"):
        sink.receive(killing())
    sink.abort()
    assert snapshot(old) == before


def test_a_full_disk_leaves_the_old_data(tmp_path: Path) -> None:
    need_root("mounting")
    (tmp_path / "large").write_bytes(os.urandom(8 << 20))
    data = packed(tmp_path / "large")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], check=True)
    try:
        (small / "place").mkdir()
        (small / "place/old").write_text("old")
        before, sink = snapshot(small), TreeSink(small / "place")
        with pytest.raises(ReconcilerError, match="0 MiB are free there"):
            sink.receive(pieces(data))
        sink.abort()
        assert snapshot(small)[b"place/old"] == before[b"place/old"]
        assert before.keys() == snapshot(small).keys()
    finally:
        subprocess.run(["umount", small], check=True)


def test_what_a_killed_restore_left_is_removed_by_the_next(old: Path, fresh: bytes, tmp_path: Path) -> None:
    sink = TreeSink(old)
    sink.receive(pieces(fresh))
    sink._swap._let_go()  # the process dies here
    assert len(list(tmp_path.iterdir())) == 4  # what is unpacked, and the lock, too
    restore(fresh, old, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "place"]


def test_two_restores_to_one_place_do_not_mix(old: Path, fresh: bytes, tmp_path: Path) -> None:
    """The second one begins while the first one has unpacked and not yet put in place; it waits."""
    first, second = TreeSink(old), TreeSink(old)
    first.receive(pieces(fresh))
    other = packed(old)

    def follow() -> None:
        second.receive(pieces(other))
        second.commit()
        second.finish()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    first.commit()
    first.finish()
    thread.join(20)
    assert (old / "sub/old").read_text() == "old data"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "place"]


def test_a_restore_that_waited_replaces_nothing_unasked(fresh: bytes, tmp_path: Path) -> None:
    first, second = TreeSink(tmp_path / "place"), TreeSink(tmp_path / "place")
    second.check(False)
    first.receive(pieces(fresh))
    first.commit()
    first.finish()
    with pytest.raises(Refused):
        second.receive(pieces(fresh))
    second.abort()
    assert snapshot(tmp_path / "place") == snapshot(tmp_path / "fresh")


class TestWithoutExchange:
    """File systems that cannot exchange two names in one step."""

    @pytest.fixture(autouse=True)
    def _no_exchange(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(swap, "_exchange", lambda one, other: False)

    def test_a_tree_replaces_an_older_one(self, old: Path, fresh: bytes, tmp_path: Path) -> None:
        restore(fresh, old, overwrite=True)
        assert snapshot(old) == snapshot(tmp_path / "fresh")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "place"]

    def test_a_failure_between_the_steps_puts_the_old_data_back(self, old: Path, fresh: bytes) -> None:
        before, sink = snapshot(old), TreeSink(old)
        sink.receive(pieces(fresh))
        subprocess.run(["rm", "-r", sink._swap.staging], check=True)
        with pytest.raises(ReconcilerError, match="could not be put in place"):
            sink.commit()
        assert snapshot(old) == before

    def test_a_kill_between_the_steps_is_undone_by_the_next_check(self, old: Path, fresh: bytes) -> None:
        before, sink = snapshot(old), TreeSink(old)
        sink.receive(pieces(fresh))
        old.rename(sink._swap.old)  # and the process dies here
        with pytest.raises(Refused):
            TreeSink(old).check(False)
        assert snapshot(old) == before

    def test_old_data_that_a_kill_left_aside_outlives_a_restore_that_fails(
        self, old: Path, fresh: bytes, tmp_path: Path
    ) -> None:
        before, sink = snapshot(old), TreeSink(old)
        sink.receive(pieces(fresh))
        old.rename(sink._swap.old)
        sink._swap.unlock()  # the process dies here, and the application makes its folder anew
        old.mkdir()
        again = TreeSink(old)
        again.check(False)
        with pytest.raises(ReconcilerError):
            again.receive(pieces(fresh[:1500]))
        again.abort()
        assert snapshot(sink._swap.old) == before
        restore(fresh, old)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "place"]


class TestOneFile:
    """Archives that hold one file and no tree."""

    @pytest.fixture
    def one(self, tmp_path: Path) -> bytes:
        (tmp_path / "shop.db").write_bytes(b"new database")
        os.utime(tmp_path / "shop.db", ns=(1, 1_700_000_000_123_456_789))
        return packed(tmp_path / "shop.db")

    def test_it_replaces_the_file(self, tmp_path: Path, one: bytes) -> None:
        place = tmp_path / "elsewhere.db"
        place.write_bytes(b"old database")
        with pytest.raises(Refused):
            restore(one, place)
        assert place.read_bytes() == b"old database"
        restore(one, place, overwrite=True)
        assert place.read_bytes() == b"new database"
        assert place.stat().st_mtime_ns == 1_700_000_000_123_456_789
        assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere.db", "shop.db"]

    def test_it_comes_back_where_nothing_is(self, tmp_path: Path, one: bytes) -> None:
        restore(one, tmp_path / "made" / "shop.db")
        assert (tmp_path / "made" / "shop.db").read_bytes() == b"new database"

    def test_it_goes_into_a_folder(self, tmp_path: Path, one: bytes) -> None:
        (tmp_path / "folder").mkdir(mode=0o750)
        restore(one, tmp_path / "folder")
        assert (tmp_path / "folder" / "shop.db").read_bytes() == b"new database"
        assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def crafted(*members: tuple[str, bytes, str, bytes]) -> bytes:
    """A tar of (name, type, link target, content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, target, content in [("./", tarfile.DIRTYPE, "", b""), *members]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size, info.mode = kind, target, len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


FILE, LINK, HARD, FOLDER = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


@pytest.mark.parametrize(
    "members",
    [
        [("OUT/evil", FILE, "", b"evil")],
        [("../evil", FILE, "", b"evil")],
        [("./a/../../evil", FILE, "", b"evil")],
        [("./link", LINK, "OUT", b""), ("./link/evil", FILE, "", b"evil")],
        [("./link", LINK, "..", b""), ("./link/evil", FILE, "", b"evil")],
        [("./link", LINK, "OUT", b""), ("./link", FOLDER, "", b""), ("./link/evil", FILE, "", b"evil")],
        [("./a", LINK, ".", b""), ("./a/b", LINK, "..", b""), ("./a/b/evil", FILE, "", b"evil")],
        [("./link", LINK, "OUT/victim", b""), ("./link", FILE, "", b"evil")],
        [("./hard", HARD, "OUT/victim", b""), ("./hard", FILE, "", b"evil")],
        [("./hard", HARD, "../outside/victim", b"")],
        [("./link", LINK, "OUT", b""), ("./hard", HARD, "./link/victim", b""), ("./hard", FILE, "", b"evil")],
        [("./one", LINK, "two", b""), ("./two", LINK, "OUT", b""), ("./one/evil", FILE, "", b"evil")],
    ],
)
def test_a_hostile_archive_stays_inside(
    tmp_path: Path, old: Path, members: list[tuple[str, bytes, str, bytes]]
) -> None:
    """Whether it is refused or unpacked harmlessly: nothing outside changes, and no restored file is one from outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("victim")
    before = snapshot(outside)
    placed = [
        (name.replace("OUT", str(outside)), k, to.replace("OUT", str(outside)), c)
        for name, k, to, c in members
    ]
    sink = TreeSink(old)
    try:
        sink.check(True)
        sink.receive(pieces(crafted(*placed)))
        sink.commit()
        sink.finish()
    except ReconcilerError:
        sink.abort()
        assert (old / "sub/old").read_text() == "old data"
    assert snapshot(outside) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "place"]
    inode = (outside / "victim").stat().st_ino
    assert all(path.lstat().st_ino != inode for path in old.rglob("*"))


def test_a_device_that_is_overwritten_is_not_written_to(tmp_path: Path) -> None:
    """A node is a part of a tree; a file of the same name after it replaces it and does not go into the device."""
    need_root("device nodes")
    node = tarfile.TarInfo("./disk")
    node.type, node.devmajor, node.devminor = tarfile.CHRTYPE, 1, 3
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(node)
    data = crafted(("./x", FILE, "", b"x"))
    joined = data[:512] + buffer.getvalue()[:512] + crafted(("./disk", FILE, "", b"content"))[512:]
    restore(joined, tmp_path / "place")
    assert (tmp_path / "place/disk").is_file()
    assert (tmp_path / "place/disk").read_bytes() == b"content"


def test_what_is_no_tar_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        TreeSink(tmp_path / "place").receive([b"not a tar at all" * 1000])
