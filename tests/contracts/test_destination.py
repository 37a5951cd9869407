"""What every kind of destination promises, on its real server."""

import gc
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.errors import Corrupt, Missing, StoreError
from reconciler.model import Destination
from reconciler.ports import Store
from tests.contracts import child
from tests.contracts.places import KINDS, Places, keys, opened, read, write
from tests.parts.sftp import SftpServer
from tests.parts.webdav import WebdavServer

PART = 8 << 20
HOSTILE = [
    "a[1].x",
    "a1.x",
    "star*.tar",
    "what?.tar",
    "hash#tag",
    "50%",
    "50%25",
    "%41",
    "plus+and space",
    "ünï/cödé ☃",
    ".hidden/.file",
    "semi;colon&amp;<tag>",
    "quote'\"",
    "back\\slash",
    "trailing.",
    "~tilde",
    "a=b@c:d,e!$()",
]


@pytest.fixture
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    return Places(request, tmp_path)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, places: Places) -> Destination:
    return places.make(request.param)


@pytest.fixture
def store(place: Destination) -> Iterator[Store]:
    there = opened(place)
    yield there
    there.close()


@pytest.fixture
def data() -> bytes:
    """More than two parts of an upload, and no multiple of anything."""
    return random.Random(7).randbytes(2 * PART + 12345)


def visible(store: Store) -> list[str]:
    """Keys that would count: leftovers of unfinished writes do not."""
    return [key for key in keys(store) if not key.endswith(".part")]


def test_a_new_destination_is_empty(store: Store) -> None:
    assert keys(store) == []
    with pytest.raises(Missing, match="destination there: read daily/x: there is no such object"):
        store.read("daily/x")
    with pytest.raises(Missing):
        store.get(".reconciler.json")


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART])
def test_what_was_committed_is_listed_and_read_back(store: Store, size: int) -> None:
    content = random.Random(size).randbytes(size)
    write(store, "daily/x.tar", content, 3_000_001)
    assert [(found.key, found.size) for found in store.list()] == [("daily/x.tar", size)]
    assert read(store, "daily/x.tar") == content


def test_nothing_is_observed_before_the_commit(store: Store, data: bytes) -> None:
    writer = store.create("daily/x")
    for start in range(0, len(data), PART):
        writer.write(data[start : start + PART])
        assert visible(store) == []
        with pytest.raises(Missing):
            store.read("daily/x")
    writer.commit()
    assert keys(store) == ["daily/x"]
    assert read(store, "daily/x") == data


def test_a_discarded_write_leaves_nothing(store: Store, data: bytes) -> None:
    writer = store.create("daily/x")
    writer.write(data)
    writer.discard()
    writer.discard()
    assert keys(store) == []
    with pytest.raises(StoreError):
        writer.commit()
    with pytest.raises(StoreError):
        writer.write(b"more")
    assert keys(store) == []


def test_a_write_that_was_never_begun_in_earnest_can_be_discarded(store: Store) -> None:
    store.create("daily/x").discard()
    assert keys(store) == []


def test_discarding_after_the_commit_changes_nothing(store: Store) -> None:
    writer = store.create("daily/x")
    writer.write(b"kept")
    writer.commit()
    writer.discard()
    assert store.get("daily/x") == b"kept"


def test_an_exception_publishes_nothing(store: Store, data: bytes) -> None:
    def source() -> Iterator[bytes]:
        yield data
        raise ZeroDivisionError

    def copy() -> None:
        writer = store.create("daily/x")
        try:
            for chunk in source():
                writer.write(chunk)
        finally:
            writer.discard()

    with pytest.raises(ZeroDivisionError):
        copy()
    assert keys(store) == []


def test_garbage_collection_publishes_nothing(store: Store, data: bytes) -> None:
    writer = store.create("daily/x")
    writer.write(data)
    del writer
    gc.collect()
    assert visible(store) == []
    with pytest.raises(Missing):
        store.read("daily/x")
    store.abandon("daily/x")
    assert keys(store) == []


