"""Copy an artifact from a good copy to a destination that lacks it; every byte is checked against the manifest on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial

from reconciler.apply.commit import Upload
from reconciler.apply.result import Result
from reconciler.errors import Corrupt, ReconcilerError, StoreError
from reconciler.manifests import decode
from reconciler.model import Fleet, Manifest, Replicate
from reconciler.naming import manifest_key
from reconciler.pipeline.transfer import CHUNK
from reconciler.ports import Progress, Store, World, Writer


def replicate(action: Replicate, fleet: Fleet, world: World, progress: Progress) -> Result:
    """Try the sources in order until one proves good. Raises ReconcilerError when none does, or the destination fails."""
    target = world.store(fleet.destination(action.destination))
    rotten: list[str] = []
    for name in action.sources:
        source = world.store(fleet.destination(name))
        with Upload(target, action.key, world.node, world.clock.now()) as upload:
            try:
                content, manifest = _read_manifest(source, action.key)
                _copy(source, upload.writer, manifest, partial(progress.advanced, action.target))
            except Corrupt as error:
                rotten.append(f"the copy at {name} cannot be used: {error}")
                continue
            upload.commit(content, replace=True)
        return Result(warnings=tuple(rotten), size=manifest.size, verified=name)
    raise ReconcilerError("no good copy to make it from: " + "; ".join(rotten))


def _read_manifest(store: Store, key: str) -> tuple[bytes, Manifest]:
    try:
        content = store.get(manifest_key(key))
    except StoreError as error:
        raise Corrupt(str(error)) from None
    return content, decode(content, key)


def _copy(store: Store, writer: Writer, manifest: Manifest, advanced: Callable[[int], None]) -> None:
    """Hash and write, a chunk at a time. Raises Corrupt when the source is not the manifest's, StoreError of the writer."""
    digest = hashlib.sha256()
    size = 0
    with closing(_chunks(store, manifest.key)) as chunks:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            writer.write(chunk)
            advanced(len(chunk))
    if size != manifest.size:
        raise Corrupt(f"{manifest.key} has {size} bytes instead of {manifest.size}")
    if digest.hexdigest() != manifest.sha256:
        raise Corrupt(f"{manifest.key} has the sha256 {digest.hexdigest()} instead of {manifest.sha256}")


def _chunks(store: Store, key: str) -> Generator[bytes]:
    """The stored bytes of a source. One that cannot be read is like one that is corrupt: the next is tried."""
    try:
        with store.read(key) as reader:
            while chunk := reader.read(CHUNK):
                yield chunk
    except StoreError as error:
        raise Corrupt(str(error)) from None
