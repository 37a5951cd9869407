"""What goes through a throttled store is what was given, and takes its time; how `bandwidth` is meant is in tests/cli."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from reconciler.adapters.throttle import CREDIT, PIECE, Allowance, ThrottledStore, take
from reconciler.destinations.file import FileStore

DATA = bytes(range(256)) * 1200 + b"no whole number of pieces"
FAST = 1 << 40


def took(what: Callable[[], object]) -> float:
    begun = time.monotonic()
    what()
    return time.monotonic() - begun


def test_bytes_wait_for_those_before_them() -> None:
    def run() -> None:
        allowance = Allowance(100_000, time.monotonic)
        for _ in range(4):
            take(allowance.reserve, 10_000)

    assert 0.29 < took(run) < 5, "the first go at once, the last after those before them"


def test_time_that_was_not_used_is_made_up_for_a_moment_only() -> None:
    at = [1000.0]
    allowance = Allowance(100_000, lambda: at[0])
    at[0] += 3600
    take(allowance.reserve, int(100_000 * CREDIT) + 40_000)
    assert took(lambda: take(allowance.reserve, 1)) > 0.3, "an idle hour is no credit for an hour"


def test_threads_share_it() -> None:
    def run() -> None:
        allowance = Allowance(100 * PIECE, time.monotonic)
        threads = [threading.Thread(target=take, args=(allowance.reserve, PIECE)) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert 0.48 < took(run) < 5


def test_a_throttled_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    inner = FileStore("there", tmp_path / "there")
    store = ThrottledStore(inner, Allowance(FAST, time.monotonic).reserve)
    writer = store.create("daily/a")
    writer.write(DATA)
    writer.write(b"")
    assert [item.key for item in store.list() if item.key == "daily/a"] == []
    writer.commit()
    given_up = store.create("daily/b")
    given_up.write(DATA)
    given_up.discard()
    with store.read("daily/a") as reader:
        pieces = list(iter(lambda: reader.read(1 << 20), b""))
    assert b"".join(pieces) == DATA
    store.put("daily/a.json", b"{}")
    assert store.claim("daily/c", b"1")
    assert not store.claim("daily/c", b"2")
    assert (store.get("daily/a.json"), store.get("daily/c"), store.exclusive) == (
        b"{}",
        b"1",
        inner.exclusive,
    )
    assert {item.key for item in store.list()} == {"daily/a", "daily/a.json", "daily/c"}
    store.delete("daily/a")
    store.abandon("daily/b")
    assert {item.key for item in inner.list()} == {"daily/a.json", "daily/c"}
    store.close()
