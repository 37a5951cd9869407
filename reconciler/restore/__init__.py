"""Bring an artifact back: choose it, check that nothing is destroyed unasked, verify it, and only then put it in place.

Called by the command line. Reads destinations; writes only to the sink.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import NamedTuple

from reconciler.errors import Corrupt, ReconcilerError, StoreError
from reconciler.manifests import decode
from reconciler.model import Copy, Fleet, Manifest
from reconciler.naming import manifest_key
from reconciler.pipeline.decrypt import NO_KEYS, Keys
from reconciler.pipeline.unpack import unpack, verified
from reconciler.ports import Sink, Store, World
from reconciler.restore.choose import Choice, choose, passed_over, unseen
from reconciler.restore.keys import proven_keys

__all__ = [
    "Choice",
    "Restored",
    "choose",
    "passed_over",
    "proven_keys",
    "read_manifest",
    "restore",
    "unseen",
]


class Restored(NamedTuple):
    """What was restored, from where, and which copies turned out to be bad on the way."""

    manifest: Manifest
    destination: str
    warnings: tuple[str, ...]


def read_manifest(choice: Choice, fleet: Fleet, world: World) -> Manifest:
    """The manifest of the chosen artifact, from the first destination where it is readable. Raises Corrupt."""
    reasons: list[str] = []
    for name, copy in choice.copies:
        try:
            return _manifest(world.store(fleet.destination(name)), copy)
        except (Corrupt, StoreError) as error:
            reasons.append(f"{name}: {error}")
    raise Corrupt("no readable manifest: " + "; ".join(reasons))


def restore(
    choice: Choice,
    sink: Sink,
    fleet: Fleet,
    world: World,
    advanced: Callable[[int], None],
    keys: Keys = NO_KEYS,
) -> Restored:
    """Restore the chosen artifact from the first copy that proves good. The sink and the key have been checked already.

    Raises Corrupt when no copy is good, StoreError when none can be read, or what the sink raises; the old data is then
    still in place.
    """
    bad: list[str] = []
    for name, copy in choice.copies:
        store = world.store(fleet.destination(name))
        try:
            manifest = _manifest(store, copy)
            if not sink.staged:
                _rehearse(store, manifest, keys)
        except (Corrupt, StoreError) as error:
            bad.append(f"{name}: {error}")
            continue
        try:
            _receive(store, manifest, sink, advanced, keys)
        except BaseException as error:
            sink.abort()
            # Where something went out that cannot be taken back, a second copy must not follow it.
            if sink.staged and isinstance(error, ReconcilerError) and (why := _fault(store, manifest, error)):
                bad.append(f"{name}: {why}")
                continue
            raise
        return Restored(manifest, name, tuple(bad))
    raise Corrupt(
        f"{choice.artifact.key} cannot be restored from any destination; the target is as it was. "
        + "; ".join(bad)
    )


def _manifest(store: Store, copy: Copy) -> Manifest:
    if copy.broken:
        raise Corrupt(copy.broken)
    return decode(store.get(manifest_key(copy.artifact.key)), copy.artifact.key)


def _rehearse(store: Store, manifest: Manifest, keys: Keys) -> None:
    """Check every stored byte, and every decrypted one. A sink that cannot stage gets its first byte only after this."""
    if manifest.encryption is None:
        _verify(store, manifest)
        return
    with (
        store.read(manifest.key) as reader,
        closing(unpack(reader, manifest, lambda _size: None, keys)) as chunks,
    ):
        for _ in chunks:
            pass


def _verify(store: Store, manifest: Manifest) -> None:
    """Check every stored byte."""
    with store.read(manifest.key) as reader:
        for _ in verified(reader, manifest, lambda _size: None):
            pass


def _fault(store: Store, manifest: Manifest, error: ReconcilerError) -> str:
    """What is wrong with a copy that was not received; empty when the copy is good, so that it was the sink's fault.

    A sink may choke on rotten bytes before the checksum at their end has told that they are.
    """
    if isinstance(error, (Corrupt, StoreError)):
        return str(error)
    try:
        _verify(store, manifest)
    except (Corrupt, StoreError) as found:
        return str(found)
    return ""


def _receive(
    store: Store, manifest: Manifest, sink: Sink, advanced: Callable[[int], None], keys: Keys
) -> None:
    """Receive and check, then commit."""
    with store.read(manifest.key) as reader, closing(unpack(reader, manifest, advanced, keys)) as chunks:
        sink.receive(chunks)
        _exhaust(chunks, manifest)
    sink.commit()


def _exhaust(chunks: Generator[bytes], manifest: Manifest) -> None:
    """A sink may stop reading at the end of what it understands: the rest is still checked."""
    for chunk in chunks:
        if chunk.strip(b"\0"):
            raise ReconcilerError(f"{manifest.key} was not taken whole: data was left over")
