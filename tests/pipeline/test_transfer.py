"""One pass to several destinations: what arrives, and what happens when a part of the line fails at any byte."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator

import pytest

from reconciler.errors import Corrupt, SourceError, StoreError
from reconciler.model import Codec, Compression
from reconciler.pipeline.compress import Decompressor, compressor, workers
from reconciler.pipeline.transfer import transfer

CODECS: tuple[Codec, ...] = ("zstd", "gzip", "none")
PLAIN = random.Random(1).randbytes(3 << 20) + b"\0" * (5 << 20) + b"end"


class Kept:
    """A writer that keeps what it is given, and fails where it is told to."""

    def __init__(self, fail_after: int | None = None, error: BaseException | None = None) -> None:
        self.data = bytearray()
        self._left = fail_after
        self._error = error or StoreError("destination b: disk full")

    def write(self, data: bytes) -> None:
        if self._left is not None and len(self.data) + len(data) > self._left:
            raise self._error
        self.data += data

    def commit(self) -> None:
        raise AssertionError("a transfer commits nothing")

    def discard(self) -> None:
        raise AssertionError("a transfer discards nothing")


def chunks(size: int = 1 << 20) -> Iterator[bytes]:
    for start in range(0, len(PLAIN), size):
        yield PLAIN[start : start + size]


def unpacked(data: bytes, codec: Codec, step: int = 70_001) -> bytes:
    decompressor = Decompressor(codec)
    plain = bytearray()
    for start in range(0, len(data), step):
        plain += decompressor.decompress(data[start : start + step], 1 << 16)
        while decompressor.pending:
            plain += decompressor.decompress(b"", 1 << 16)
    decompressor.finish()
    return bytes(plain)


@pytest.mark.parametrize("codec", CODECS)
def test_every_destination_gets_the_same_bytes_and_they_unpack_to_the_source(codec: Codec) -> None:
    one, other = Kept(), Kept()
    seen: list[int] = []
    moved = transfer(chunks(), compressor(Compression(codec=codec)), {"a": one, "b": other}, seen.append)
    assert one.data == other.data
    assert moved.sha256 == hashlib.sha256(one.data).hexdigest()
    assert (moved.size, moved.source_size, dict(moved.failures)) == (len(one.data), len(PLAIN), {})
    assert sum(seen) == moved.size
    assert unpacked(bytes(one.data), codec) == PLAIN


@pytest.mark.parametrize("level", [1, 5, 19])
def test_every_level_of_zstd_unpacks_to_the_source(level: int) -> None:
    kept = Kept()
    transfer(chunks(), compressor(Compression(level=level)), {"a": kept})
    assert unpacked(bytes(kept.data), "zstd") == PLAIN


@pytest.mark.parametrize(
    ("level", "processors", "threads"), [(3, 1, 0), (3, 2, 0), (5, 2, 2), (3, 4, 4), (19, 64, 4)]
)
def test_zstd_adds_threads_where_they_help(level: int, processors: int, threads: int) -> None:
    assert workers(level, processors) == threads


@pytest.mark.parametrize("after", [0, 1, 1 << 20, 2_500_000])
def test_a_destination_that_fails_at_any_byte_disturbs_no_other(after: int) -> None:
    good, bad = Kept(), Kept(fail_after=after)
    moved = transfer(chunks(), compressor(Compression()), {"a": good, "b": bad})
    assert {name: str(error) for name, error in moved.failures.items()} == {"b": "destination b: disk full"}
    assert unpacked(bytes(good.data), "zstd") == PLAIN


def test_when_every_destination_has_failed_the_source_is_read_no_further() -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * (1 << 20)

    moved = transfer(endless(), compressor(Compression(codec="none")), {"a": Kept(0), "b": Kept(0)})
    assert set(moved.failures) == {"a", "b"}
    assert read < 40


@pytest.mark.parametrize("after", [0, 1, 5])
def test_an_error_of_the_source_is_raised_as_it_is(after: int) -> None:
    def breaking() -> Iterator[bytes]:
        for number, chunk in enumerate(chunks()):
            if number == after:
                raise SourceError("the source broke")
            yield chunk

    with pytest.raises(SourceError, match="the source broke"):
        transfer(breaking(), compressor(Compression()), {"a": Kept()})


class Broken:
    """A compressor that fails at its n-th call."""

    def __init__(self, calls: int) -> None:
        self._calls = calls

    def compress(self, data: bytes) -> bytes:
        self._calls -= 1
        if self._calls < 0:
            raise MemoryError("no memory left to compress")
        return data

    def flush(self) -> bytes:
        return self.compress(b"")


@pytest.mark.parametrize("calls", [0, 1, 4, 9])
def test_an_error_of_the_compressor_is_raised(calls: int) -> None:
    with pytest.raises(MemoryError, match="no memory left"):
        transfer(chunks(), Broken(calls), {"a": Kept()})


def test_an_interrupt_in_a_progress_watcher_ends_the_transfer() -> None:
    def interrupt(_size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer(chunks(), compressor(Compression()), {"a": Kept()}, interrupt)


def test_what_waits_for_a_slow_destination_is_dropped_when_the_transfer_is_given_up() -> None:
    class Slow(Kept):
        def write(self, data: bytes) -> None:
            super().write(data)
            threading.Event().wait(0.3)

    def broken() -> Iterator[bytes]:
        yield from chunks()
        raise SourceError("the database went away")

    slow = Slow()
    with pytest.raises(SourceError, match="the database went away"):
        transfer(broken(), compressor(Compression(codec="none")), {"a": slow})
    assert len(slow.data) < len(PLAIN) / 2


def test_no_thread_outlives_a_transfer() -> None:
    before = threading.active_count()
    for writer in (Kept(), Kept(0)):
        transfer(chunks(), compressor(Compression()), {"a": writer})
    with pytest.raises(MemoryError):
        transfer(chunks(), Broken(1), {"a": Kept()})
    assert threading.active_count() == before


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_a_stream_that_is_cut_anywhere_is_corrupt(codec: Codec) -> None:
    kept = Kept()
    transfer([b"some text" * 2000], compressor(Compression(codec=codec)), {"a": kept})
    for end in range(len(kept.data)):
        with pytest.raises(Corrupt):
            unpacked(bytes(kept.data[:end]), codec)


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_bytes_after_the_end_of_a_stream_are_corrupt(codec: Codec) -> None:
    kept = Kept()
    transfer([b"some text"], compressor(Compression(codec=codec)), {"a": kept})
    for step in (3, 70_001):
        with pytest.raises(Corrupt):
            unpacked(bytes(kept.data) + b"more", codec, step)


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_a_flipped_bit_is_noticed(codec: Codec) -> None:
    kept = Kept()
    transfer([random.Random(2).randbytes(3000)], compressor(Compression(codec=codec)), {"a": kept})
    for position in range(20, len(kept.data), 37):
        flipped = bytearray(kept.data)
        flipped[position] ^= 1
        with pytest.raises(Corrupt):
            unpacked(bytes(flipped), codec)
