"""Bring an artifact back: choose it, check that nothing is destroyed unasked, verify it, and only then put it in place.

Called by the command line and the loop. Reads destinations; writes only to the sink. The order is that of docs/restore.md:
restore-pre, unpack beside, stop what uses the place, swap, start it again, restore-post, remove the old data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reconciler.adapters.secrets import redact
from reconciler.choosing import Choice, choose, passed_over, unseen
from reconciler.errors import ReconcilerError
from reconciler.journal import Entry
from reconciler.lifecycle.hold import Hold
from reconciler.lifecycle.hooks import HookFailed
from reconciler.lifecycle.journalled import Record, encode
from reconciler.model import Fleet
from reconciler.model.restores import Traces
from reconciler.ports import Sink, World
from reconciler.restore.fetch import fetch, read_manifest
from reconciler.restore.keys import proven_keys
from reconciler.restore.users import insist_stoppable, stopped
from reconciler.restore.way import Restored, Stopping, Way, stopping

__all__ = [
    "Choice",
    "Restored",
    "Stopping",
    "Way",
    "choose",
    "passed_over",
    "proven_keys",
    "read_manifest",
    "restore",
    "stopping",
    "unseen",
]


def restore(choice: Choice, way: Way, fleet: Fleet, world: World) -> Restored:
    """Restore the chosen artifact from the first copy that proves good. The sink and the key have been checked already.

    Raises Corrupt when no copy is good, StoreError when none can be read, HookFailed, or what the sink raises; the old data
    is then still in place, or in place again. What hooks did is in ``way.hooks`` also then.
    """
    why = str(choice.artifact.target)
    insist_stoppable(way, world)
    with _traced(way.sink, world, why) as entry:
        try:
            way.hooks.run("restore-pre")
            received = fetch(choice, way, fleet, world)
            told = _put_in_place(way, world, why, entry)
        except BaseException as error:
            also = _always(way, error)
            if isinstance(error, ReconcilerError) and also:
                raise type(error)(f"{error}; {also}") from None
            raise
    warnings = (*received.warnings, *told, *way.hooks.warnings)
    return received._replace(warnings=warnings, hooks=tuple(way.hooks.outcomes))


def _always(way: Way, error: BaseException) -> str:
    """After a failure, the hooks of restore-post that say ``always``, where its turn had not come. What failed of them."""
    hooks = way.hooks
    if any(item.phase == "restore-post" for item in hooks.outcomes):
        return ""
    hooks.failed = True
    hooks.learn(error=redact(str(error)) or "interrupted")
    try:
        hooks.run("restore-post")
    except HookFailed as failed:
        return str(failed)
    return ""


@contextmanager
def _traced(sink: Sink, world: World, why: str) -> Iterator[Entry | None]:
    """The journal says for the block what a kill would leave. Every other end leaves nothing, or tells of it."""
    if sink.traces == Traces():
        yield None
        return
    entry = world.journal.begin(encode(Record(why=why, traces=sink.traces)))
    try:
        yield entry
    finally:
        try:
            entry.clear()
        finally:
            entry.let_go()


def _put_in_place(way: Way, world: World, why: str, entry: Entry | None) -> tuple[str, ...]:
    """Swap while nothing uses the place; then the hooks, and only then the old data goes. What to warn of."""
    sink = way.sink

    def swap() -> None:
        try:
            sink.commit()
            if entry is not None:
                entry.write(encode(Record(why=why, traces=sink.traces, placed=True)))
        except BaseException:
            sink.abort()  # before anything runs again
            raise

    try:
        hold = _while_stopped(swap, way, world, why)
    except BaseException:
        sink.abort()
        raise
    try:
        hold.settle()
        way.hooks.run("restore-post")
    except BaseException as error:
        _take_back(way, world, why, error)
        raise
    sink.finish()
    if hold.trouble:
        raise ReconcilerError(f"{why} is restored and in place, but {hold.trouble}")
    return hold.warnings


def _take_back(way: Way, world: World, why: str, error: BaseException) -> None:
    """The old data comes back; what is true then is told with an expected error. Raises ReconcilerError where it fails."""
    kept = way.sink.kept
    try:
        hold = _while_stopped(way.sink.revert, way, world, why)
    except ReconcilerError as failed:
        told = f"the restored data stays in place, and the old data {f'in {kept}' if kept else 'where it is'}: {failed}"
        raise ReconcilerError(f"{str(error) or 'interrupted'}; {told}") from None
    if isinstance(error, HookFailed):
        back = (
            "what was there before is back"
            if kept
            else "what was restored is taken away, where that can be done"
        )
        raise HookFailed("; ".join(filter(None, (f"{error}; {back}", hold.trouble)))) from None


def _while_stopped(change: Callable[[], None], way: Way, world: World, why: str) -> Hold:
    """Do it while nothing uses the place. What did not come back is told with what failed."""
    hold: Hold | None = None
    try:
        with stopped(way, world, why) as hold:
            change()
    except ReconcilerError as error:
        if hold is not None and hold.trouble:
            raise ReconcilerError(f"{error}; {hold.trouble}") from None
        raise
    return hold
