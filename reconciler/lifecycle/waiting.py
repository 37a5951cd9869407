"""Waiting with a deadline, and doing things at the same time. Used by the modules beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from reconciler.adapters.ending import is_late
from reconciler.ports import Clock, Container, Engine

T = TypeVar("T")

HEALTHY_SECONDS = 300.0
"""How long a container may take to become healthy, and the tasks of a service to be gone."""
RUNNING_SECONDS = 60.0
"""How long a container or service may take to run again."""

_POLL = 0.1


def wait_until(ready: Callable[[], bool], clock: Clock, seconds: float) -> bool:
    """Whether ``ready`` became true within so many seconds; after a signal within fewer."""
    deadline = clock.monotonic() + seconds
    pause = threading.Event()
    while not ready():
        if clock.monotonic() > deadline or is_late():
            return False
        pause.wait(_POLL)
    return True


def await_health(container: str, engine: Engine, clock: Clock) -> Container | None:
    """The container once its health check no longer says starting, or 5 minutes are over; None when it is gone.

    Raises EngineError.
    """
    seen: list[Container | None] = []

    def settled() -> bool:
        seen.append(engine.container(container))
        return seen[-1] is None or seen[-1].health != "starting" or not seen[-1].is_up

    wait_until(settled, clock, HEALTHY_SECONDS)
    return seen[-1]


def side_by_side(
    items: Sequence[T], call: Callable[[T], None], hasten: Callable[[T], None] = lambda _: None
) -> None:
    """Call it for each at the same time; raises what the first of them raised, after all have ended.

    An interrupt waits for that, too: ``hasten`` is then called for each, so that ``call`` ends soon.
    """
    if not items:
        return
    with ThreadPoolExecutor(2 * len(items), "hold") as pool:
        waiting = [pool.submit(call, item) for item in items]
        try:
            wait(waiting)
        except KeyboardInterrupt:
            for item in items:
                pool.submit(hasten, item)
            raise
    for future in waiting:
        future.result()
