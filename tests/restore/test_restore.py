"""Restores over real stores into real folders: whatever is wrong with the copies, the target is whole or as it was."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from reconciler.errors import Corrupt, ReconcilerError, Refused, StoreError
from reconciler.model import Codec
from reconciler.naming import manifest_key
from reconciler.observe import destinations
from reconciler.pipeline.archive import TreeSource
from reconciler.pipeline.extract import TreeSink
from reconciler.pipeline.sink import PlainSink
from reconciler.ports import Sink
from reconciler.restore import Restored, choose, read_manifest, restore
from reconciler.restore.sinks import FileSink, StdoutSink
from tests.faults.ports import Fault, FaultyStore, Site, Switch
from tests.faults.world import KEY, NOW, OLDER, SHOP, Places
from tests.trees import differences, snapshot
from tests.ways import way_to

FLIPS = 60


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small tree."""
    tree = tmp_path / "source"
    (tree / "folder").mkdir(parents=True)
    (tree / "folder" / "text").write_text("some words\n" * 300)
    (tree / "binary").write_bytes(bytes(range(256)) * 8)
    (tree / "link").symlink_to("binary")
    return tree


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """What the target holds before the restore."""
    folder = tmp_path / "target"
    folder.mkdir()
    (folder / "old").write_text("old data")
    return folder


def tar(tree: Path) -> bytes:
    reading = TreeSource(tree)
    content = b"".join(reading.chunks())
    reading.finish()
    reading.close()
    return content


def bring_back(places: Places, sink: Sink, key: str = KEY) -> Restored:
    """Restore the newest artifact."""
    choice = choose(places.fleet, destinations(places.fleet, places.world, {}), "shop", NOW)
    assert choice.artifact.key == key
    return restore(choice, way_to(sink, places.world), places.fleet, places.world)


def swapped(content: bytes, position: int) -> bytes:
    """``content`` with one bit flipped."""
    changed = bytearray(content)
    changed[position] ^= 0x10
    return bytes(changed)


def nothing_beside(target: Path) -> bool:
    return sorted(path.name for path in target.parent.iterdir()) == ["source", "target"]


def test_a_good_copy_comes_back_whole(source: Path, old: Path) -> None:
    places = Places("a")
    places.hold("a", KEY, tar(source))
    done = bring_back(places, TreeSink(old))
    assert (done.destination, done.warnings) == ("a", ())
    assert differences(snapshot(source), snapshot(old)) == []
    assert nothing_beside(old)


