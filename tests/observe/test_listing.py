"""One destination's objects told apart, and whether it is the place that it should be."""

from datetime import timedelta

import pytest

from reconciler.destinations.memory import MemoryStore
from reconciler.markers import Marker
from reconciler.model import Listing
from reconciler.naming import MARKER, intent_content, intent_key, manifest_key
from reconciler.observe.listing import read_listing
from tests.faults.world import KEY, NODE, NOW, SHOP

RECORD = intent_key(NODE, KEY)


def listing(content: dict[str, bytes], seen: str = "") -> Listing:
    """What is made of a destination called ``there``."""
    return read_listing(MemoryStore("there", content), "there", seen)


def marker(name: str = "there", id_: str = "1") -> bytes:
    return Marker(name=name, id=id_).text().encode()


def test_an_artifact_with_its_manifest_is_a_copy() -> None:
    found = listing({KEY: b"12345", manifest_key(KEY): b"123"})
    assert [(copy.artifact.key, copy.size, copy.manifest_size, copy.broken) for copy in found.copies] == [
        (KEY, 5, 3, "")
    ]
    assert (found.leftovers, found.foreign) == ((), ())


def test_an_artifact_without_a_manifest_is_a_leftover_and_never_a_copy() -> None:
    found = listing({KEY: b"12345"})
    assert found.copies == ()
    assert [(left.key, left.keys, left.node, left.committed) for left in found.leftovers] == [
        (KEY, (KEY,), "", False)
    ]
    assert found.leftovers[0].target == SHOP


@pytest.mark.parametrize("extension", [".age", ".gpg"])
def test_an_encrypted_artifact_without_a_manifest_is_a_leftover_too(extension: str) -> None:
    (left,) = listing({KEY + extension: b"12345"}).leftovers
    assert left.keys == (KEY + extension,)


@pytest.mark.parametrize("extension", [".age", ".gpg", ".asc", ".sha256"])
def test_what_people_put_beside_an_artifact_is_not_ours_to_sweep(extension: str) -> None:
    """Such as a copy that they encrypted by hand, also when they have removed the artifact itself."""
    for content in ({KEY: b"1", manifest_key(KEY): b"2"}, {manifest_key(KEY): b"2"}):
        found = listing({**content, KEY + extension: b"3"})
        assert (found.leftovers, found.foreign) == ((), (KEY + extension,))


def test_a_manifest_without_data_is_a_broken_copy() -> None:
    (copy,) = listing({manifest_key(KEY): b"123"}).copies
    assert copy.broken == "its data is missing"


@pytest.mark.parametrize(
    ("data", "manifest", "why"),
    [(b"", b"123", "it is empty"), (b"123", b"", "its manifest is empty"), (b"", b"", "it is empty")],
)
def test_what_a_power_cut_emptied_is_a_broken_copy(data: bytes, manifest: bytes, why: str) -> None:
    (copy,) = listing({KEY: data, manifest_key(KEY): manifest}).copies
    assert copy.broken == why


def test_an_empty_manifest_of_nothing_is_a_leftover() -> None:
    """A run that took over claimed it for what was being written, stood still itself, and woke when all that was cleared."""
    found = listing({manifest_key(KEY): b""})
    assert found.copies == ()
    assert [(left.keys, left.node, left.committed) for left in found.leftovers] == [
        ((manifest_key(KEY),), "", False)
    ]


def test_a_record_with_a_whole_copy_is_a_leftover_that_takes_nothing_of_the_copy() -> None:
    found = listing({KEY: b"1", manifest_key(KEY): b"2", RECORD: b""})
    assert [copy.artifact.key for copy in found.copies] == [KEY]
    (left,) = found.leftovers
    assert (left.keys, left.node, left.committed) == ((RECORD,), NODE, True)


