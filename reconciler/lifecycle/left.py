"""What runs have left that is still to be put right, and whether containers are down by it. Touches nothing; used by the loop.

A journal entry alone does not say so: somebody may have started by hand what it names. So the Engine is asked, where there
is an entry at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from reconciler.errors import EngineError, ReconcilerError
from reconciler.lifecycle.journalled import HeldContainer, HeldService, Record, decode
from reconciler.model.restores import Traces
from reconciler.ports import Engine, World

_APPLY = "reconciler apply puts it right"


class Left(NamedTuple):
    """One entry of the journal. ``why`` names the target; empty where the entry cannot be read.

    ``wrong``: a container that it names does not run, or that cannot be told.
    """

    why: str
    text: str
    wrong: bool


def left(world: World) -> tuple[Left, ...]:
    """Every entry that no run is at work on. Raises nothing."""
    found: list[Left] = []
    try:
        for content, entry in world.journal.abandoned():
            entry.let_go()
            try:
                found.append(_judged(decode(content), world))
            except ReconcilerError as error:
                found.append(Left("", str(error), wrong=True))
    except ReconcilerError as error:  # the journal cannot be listed
        found.append(Left("", str(error), wrong=True))
    return tuple(found)


def _judged(record: Record, world: World) -> Left:
    why = record.why
    try:
        down = tuple(_down(record, world.host.engine())) if record.names else ()
    except EngineError:
        return Left(why, f"{_may_be_down(record)}; the Engine cannot be asked; {_APPLY}", wrong=True)
    if record.trouble and (down or record.traces != Traces()):
        return Left(why, f"{record.trouble}; the next run tries again", wrong=True)
    if down:
        return Left(
            why, f"a run for {why} died and left {', '.join(down)} {how(record)}; {_APPLY}", wrong=True
        )
    runs = f": {', '.join(record.names)} runs" if record.names else " and left what is to be tidied up"
    return Left(why, f"a run for {why} died{runs}; {_APPLY}", wrong=False)


def _may_be_down(record: Record) -> str:
    return (
        record.trouble
        or f"a run for {record.why} died and may have left {', '.join(record.names)} {how(record)}"
    )


def how(record: Record) -> str:
    """What was done to its containers, in a word."""
    return "paused" if any(item.how == "pause" for item in record.containers) else "stopped"


def _down(record: Record, engine: Engine) -> Iterator[str]:
    """The names of what should run again and does not. Raises EngineError."""
    for item in record.containers:
        if item.restart and _is_down(item, engine, returning=record.returning):
            yield item.name
    for service in record.services:
        if service.restart and _lacks_tasks(service, engine):
            yield service.name


def _is_down(held: HeldContainer, engine: Engine, *, returning: bool) -> bool:
    """Not what was removed, nor what somebody started since and ended: the next run leaves that alone, too."""
    found = engine.container(held.id)
    if found is None or found.state in ("running", "restarting"):
        return False
    return returning or found.started == held.started


def _lacks_tasks(held: HeldService, engine: Engine) -> bool:
    found = engine.service(held.id)
    return found is not None and found.replicas in (0, held.replicas) and found.running < held.replicas
