"""``file://``: what a local disk can do to a backup."""

import errno
import os
import stat
from pathlib import Path

import pytest

from reconciler.adapters import direct
from reconciler.errors import Missing, StoreError, Unreachable
from reconciler.ports import Store
from tests.contracts.places import destination, keys, opened, read, write
from tests.destinations.conftest import Mount


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "copies"


@pytest.fixture
def store(root: Path) -> Store:
    return opened(destination(f"file://{root}"))


def test_the_folder_is_made_at_the_first_write_and_for_us_alone(root: Path, store: Store) -> None:
    assert keys(store) == []
    assert not root.exists()
    store.put("daily/x", b"1")
    for path in (root, root / "daily"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "daily" / "x").stat().st_mode) == 0o600


def test_without_the_folder_above_it_is_not_mounted(root: Path) -> None:
    store = opened(destination(f"file://{root}/deeper"))
    for use in (
        lambda: keys(store),
        lambda: store.put("x", b""),
        lambda: store.read("x"),
        lambda: store.delete("x"),
    ):
        with pytest.raises(
            Unreachable, match=r"there is no folder .*; mount the disk, or make the folder: mkdir -p"
        ):
            use()


def test_a_file_is_no_folder(root: Path, store: Store) -> None:
    root.write_text("I am a file")
    for use in (lambda: keys(store), lambda: store.put("x", b"")):
        with pytest.raises(Unreachable, match="not a directory"):
            use()


@pytest.mark.parametrize("url", ["file://relative/folder", "file://", "file://."])
def test_a_relative_folder_is_refused(url: str) -> None:
    with pytest.raises(Unreachable, match="names no absolute folder"):
        opened(destination(url))


def test_links_are_neither_listed_nor_followed(root: Path, store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("not ours")
    store.put("daily/x", b"1")
    (root / "linked").symlink_to(outside)
    (root / "daily" / "link").symlink_to(outside / "secret")
    (root / "daily" / "loop").symlink_to(root)
    os.mkfifo(root / "daily" / "fifo")
    assert keys(store) == ["daily/x"]
    for use in (
        lambda: store.read("linked/secret"),
        lambda: store.read("daily/link"),
        lambda: store.put("linked/y", b""),
    ):
        with pytest.raises(StoreError, match=r"link|not a directory"):
            use()
    store.delete("daily/link")
    store.put("daily/loop", b"replaced")
    assert (outside / "secret").read_text() == "not ours"
    assert not (root / "daily" / "loop").is_symlink()
    assert os.listdir(outside) == ["secret"]


def test_a_part_file_that_is_a_link_is_not_written_through(root: Path, store: Store, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("not ours")
    store.put("daily/x", b"1")
    (root / "daily" / "y.part").symlink_to(target)
    with pytest.raises(StoreError, match="a link stands where a file should be"):
        store.put("daily/y", b"2")
    assert target.read_text() == "not ours"


def test_names_that_are_not_utf8_are_shown_and_disturb_nothing(root: Path, store: Store) -> None:
    store.put("daily/x", b"1")
    (root / os.fsdecode(b"caf\xe9")).write_text("foreign")
    assert keys(store) == ["caf\\xe9", "daily/x"]


def test_lost_and_found_is_not_looked_into(root: Path, store: Store) -> None:
    store.put("daily/x", b"1")
    (root / "lost+found").mkdir()
    (root / "lost+found" / "#123").write_text("found")
    assert keys(store) == ["daily/x"]


def test_a_folder_is_not_deleted_as_an_object(root: Path, store: Store) -> None:
    store.put("daily/x", b"1")
    with pytest.raises(
        StoreError, match="delete daily: is a directory; a folder stands where a file should be"
    ):
        store.delete("daily")
    with pytest.raises(Missing):
        store.read("weekly/x")
    assert keys(store) == ["daily/x"]


def test_two_writers_of_one_object_do_not_mix(root: Path, store: Store) -> None:
    first = store.create("daily/x")
    first.write(b"first")
    for use in (lambda: store.create("daily/x"), lambda: store.abandon("daily/x")):
        with pytest.raises(StoreError, match="another run is writing it now"):
            use()
    first.commit()
    assert store.get("daily/x") == b"first"
    assert keys(store) == ["daily/x"]


def test_leftovers_are_listed_and_abandoned(root: Path, store: Store) -> None:
    store.put("daily/x", b"1")
    (root / "daily" / "y.part").write_bytes(b"half")
    assert keys(store) == ["daily/x", "daily/y.part"]
    store.abandon("daily/y")
    store.abandon("daily/y")
    assert keys(store) == ["daily/x"]


def test_a_full_disk(root: Path, store: Store, mount: Mount) -> None:
    mount(root, "size=4m")
    store.put("daily/good", b"kept")
    with pytest.raises(
        StoreError, match="there: write daily/x: no space left on device; free space there"
    ) as caught:
        write(store, "daily/x", bytes(6 << 20), 100_000)
    assert not isinstance(caught.value, Unreachable)
    assert keys(store) == ["daily/good"]
    write(store, "daily/x", bytes(3 << 20))
    assert read(store, "daily/x") == bytes(3 << 20)


def test_a_disk_without_room_for_another_file(root: Path, store: Store, mount: Mount) -> None:
    mount(root, "size=4m,nr_inodes=3")
    store.put("daily/x", b"1")
    with pytest.raises(StoreError, match="create daily/y: no space left on device"):
        store.put("daily/y", b"2")
    assert keys(store) == ["daily/x"]


def test_a_read_only_disk(root: Path, store: Store, mount: Mount) -> None:
    mount(root, "size=4m")
    store.put("daily/x", b"kept")
    mount(root, "remount,ro")
    for key in ("daily/x", "daily/y", "weekly/y"):
        with pytest.raises(StoreError, match="read-only file system; mount it writable"):
            store.put(key, b"")
    with pytest.raises(StoreError, match="read-only file system; mount it writable"):
        store.delete("daily/x")
    assert keys(store) == ["daily/x"]
    assert store.get("daily/x") == b"kept"


def test_a_file_that_lost_bytes_is_not_published(root: Path, store: Store) -> None:
    writer = store.create("daily/x")
    writer.write(bytes(direct.SIZE))
    os.truncate(root / "daily" / "x.part", 3)
    with pytest.raises(StoreError, match=f"{direct.SIZE} bytes were written, 3 are there"):
        writer.commit()
    writer.discard()
    assert keys(store) == []


def test_a_filesystem_that_knows_no_files_without_a_name(
    root: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As FAT and network mounts: claims are tried all the same, and whoever makes one looks again."""
    real = os.open

    def refusing(path: str, flags: int, *rest: int, **more: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not supported")
        return real(path, flags, *rest, **more)

    monkeypatch.setattr("reconciler.destinations.file.os.open", refusing)
    assert store.claim("daily/x", b"1")
    assert not store.claim("daily/x", b"2")
    assert (store.exclusive, store.get("daily/x"), keys(store)) == (False, b"1", ["daily/x"])
