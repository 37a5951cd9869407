"""Gets the chosen artifact to a sink, from the first copy that proves good. Used by ``restore``."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from reconciler.choosing import Choice
from reconciler.errors import CipherError, Corrupt, ReconcilerError, StoreError, WrongKey
from reconciler.manifests import decode
from reconciler.model import Copy, Fleet, Manifest
from reconciler.naming import manifest_key
from reconciler.pipeline.decrypt import Keys
from reconciler.pipeline.unpack import unpack, verified
from reconciler.ports import Store, World
from reconciler.restore.way import Restored, Way


def read_manifest(choice: Choice, fleet: Fleet, world: World) -> Manifest:
    """The manifest of the chosen artifact, from the first destination where it is readable. Raises Corrupt."""
    reasons: list[str] = []
    for name, copy in choice.copies:
        try:
            return _manifest(world.store(fleet.destination(name)), copy)
        except (Corrupt, StoreError) as error:
            reasons.append(f"{name}: {error}")
    raise Corrupt("no readable manifest: " + "; ".join(reasons))


def fetch(choice: Choice, way: Way, fleet: Fleet, world: World) -> Restored:
    """Get the data to the sink, checked; a sink that cannot stage has it in place then.

    Raises Corrupt when no copy is good, StoreError when none can be read, or what the sink raises; the sink is as it was.
    """
    bad: list[str] = []
    for name, copy in choice.copies:
        store = world.store(fleet.destination(name))
        try:
            manifest = _manifest(store, copy)
            if not way.sink.staged:
                _rehearse(store, manifest, way.keys)
        except (Corrupt, StoreError) as error:
            bad.append(f"{name}: {error}")
            continue
        try:
            _receive(store, manifest, way)
        except BaseException as error:
            way.sink.abort()
            # Where something went out that cannot be taken back, a second copy must not follow it.
            if way.sink.staged and (why := _fault(store, manifest, error)):
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
    try:
        with (
            store.read(manifest.key) as reader,
            closing(unpack(reader, manifest, lambda _size: None, keys)) as chunks,
        ):
            for _ in chunks:
                pass
    except (CipherError, WrongKey) as error:
        if why := _fault(store, manifest, error):
            raise Corrupt(why) from None
        raise


def _verify(store: Store, manifest: Manifest) -> None:
    """Check every stored byte."""
    with store.read(manifest.key) as reader:
        for _ in verified(reader, manifest, lambda _size: None):
            pass


def _fault(store: Store, manifest: Manifest, error: BaseException) -> str:
    """What is wrong with a copy that was not received; empty when the copy is good, so that it was the sink's fault.

    A sink may choke on rotten bytes before the checksum at their end has told that they are.
    """
    if not isinstance(error, ReconcilerError):
        return ""
    if isinstance(error, Corrupt | StoreError):
        return str(error)
    try:
        _verify(store, manifest)
    except (Corrupt, StoreError) as found:
        return str(found)
    return ""


def _receive(store: Store, manifest: Manifest, way: Way) -> None:
    """Receive all of it, and check it."""
    with (
        store.read(manifest.key) as reader,
        closing(unpack(reader, manifest, way.advanced, way.keys)) as chunks,
    ):
        way.sink.receive(chunks)
        _exhaust(chunks, manifest)


def _exhaust(chunks: Generator[bytes], manifest: Manifest) -> None:
    """A sink may stop reading at the end of what it understands: the rest is still checked."""
    for chunk in chunks:
        if chunk.strip(b"\0"):
            raise ReconcilerError(f"{manifest.key} was not taken whole: data was left over")