@pytest.mark.parametrize("codec", ["zstd", "gzip", "none"])
def test_a_bit_flipped_anywhere_leaves_the_target_as_it_was(source: Path, old: Path, codec: Codec) -> None:
    places = Places("a")
    places.hold("a", KEY, tar(source), codec)
    whole, before = places.content["a"][KEY], snapshot(old)
    for position in range(0, len(whole), max(1, len(whole) // FLIPS)):
        places.content["a"][KEY] = swapped(whole, position)
        with pytest.raises(Corrupt, match="the target is as it was"):
            bring_back(places, TreeSink(old))
        assert differences(before, snapshot(old)) == [], position
    assert nothing_beside(old)


@pytest.mark.parametrize("codec", ["zstd", "gzip", "none"])
def test_a_rotten_copy_is_passed_over_with_a_warning(source: Path, old: Path, codec: Codec) -> None:
    places = Places("ab")
    for name in "ab":
        places.hold(name, KEY, tar(source), codec)
    whole = places.content["a"][KEY]
    for position in range(0, len(whole), max(1, len(whole) // 10)):
        places.content["a"][KEY] = swapped(whole, position)
        done = bring_back(places, TreeSink(old))
        assert (done.destination, len(done.warnings)) == ("b", 1)
        assert done.warnings[0].startswith("a: ")
        assert differences(snapshot(source), snapshot(old)) == []
    assert nothing_beside(old)


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_copy_cut_short_everywhere_is_refused(source: Path, old: Path, cut: int) -> None:
    places = Places("a")
    places.hold("a", KEY, tar(source))
    places.content["a"][KEY] = places.content["a"][KEY][:cut]
    before = snapshot(old)
    with pytest.raises(Corrupt if cut else Refused):
        bring_back(places, TreeSink(old))
    assert differences(before, snapshot(old)) == []


def test_a_bomb_is_stopped_at_the_size_of_its_manifest(tmp_path: Path) -> None:
    places = Places("a")
    places.hold("a", KEY, bytes(200 << 20), source_size=1 << 20)
    assert len(places.content["a"][KEY]) < 100_000
    place = tmp_path / "file"
    with pytest.raises(Corrupt, match="unpacks to more than the 1048576 bytes of its manifest"):
        bring_back(places, FileSink(place))
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_that_promises_more_than_there_is(tmp_path: Path) -> None:
    places = Places("a")
    places.hold("a", KEY, b"short", source_size=100)
    with pytest.raises(Corrupt, match="95 bytes less"):
        bring_back(places, FileSink(tmp_path / "file"))
    assert list(tmp_path.iterdir()) == []


def test_a_compression_that_is_not_known(tmp_path: Path) -> None:
    places = Places("a")
    places.hold("a", KEY, b"x", compression="lzma")
    with pytest.raises(Corrupt, match="'lzma', which this version does not know"):
        bring_back(places, FileSink(tmp_path / "file"))


def test_a_manifest_that_is_no_json_is_told_and_the_other_copy_taken(tmp_path: Path) -> None:
    places = Places("ab")
    places.hold("a", KEY, b"content")
    places.hold("b", KEY, b"content")
    places.content["a"][manifest_key(KEY)] = b"<" * len(places.content["b"][manifest_key(KEY)])
    done = bring_back(places, FileSink(tmp_path / "file"))
    assert done.destination == "b"
    assert "is not readable" in done.warnings[0]
    assert (tmp_path / "file").read_bytes() == b"content"


def test_with_no_readable_manifest_the_restore_says_so() -> None:
    places = Places("a")
    places.hold("a", KEY, b"content")
    places.content["a"][manifest_key(KEY)] = b"<html>"
    choice = choose(places.fleet, destinations(places.fleet, places.world, {}), "shop", NOW)
    with pytest.raises(Corrupt, match=r"no readable manifest: a: the manifest of .* is not readable"):
        read_manifest(choice, places.fleet, places.world)


@pytest.mark.parametrize("method", ["get", "read", "read on"])
def test_a_destination_that_fails_on_the_way_is_passed_over(source: Path, old: Path, method: str) -> None:
    places = Places("ab")
    for name in "ab":
        places.hold(name, KEY, tar(source))
    subject = manifest_key(KEY) if method == "get" else KEY
    places.stores["a"] = FaultyStore(
        places.stores["a"], "a", Switch(Site("a", method, subject, 0), Fault("error"))
    )
    done = bring_back(places, TreeSink(old))
    assert done.destination == "b"
    assert "planned" in done.warnings[0]
    assert differences(snapshot(source), snapshot(old)) == []


class Full(PlainSink):
    """A staged sink whose disk is full: not the fault of any copy."""

    staged = True

    def __init__(self) -> None:
        self.tries = 0
        self.aborted = 0

    def check(self, overwrite: bool) -> None: ...

    def receive(self, chunks: Iterable[bytes]) -> None:
        self.tries += 1
        raise ReconcilerError("no space left")

    def commit(self) -> None:
        raise AssertionError("nothing to commit")

    def abort(self) -> None:
        self.aborted += 1


def test_what_is_the_sinks_fault_is_tried_once() -> None:
    places = Places("ab")
    for name in "ab":
        places.hold(name, KEY, b"content")
    sink = Full()
    with pytest.raises(ReconcilerError, match="no space left"):
        bring_back(places, sink)
    assert (sink.tries, sink.aborted) == (1, 1)


Captured = pytest.CaptureFixture[bytes]
CONTENT = b"content" * 1_000_000


def test_stdout_gets_the_plain_bytes(capfdbinary: Captured) -> None:
    places = Places("a")
    places.hold("a", KEY, CONTENT)
    bring_back(places, StdoutSink())
    assert digest(capfdbinary) == digest_of(CONTENT)


def test_stdout_gets_nothing_of_a_rotten_copy_not_even_its_good_beginning(capfdbinary: Captured) -> None:
    places = Places("a")
    places.hold("a", KEY, CONTENT, "none")
    places.content["a"][KEY] = swapped(places.content["a"][KEY], -1)
    with pytest.raises(Corrupt):
        bring_back(places, StdoutSink())
    assert digest(capfdbinary) == digest_of(b"")


def test_stdout_gets_the_second_copy_when_the_first_fails_before_anything_went_out(
    capfdbinary: Captured,
) -> None:
    places = failing_read(1)
    assert bring_back(places, StdoutSink()).destination == "b"
    assert digest(capfdbinary) == digest_of(CONTENT)


def test_stdout_never_gets_a_second_copy_after_a_part_of_the_first(capfdbinary: Captured) -> None:
    places = failing_read(11)  # the first eight reads verify
    with pytest.raises(StoreError, match="planned"):
        bring_back(places, StdoutSink())
    size, _ = digest(capfdbinary)
    assert 0 < size < len(CONTENT)


def failing_read(number: int) -> Places:
    """Two copies; a read at ``a`` fails."""
    places = Places("ab")
    for name in "ab":
        places.hold(name, KEY, CONTENT, "none")
    switch = Switch(Site("a", "read on", KEY, number), Fault("error"))
    places.stores["a"] = FaultyStore(places.stores["a"], "a", switch)
    return places


def digest(captured: Captured) -> tuple[int, str]:
    """Of what went to stdout: so that a failing test does not print megabytes."""
    return digest_of(captured.readouterr().out)


def digest_of(content: bytes) -> tuple[int, str]:
    return len(content), hashlib.sha256(content).hexdigest()


def test_at_a_time() -> None:
    places = Places("a")
    places.hold("a", KEY, b"new")
    places.hold("a", OLDER, b"old")
    listings = destinations(places.fleet, places.world, {})
    assert choose(places.fleet, listings, "shop", NOW).artifact.key == KEY
    before = NOW.replace(hour=2, minute=59)
    assert choose(places.fleet, listings, "shop/files", before).artifact.key == OLDER
    with pytest.raises(
        Refused, match="made at or before 2026-01-18T030000Z; the oldest is 2026-01-19T030000Z"
    ):
        choose(places.fleet, listings, "shop", NOW.replace(day=18))


def test_from_a_destination_and_the_order_of_the_others() -> None:
    places = Places("abc")
    for name in "abc":
        places.hold(name, KEY, b"content")
    where = tuple(
        msgspec.structs.replace(item, url="file:///b") if item.name == "b" else item
        for item in places.fleet.destinations
    )
    fleet = msgspec.structs.replace(places.fleet, destinations=where)
    listings = destinations(places.fleet, places.world, {})
    assert [name for name, _ in choose(fleet, listings, "shop", NOW).copies] == ["b", "a", "c"]
    assert [name for name, _ in choose(fleet, listings, "shop", NOW, "c").copies] == ["c"]


def test_the_newest_copy_that_is_broken_everywhere_gives_way_to_an_older_good_one() -> None:
    places = Places("ab")
    for name in "ab":
        places.hold(name, OLDER, b"old")
        places.hold(name, KEY, b"new")
        del places.content[name][KEY]
    choice = choose(places.fleet, destinations(places.fleet, places.world, {}), "shop", NOW)
    assert choice.artifact.key == OLDER


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("shpo", "did you mean shop"),
        ("shop/file", "did you mean shop/files"),
        ("zzz", "`reconciler list` shows what there is"),
    ],
)
def test_a_target_that_has_no_copy(name: str, why: str) -> None:
    places = Places("a")
    places.hold("a", KEY, b"content")
    with pytest.raises(Refused, match=why):
        choose(places.fleet, destinations(places.fleet, places.world, {}), name, NOW)


def test_broken_copies_alone_are_refused() -> None:
    places = Places("a")
    places.hold("a", KEY, b"content")
    del places.content["a"][KEY]
    with pytest.raises(Refused, match=f"every copy of {SHOP} is broken: its data is missing"):
        choose(places.fleet, destinations(places.fleet, places.world, {}), "shop", NOW)
