"""The way back: stored bytes → sha256 → decrypt → decompress, in bounded memory. Used by restore.

The last check comes with the last byte: until the iterator has ended without an error, nothing of what it gave may be kept.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from queue import Full, Queue

from reconciler.errors import Corrupt
from reconciler.model import Codec, Manifest
from reconciler.pipeline.compress import Decompressor
from reconciler.pipeline.decrypt import NO_KEYS, Keys, decrypted, opener
from reconciler.pipeline.transfer import CHUNK
from reconciler.ports import Reader

_AHEAD = 8  # chunks that are read ahead
_POLL = 0.2  # seconds between looks at whether the other side is still there


def verified(reader: Reader, manifest: Manifest, advanced: Callable[[int], None]) -> Generator[bytes]:
    """The stored bytes in chunks. Raises Corrupt at the end when size or sha256 are not the manifest's."""
    digest = hashlib.sha256()
    size = 0
    while chunk := reader.read(CHUNK):
        size += len(chunk)
        digest.update(chunk)
        advanced(len(chunk))
        yield chunk
    if size != manifest.size:
        raise Corrupt(f"{manifest.key} has {size} bytes instead of {manifest.size}")
    if digest.hexdigest() != manifest.sha256:
        raise Corrupt(f"{manifest.key} has the sha256 {digest.hexdigest()} instead of {manifest.sha256}")


def unpack(
    reader: Reader, manifest: Manifest, advanced: Callable[[int], None], keys: Keys = NO_KEYS
) -> Generator[bytes]:
    """The plain bytes in chunks; never more of them than the manifest says.

    Raises Corrupt; for an encrypted artifact WrongKey and CipherError, too.
    """
    codec = _codec(manifest)
    decompressor = Decompressor(codec)
    left = manifest.source_size
    with closing(_opened(reader, manifest, advanced, keys)) as opened, _Ahead(opened) as stored:
        for chunk in stored:
            data = decompressor.decompress(chunk, CHUNK)
            while data or decompressor.pending:
                left -= len(data)
                if left < 0:
                    raise Corrupt(
                        f"{manifest.key} unpacks to more than the {manifest.source_size} bytes of its manifest"
                    )
                if data:
                    yield data
                data = decompressor.decompress(b"", CHUNK) if decompressor.pending else b""
    decompressor.finish()
    if left:
        raise Corrupt(f"{manifest.key} unpacks to {left} bytes less than its manifest says")


def _opened(
    reader: Reader, manifest: Manifest, advanced: Callable[[int], None], keys: Keys
) -> Generator[bytes]:
    """The compressed bytes, decrypted where they are encrypted."""
    opening = opener(manifest, keys)
    stored = verified(reader, manifest, advanced)
    return decrypted(stored, opening) if opening else stored


def _codec(manifest: Manifest) -> Codec:
    for codec in ("zstd", "gzip", "none"):
        if manifest.compression == codec:
            return codec
    raise Corrupt(
        f"{manifest.key} is compressed with {manifest.compression!r}, which this version does not know"
    )


class _Ahead:
    """Reads and hashes in a thread of its own, a few chunks ahead of whoever iterates."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._queue: Queue[bytes | None] = Queue(_AHEAD)
        self._gone = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)

    def __enter__(self) -> Iterator[bytes]:
        self._thread.start()
        return self._iterate()

    def __exit__(self, *_: object) -> None:
        self._gone.set()
        self._thread.join()

    def _iterate(self) -> Iterator[bytes]:
        while (chunk := self._queue.get()) is not None:
            yield chunk
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            for chunk in self._chunks:
                if not self._put(chunk):
                    return
        except BaseException as error:  # noqa: BLE001 - carried to the thread that iterates
            self._error = error
        self._put(None)

    def _put(self, chunk: bytes | None) -> bool:
        """Hand a chunk over; False when nobody wants it any more."""
        while not self._gone.is_set():
            try:
                self._queue.put(chunk, timeout=_POLL)
            except Full:
                continue
            return True
        return False
