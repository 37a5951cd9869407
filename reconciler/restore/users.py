"""The containers that use the place of a restore: stopped while it changes hands, and started again. Used by ``restore``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from reconciler.adapters.node import own_container
from reconciler.errors import NoEngine, Refused
from reconciler.holders import holders
from reconciler.lifecycle.hold import Hold, held
from reconciler.model import Quiesce, Uses
from reconciler.ports import Container, World
from reconciler.restore.way import Way


@contextmanager
def stopped(way: Way, world: World, why: str) -> Iterator[Hold]:
    """Stop for the block what uses the place.

    Raises Refused where that cannot or may not be done, or something is started meanwhile; EngineError.
    """
    users = _insist_stoppable(way, world)
    if users:
        way.said(f"stopping {_names(users)} for the swap")
    begun = world.clock.monotonic()
    ids = tuple(item.id for item in users)
    quiesce = Quiesce(mode="stop", containers=ids, stop_timeout=way.stopping.patience) if ids else None
    with held(Uses(), quiesce, (), world, why, at_once=True) as hold:
        if late := _names(_users(way.sink.uses, world)):
            raise Refused(f"{late} was started while the place was about to be swapped: stop it first")
        yield hold
    if users and not hold.trouble:
        way.said(f"{_names(users)} running again after {world.clock.monotonic() - begun:.1f} s")


def insist_stoppable(way: Way, world: World) -> None:
    """Raises Refused where a container that uses the place may not be stopped, or cannot. Nothing was touched yet."""
    _insist_stoppable(way, world)


def _insist_stoppable(way: Way, world: World) -> tuple[Container, ...]:
    users = _users(way.sink.uses, world)
    if not users:
        return ()
    if why := way.stopping.forbidden:
        raise Refused(f"{_names(users)} would have to be stopped, which {why} forbids; nothing was changed")
    if not way.sink.staged:
        raise Refused(
            f"{_names(users)} would have to be stopped for the whole restore, as the data cannot be unpacked beside it:"
            f" stop it first (docker stop {_names(users, ' ')}); nothing was changed"
        )
    if doomed := _names(item for item in users if _vanishes(item, world)):
        raise Refused(
            f"{doomed} was started with --rm and would be gone once it is stopped: stop it yourself; nothing was changed"
        )
    if frozen := _names(item for item in users if item.state == "paused"):
        raise Refused(f"{frozen} is paused: unpause or stop it first; nothing was changed")
    return users


def _users(uses: Uses, world: World) -> tuple[Container, ...]:
    """What runs with a mount of the place, read-only ones too: they would go on to see the old data, and never the new."""
    if uses == Uses():
        return ()
    try:
        engine = world.host.engine()
    except NoEngine:
        return ()
    found = holders(engine.containers(), uses, engine.volumes(), readers=True)
    own = own_container()
    return tuple(item for item in found if item.is_up and not (own and item.id.startswith(own)))


def _vanishes(container: Container, world: World) -> bool:
    found = world.host.engine().container(container.id)
    return found is not None and found.auto_remove


def _names(containers: Iterable[Container], between: str = ", ") -> str:
    return between.join(item.name for item in containers)