def test_a_killed_process_publishes_nothing(place: Destination, store: Store) -> None:
    if place.protocol == "memory":
        return  # it ends with its process
    with child.start(place, "hang") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    assert visible(store) == []
    with pytest.raises(Missing):
        store.read(child.KEY)
    store.put(child.KEY + ".json", b"a neighbour")
    store.abandon(child.KEY)
    eventually(lambda: keys(store) == [child.KEY + ".json"])
    write(store, child.KEY, b"second try")
    assert store.get(child.KEY) == b"second try"


def eventually(holds: Callable[[], bool]) -> None:
    """Poll until it holds: a server may notice a killed client a moment later."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def test_a_leftover_of_a_dead_writer_does_not_block_the_next(place: Destination, store: Store) -> None:
    if place.protocol == "memory":
        return
    with child.start(place, "hang") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    write(store, child.KEY, b"new")
    assert store.get(child.KEY) == b"new"
    assert visible(store) == [child.KEY]


def test_a_commit_replaces_what_was_there(store: Store, data: bytes) -> None:
    store.put("marker", b"old")
    writer = store.create("marker")
    writer.write(data)
    assert store.get("marker") == b"old"
    writer.commit()
    assert read(store, "marker") == data
    store.put("marker", b"small again")
    assert [(found.key, found.size) for found in store.list()] == [("marker", 11)]


def test_of_many_claims_at_once_one_succeeds(store: Store) -> None:
    """Where claims are atomic; elsewhere whoever has one looks again a moment later."""
    start = threading.Barrier(6)

    def claim(number: int) -> bool:
        start.wait(10)
        return store.claim(".leases/any/000000001", b"run %d" % number)

    with ThreadPoolExecutor(6) as threads:
        claimed = list(threads.map(claim, range(6)))
    if store.exclusive:
        assert claimed.count(True) == 1
        assert store.get(".leases/any/000000001") == b"run %d" % claimed.index(True)
    assert True in claimed
    assert keys(store) == [".leases/any/000000001"]


def test_a_claim_takes_nothing_from_anybody(store: Store) -> None:
    assert store.claim("daily/x.json", b"first")
    assert not store.claim("daily/x.json", b"second")
    assert store.claim("daily/x.json", b"first")  # the answer to the first one may have been lost
    assert store.get("daily/x.json") == b"first"
    store.delete("daily/x.json")
    assert store.claim("daily/x.json", b"")
    assert not store.claim("daily/x.json", b"third")
    assert [(found.key, found.size) for found in store.list()] == [("daily/x.json", 0)]


@pytest.mark.parametrize("kind", KINDS)
def test_whether_claims_are_atomic_is_known_after_the_first(places: Places, kind: str) -> None:
    """Rclone's S3 takes no conditions, and WebDAV servers look first and move then."""
    store = opened(places.make(kind))
    assert store.claim("x", b"1")
    assert store.exclusive == (kind not in ("s3-rclone", "webdav"))
    store.close()


def test_what_begins_with_a_dot_is_listed_first(store: Store) -> None:
    for key in ("daily/x", ".leases/any/000000001", "weekly/x", ".intents/n/daily/x", "images/x"):
        store.put(key, b"1")
    listed = [found.key.startswith(".") for found in store.list()]
    assert listed == [True, True, False, False, False]


def test_delete_is_idempotent_and_touches_nothing_else(store: Store) -> None:
    for key in ("daily/x", "daily/x.json", "daily/y"):
        store.put(key, b"1")
    store.delete("daily/x")
    store.delete("daily/x")
    store.delete("never/was")
    assert keys(store) == ["daily/x.json", "daily/y"]


def test_names_are_taken_literally(store: Store) -> None:
    for key in HOSTILE:
        store.put(key, key.encode())
    assert keys(store) == sorted(HOSTILE)
    for key in HOSTILE:
        assert store.get(key) == key.encode()
    for number, key in enumerate(HOSTILE, 1):
        store.delete(key)
        store.abandon(key)
        assert keys(store) == sorted(HOSTILE[number:])


@pytest.mark.parametrize("key", ["", "/abs", "a//b", "../up", "a/../b", "a/.", "a/", "nul\0", "\udcff"])
def test_what_is_no_name_is_refused(store: Store, key: str) -> None:
    for use in (store.read, store.create, store.delete, store.abandon):
        with pytest.raises(StoreError, match="not the name of an object"):
            use(key)


