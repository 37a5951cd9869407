"""The way of the data, once and in bounded memory: chunks → compress → encrypt → sha256 → every destination at once.

Called by apply. Each step has a thread of its own (the libraries release the interpreter lock), joined by short queues, so the
slowest of them sets the pace and nothing piles up. A destination that fails is dropped, and the others go on.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from queue import Queue
from typing import NamedTuple

from reconciler.pipeline.compress import Compressor
from reconciler.pipeline.encrypt import Sealer
from reconciler.pipeline.filter import Filter
from reconciler.ports import Writer

CHUNK = 1 << 20
"""Bytes that travel together."""

_DEPTH = 4  # chunks that may wait before a step

Progress = Callable[[int], None]
"""Told of every piece of stored bytes; may raise to end the transfer."""


class Transferred(NamedTuple):
    """What went through: plain and stored bytes, sha256 of the stored ones, and the destinations that failed with why."""

    source_size: int
    size: int
    sha256: str
    failures: Mapping[str, Exception]


class _Stage:
    """A thread that takes chunks from its queue. After an error it drains, so that nobody waits for it."""

    def __init__(self, work: Callable[[bytes], None], name: str) -> None:
        self._queue: Queue[bytes | None] = Queue(_DEPTH)
        self._work = work
        self._ended = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> None:
        self._queue.put(data)

    def abort(self) -> None:
        """What waits is of no use any more."""
        self.error = self.error or InterruptedError("the transfer was given up")

    def end(self) -> None:
        """Let the thread finish what waits, and wait for it. Safe twice."""
        if not self._ended:
            self._ended = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            if self.error is None:
                try:
                    self._work(data)
                except BaseException as error:  # noqa: BLE001 - carried to the thread that asks for it
                    self.error = error


class _Seal:
    """The child that encrypts: one thread feeds it, another takes what it gives."""

    def __init__(self, child: Filter, out: Callable[[bytes], None]) -> None:
        self._child = child
        self._out = out
        self._feed = _Stage(child.write, "encrypt")
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._pass_on, name="encrypted", daemon=True)
        self._thread.start()

    @property
    def error(self) -> BaseException | None:
        return self._feed.error or self._error

    def put(self, data: bytes) -> None:
        self._feed.put(data)

    def finish(self) -> None:
        """Let everything through, and judge how the child ended. Raises what it raises, or what a thread did."""
        self._feed.end()
        if self.error is None:
            self._child.end()
            self._thread.join()
        if self.error is not None:
            raise self.error
        self._child.finish()

    def kill(self) -> None:
        """End the child: from now on both threads only drain."""
        self._child.kill()

    def end(self) -> None:
        """Wait for both threads, after ``finish`` or ``kill``, and free everything. Safe twice."""
        self._feed.end()
        self._thread.join()
        self._child.close()

    def _pass_on(self) -> None:
        try:
            while data := self._child.read():
                self._out(data)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that asks for it
            self._error = error


class _Line:
    """The stages of one transfer: compress → encrypt → hash and fan out → one writer each."""

    def __init__(
        self,
        compressor: Compressor,
        writers: Mapping[str, Writer],
        progress: Progress,
        child: Filter | None,
    ) -> None:
        self._compressor = compressor
        self._progress = progress
        self._digest = hashlib.sha256()
        self._source_size = 0
        self._size = 0
        self._sinks = {name: _Stage(writer.write, f"write-{name}") for name, writer in writers.items()}
        self._fan = _Stage(self._fan_out, "hash")
        self._seal = _Seal(child, self._fan.put) if child else None
        self._pack = _Stage(self._compress, "compress")

    def feed(self, chunk: bytes) -> bool:
        """Take the next chunk. False when there is no use in more."""
        self._source_size += len(chunk)
        self._pack.put(chunk)
        alive = any(sink.error is None for sink in self._sinks.values())
        return alive and not any(stage.error for stage in (self._pack, self._seal, self._fan) if stage)

    def finish(self) -> Transferred:
        """Let everything through to its end, and say what went. Raises what a stage raised."""
        self._pack.end()
        if self._pack.error is None:
            self._hand_on(self._compressor.flush())
            if self._seal:
                self._seal.finish()
        if self._pack.error or self._fan.error:
            self._give_up(*self._sinks.values())
        self.close()
        failures: dict[str, Exception] = {}
        for name, sink in self._sinks.items():
            if isinstance(sink.error, Exception):
                failures[name] = sink.error
        fatal = [stage.error for stage in (self._pack, self._fan, *self._sinks.values())]
        for error in fatal:
            if error is not None and error not in failures.values():
                raise error
        return Transferred(self._source_size, self._size, self._digest.hexdigest(), failures)

    def abort(self) -> None:
        """Write nothing more: a destination with little bandwidth would take minutes for what waits in the queues."""
        self._give_up(self._pack, self._fan, *self._sinks.values())

    @staticmethod
    def _give_up(*stages: _Stage) -> None:
        for stage in stages:
            stage.abort()

    def close(self) -> None:
        """End every thread, first to last; before that the child, so that nobody waits for it. Safe twice."""
        if self._seal:
            self._seal.kill()
        for stage in (self._pack, self._seal, self._fan, *self._sinks.values()):
            if stage:
                stage.end()

    def _compress(self, data: bytes) -> None:
        self._hand_on(self._compressor.compress(data))

    def _hand_on(self, packed: bytes) -> None:
        """To the next stage, in pieces: zstd's threads give many MiB at once, and queues hold a number of pieces."""
        following = self._seal or self._fan
        for start in range(0, len(packed), CHUNK):
            following.put(packed[start : start + CHUNK])

    def _fan_out(self, data: bytes) -> None:
        for sink in self._sinks.values():
            if sink.error is None:
                sink.put(data)
        self._digest.update(data)
        self._size += len(data)
        self._progress(len(data))


def transfer(
    chunks: Iterable[bytes],
    compressor: Compressor,
    writers: Mapping[str, Writer],
    progress: Progress = lambda _: None,
    sealer: Sealer | None = None,
) -> Transferred:
    """Send every chunk through to every writer. Commits and discards nothing: that is the caller's.

    Raises what ``chunks``, the compressor or ``progress`` raised, and CipherError when the child that encrypts fails. Once
    every writer has failed it stops reading.
    """
    line = _Line(compressor, writers, progress, sealer.start() if sealer else None)
    try:
        for chunk in chunks:
            if not line.feed(chunk):
                break
        return line.finish()
    except BaseException:
        line.abort()
        raise
    finally:
        if isinstance(chunks, Generator):
            chunks.close()  # first: what is held for it does not wait until the destinations have answered
        line.close()