def test_the_record_of_a_died_run_is_the_last_thing_to_delete() -> None:
    (left,) = listing(
        {KEY: b"1", f"{KEY}.part": b"2", f"{manifest_key(KEY)}.part": b"3", RECORD: b""}
    ).leftovers
    assert set(left.keys) == {KEY, f"{KEY}.part", f"{manifest_key(KEY)}.part", RECORD}
    assert left.keys[-1] == RECORD
    assert left.node == NODE


@pytest.mark.parametrize("content", [b"", b"soon", b"\xff", b"2026-02-31T000000Z", b"x" * (2 << 20)])
def test_a_record_that_says_no_time_leaves_the_one_of_the_name(content: bytes) -> None:
    (left,) = listing({KEY: b"1", RECORD: content}).leftovers
    assert left.time == NOW


def test_a_leftover_is_as_old_as_its_record_and_not_as_its_artifact() -> None:
    (left,) = listing({KEY: b"1", RECORD: intent_content(NOW + timedelta(days=40))}).leftovers
    assert left.time == NOW + timedelta(days=40)


@pytest.mark.parametrize("key", [f"{KEY}.part", f"{manifest_key(KEY)}.part"])
def test_a_part_beside_a_whole_copy_is_a_leftover_without_the_copy(key: str) -> None:
    found = listing({KEY: b"1", manifest_key(KEY): b"2", key: b"3"})
    assert len(found.copies) == 1
    assert [left.keys for left in found.leftovers] == [(key,)]


@pytest.mark.parametrize(
    "key",
    [
        "README.txt",
        "daily/holiday.tar.zst",
        "weekly/shop_files_2026-01-20T030000Z_daily.tar.zst",
        "daily/shop_files_2026-02-31T030000Z_daily.tar.zst",
        "daily/Shop_files_2026-01-20T030000Z_daily.tar.zst",
        "notes.json",
        "other.part",
        ".intents/README",
        f"{KEY}.sha256",
        "daily/shop_dump_2026-01-20T030000Z_daily.dump.asc",
        "sub/daily/shop_files_2026-01-20T030000Z_daily.tar.zst",
    ],
)
def test_everything_else_is_foreign(key: str) -> None:
    found = listing({key: b"x"})
    assert (found.copies, found.leftovers, found.foreign) == ((), (), (key,))


def test_an_extension_of_several_parts_is_ours_with_a_manifest_or_a_record() -> None:
    key = "daily/shop_dump_2026-01-20T030000Z_daily.tar.gz.enc"
    assert [copy.artifact.key for copy in listing({key: b"1", manifest_key(key): b"2"}).copies] == [key]
    assert [left.key for left in listing({key: b"1", intent_key(NODE, key): b""}).leftovers] == [key]


def test_a_place_never_seen_without_a_marker_is_to_be_adopted_whatever_lies_there() -> None:
    assert listing({}).adopt
    assert listing({"README": b""}).adopt


def test_a_place_with_its_marker_is_known() -> None:
    found = listing({MARKER: marker()}, seen="1")
    assert (found.unknown, found.marker, found.adopt, found.foreign) == ("", "1", False, ())


def test_a_place_that_was_seen_and_has_no_marker_is_unknown_and_lists_nothing() -> None:
    found = listing({KEY: b"1", manifest_key(KEY): b"2"}, seen="1")
    assert "has lost its marker" in found.unknown
    assert '"id":"1"' in found.unknown  # the text to put back
    assert (found.copies, found.leftovers, found.adopt) == ((), (), False)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (marker(name="other"), "is destination 'other'"),
        (marker(id_="2"), "has the id 2"),
        (b"{ no json", "is not readable"),
        (b"\xff\xfe", "is not readable"),
        (b'{"format": "x"}', "is not readable"),
        (b'{"x":' + 5000 * b"[" + 5000 * b"]" + b"}", "is not readable"),
    ],
)
def test_a_place_with_another_marker_is_unknown(content: bytes, why: str) -> None:
    found = listing({MARKER: content, KEY: b"1", manifest_key(KEY): b"2"}, seen="1")
    assert why in found.unknown
    assert found.copies == ()
