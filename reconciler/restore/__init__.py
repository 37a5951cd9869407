"""Bring an artifact back: choose it, check that nothing is destroyed unasked, verify it, and only then put it in place.

Called by the command line and the loop. Reads destinations; writes only to the sink.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from reconciler.errors import (
    CipherError,
    Corrupt,
    EngineError,
    ReconcilerError,
    Refused,
    StoreError,
    WrongKey,
)
from reconciler.holders import holders
from reconciler.lifecycle.hold import STOP, Hold, held
from reconciler.lifecycle.hooks import HookFailed, Hooks
from reconciler.lifecycle.journalled import Record, encode
from reconciler.manifests import decode
from reconciler.model import Copy, Fleet, HookOutcome, Manifest, Uses
from reconciler.naming import manifest_key
from reconciler.pipeline.decrypt import NO_KEYS, Keys
from reconciler.pipeline.unpack import unpack, verified
from reconciler.ports import Sink, Store, Traces, World
from reconciler.restore.choose import Choice, choose, passed_over, unseen
from reconciler.restore.keys import proven_keys

__all__ = [
    "Choice",
    "Restored",
    "Way",
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
    hooks: tuple[HookOutcome, ...] = ()


def read_manifest(choice: Choice, fleet: Fleet, world: World) -> Manifest:
    """The manifest of the chosen artifact, from the first destination where it is readable. Raises Corrupt."""
    reasons: list[str] = []
    for name, copy in choice.copies:
        try:
            return _manifest(world.store(fleet.destination(name)), copy)
        except (Corrupt, StoreError) as error:
            reasons.append(f"{name}: {error}")
    raise Corrupt("no readable manifest: " + "; ".join(reasons))


class Way(NamedTuple):
    """How a restore goes: where to, with which keys and hooks, and who watches.

    ``stop`` false refuses where a container would have to be stopped.
    """

    sink: Sink
    hooks: Hooks
    advanced: Callable[[int], None]
    keys: Keys = NO_KEYS
    stop: bool = True


def restore(choice: Choice, way: Way, fleet: Fleet, world: World) -> Restored:
    """Restore the chosen artifact from the first copy that proves good. The sink and the key have been checked already.

    Raises Corrupt when no copy is good, StoreError when none can be read, HookFailed, or what the sink raises; the old data
    is then still in place, or in place again.
    """
    why = str(choice.artifact.target)
    entry = (
        world.journal.begin(encode(Record(why=why, traces=way.sink.traces))) if _leaves(way.sink) else None
    )
    try:
        way.hooks.run("restore-pre")
        received = _received(choice, way, fleet, world)
        trouble = _put_in_place(way, world, why)
        if entry is not None:
            entry.clear()
        warnings = (*received.warnings, *trouble, *way.hooks.warnings)
        return received._replace(warnings=warnings, hooks=tuple(way.hooks.outcomes))
    except ReconcilerError:
        if entry is not None:
            entry.clear()
        raise
    finally:
        if entry is not None:
            entry.let_go()


def _leaves(sink: Sink) -> bool:
    return sink.traces != Traces()


def _received(choice: Choice, way: Way, fleet: Fleet, world: World) -> Restored:
    """Get the data to the sink, from the first good copy; a sink that cannot stage has it in place then."""
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
            with _held(way, world, str(choice.artifact.target), when=not way.sink.staged):
                _receive(store, manifest, way)
        except BaseException as error:
            way.sink.abort()
            # Where something went out that cannot be taken back, a second copy must not follow it.
            if (
                way.sink.staged
                and isinstance(error, ReconcilerError)
                and (why := _fault(store, manifest, error))
            ):
                bad.append(f"{name}: {why}")
                continue
            raise
        return Restored(manifest, name, tuple(bad))
    raise Corrupt(
        f"{choice.artifact.key} cannot be restored from any destination; the target is as it was. "
        + "; ".join(bad)
    )


def _put_in_place(way: Way, world: World, why: str) -> tuple[str, ...]:
    """Swap while nothing uses the place; then the hooks, and only then the old data goes. What to warn of."""
    try:
        with _held(way, world, why, when=way.sink.staged) as hold:
            way.sink.commit()
    except BaseException:
        way.sink.abort()
        raise
    try:
        hold.settle()
        way.hooks.run("restore-post")
    except BaseException as error:
        with _held(way, world, why, when=True):
            way.sink.revert()
        if isinstance(error, HookFailed):
            raise HookFailed(f"{error}; what was there before is back, as far as it could be kept") from None
        raise
    way.sink.finish()
    if hold.trouble:
        raise ReconcilerError(f"{why} is restored and in place, but {hold.trouble}")
    return hold.warnings


@contextmanager
def _held(way: Way, world: World, why: str, *, when: bool) -> Iterator[Hold]:
    """Stop for the block what uses the place, where there is an Engine at all."""
    uses = way.sink.uses if when else Uses()
    if uses.paths and not uses.volumes and not _has_engine(world):
        uses = Uses()
    if uses == Uses():
        with held(uses, None, (), world, why) as hold:
            yield hold
        return
    if not way.stop and (names := _running(world, uses)):
        raise Refused(
            f"{', '.join(names)} would have to be stopped, and --no-stop forbids it; nothing was changed"
        )
    with held(uses, STOP, (), world, why) as hold:
        yield hold


def _has_engine(world: World) -> bool:
    """Whether an Engine answers; where none does, nothing of it can use a folder of this machine."""
    try:
        world.host.engine()
    except EngineError:
        return False
    return True


def _running(world: World, uses: Uses) -> list[str]:
    return [item.name for item in holders(world.host.engine().containers(), uses) if item.is_up]


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