def test_a_long_name(store: Store) -> None:
    key = "daily/" + "n" * 245
    store.put(key, b"x")
    assert keys(store) == [key]
    store.delete(key)
    assert keys(store) == []


def test_a_failing_writer_disturbs_no_other(store: Store, data: bytes) -> None:
    both = threading.Barrier(2)

    def fail() -> None:
        writer = store.create("daily/fails")
        for start in range(0, len(data), PART):
            writer.write(data[start : start + PART])
            both.wait(30)
        writer.discard()

    def succeed() -> None:
        writer = store.create("daily/works")
        for start in range(0, len(data), PART):
            writer.write(data[start : start + PART])
            both.wait(30)
        writer.commit()

    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(fail), threads.submit(succeed)]:
            done.result()
    assert keys(store) == ["daily/works"]
    assert read(store, "daily/works") == data


def test_many_threads_share_a_store(store: Store) -> None:
    def work(number: int) -> bool:
        content = bytes([number]) * (100_000 * number)
        write(store, f"daily/{number}", content)
        return read(store, f"daily/{number}") == content and f"daily/{number}" in keys(store)

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(work, range(12)))
    assert len(keys(store)) == 12


def test_reading_goes_on_while_another_writes(store: Store, data: bytes) -> None:
    write(store, "daily/x", data)
    with store.read("daily/x") as reader:
        first = reader.read(1000)
        write(store, "daily/y", data[::-1])
        store.delete("daily/y")
        rest = b"".join(iter(lambda: reader.read(1 << 20), b""))
    assert first + rest == data


def test_a_reader_may_be_closed_in_the_middle(store: Store, data: bytes) -> None:
    write(store, "daily/x", data)
    for _ in range(5):
        reader = store.read("daily/x")
        assert 0 < len(reader.read(10)) <= 10
        reader.close()
        reader.close()
    assert read(store, "daily/x") == data


def test_a_small_object_has_a_limit(store: Store) -> None:
    store.put("small", b"12345")
    assert store.get("small", 5) == b"12345"
    with pytest.raises(Corrupt, match="larger than 4 bytes"):
        store.get("small", 4)


def test_a_store_may_be_closed_twice_and_another_sees_its_work(place: Destination) -> None:
    first, second = opened(place), opened(place)
    assert keys(second) == []
    first.put("daily/x", b"1")
    assert keys(second) == ["daily/x"]
    second.delete("daily/x")
    assert keys(first) == []
    for there in (first, second, first):
        there.close()


def test_memory_is_bounded(place: Destination) -> None:
    if place.protocol == "memory":
        return  # its memory is the destination
    with child.start(place, "measure") as process:
        said, _ = process.communicate()
    assert process.returncode == 0
    assert int(said) < 60 << 20, f"{int(said) >> 20} MiB"


@pytest.mark.parametrize("kind", ["memory", "file", "sftp", "webdav"])
def test_ten_thousand_objects_list_in_a_few_seconds(
    places: Places, request: pytest.FixtureRequest, kind: str
) -> None:
    place = places.make(kind)
    wanted = [f"{tier}/s{n}_data_2026.tar.zst" for tier in ("daily", "weekly") for n in range(5000)]
    folder = served_folder(place, kind, request)
    for key in wanted if folder else ():
        path = folder / key if folder else Path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    store = opened(place)
    for key in () if folder else wanted:
        store.put(key, b"x")
    start = time.monotonic()
    assert keys(store) == sorted(wanted)
    assert time.monotonic() - start < 8
    store.close()


def served_folder(place: Destination, kind: str, request: pytest.FixtureRequest) -> Path | None:
    """Where the server keeps the objects as plain files."""
    name = place.url.rpartition("/")[2]
    if kind == "file":
        return Path(place.url.removeprefix("file://"))
    if kind == "sftp":
        sftp: SftpServer = request.getfixturevalue("sftp_server")
        return sftp.root / name
    if kind == "webdav":
        webdav: WebdavServer = request.getfixturevalue("webdav_server")
        return webdav.root / name
    return None
