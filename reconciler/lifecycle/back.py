"""Brings back, in order, what a record says was held. Used by ``hold`` at its end, and by ``recovery`` after a kill.

Each container and service stands for itself: one that does not come back keeps no other from it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

from reconciler.adapters.ending import patience
from reconciler.errors import EngineError
from reconciler.lifecycle.journalled import HeldContainer, HeldService, Record
from reconciler.lifecycle.waiting import RUNNING_SECONDS, await_health, side_by_side, wait_until
from reconciler.ports import Container, Engine, World

AWAY_SECONDS = 120.0
"""How long an Engine that does not answer is waited for: it may be being restarted."""
REFUSED_SECONDS = 3.0
"""How long it is asked again when it refuses."""

_LATER = 1.0  # seconds until it is asked again


class Back(NamedTuple):
    """In sentences: what came back, what did not and why, and what was removed or replaced meanwhile."""

    told: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


class _Final(EngineError):
    """There is no use in another attempt."""


class _Gone(_Final):
    """There is nothing any more to bring back."""


def bring_back(record: Record, world: World, sure: Collection[str] = ()) -> Back:
    """Bring back all that ran before and is as it was left. Raises nothing that is expected.

    What was started since is left alone, unless it was a run ``returning`` it that died: then it may have ended with that.
    ``sure`` are the ids of containers whose stop or pause has surely ended. Of any other, the Engine may still be at work for
    a client that is dead: that has to end first.
    """
    return _Return(record, world, sure).run()


class _Return:
    """One record being put right."""

    def __init__(self, record: Record, world: World, sure: Collection[str]) -> None:
        self._record = record
        self._world = world
        self._sure = sure
        self._deadline = world.clock.monotonic() + AWAY_SECONDS
        self._lost = False
        self._begun: set[str] = set()
        self._patience = REFUSED_SECONDS
        self._told: list[str] = []
        self._failed: dict[str, str] = {}
        self._gone: list[str] = []

    def run(self) -> Back:
        for wave in self._record.waves:
            side_by_side([item for item in wave if item.restart], self._container)
        # What failed may have needed another one that started after it, as its network does: once more.
        self._patience = 0.0
        side_by_side([item for item in self._record.containers if item.id in self._failed], self._container)
        for service in self._record.services:
            if service.restart:
                self._attempt(service.id, f"service {service.name}", partial(self._service, service))
        return Back(tuple(self._told), tuple(self._failed.values()), tuple(self._gone))

    @property
    def _engine(self) -> Engine:
        return self._world.host.engine()

    def _container(self, held: HeldContainer) -> None:
        self._attempt(held.id, f"container {held.name}", partial(self._returned, held))

    def _attempt(self, key: str, name: str, call: Callable[[], str]) -> None:
        try:
            told = self._insist(call)
        except _Gone:
            self._gone.append(f"{name} was removed or replaced while it was held")
            return
        except EngineError as error:
            self._failed[key] = f"{name} does not run again: {error}"
            return
        self._failed.pop(key, None)
        if told:
            self._told.append(f"{name} {told}")

    def _insist(self, call: Callable[[], str]) -> str:
        """Call it, again while the Engine does not answer at all, and for some seconds while it refuses. Raises EngineError.

        An Engine that has just been started refuses a start while it is about to start the container itself.
        """
        clock, pause = self._world.clock, threading.Event()
        begun = clock.monotonic()
        while True:
            try:
                return call()
            except _Final:
                raise
            except EngineError:
                limit = begun + self._patience if self._answers() else self._deadline
                if self._lost or clock.monotonic() > limit:
                    self._lost = limit == self._deadline  # nothing else of this record waits for it
                    raise
            pause.wait(_LATER)

    def _answers(self) -> bool:
        try:
            self._engine.containers()
        except EngineError:
            return False
        return True

    def _returned(self, held: HeldContainer) -> str:
        """Start or continue it, where it is still the one that ran; what was done. Raises EngineError."""
        found = self._engine.container(held.id)
        if found is None:
            raise _Gone
        if self._is_settled(held, found):
            return ""
        for other in held.awaits:
            await_health(other, self._engine, self._world.clock)
        self._make_sure(held, found)
        self._begun.add(held.id)
        paused = self._engine.container(held.id)
        if paused is not None and paused.state == "paused":
            self._engine.unpause(held.id)
        else:
            self._engine.start(held.id)
        self._insist_running(held)
        return "was continued" if held.how == "pause" else "was started again"

    def _is_settled(self, held: HeldContainer, found: Container) -> bool:
        """Whether there is nothing to do: it was never touched, or somebody has started it since."""
        if found.started == held.started:
            return found.is_up and not held.asked
        ours = self._record.returning or held.id in self._begun
        return found.is_up or not ours

    def _make_sure(self, held: HeldContainer, found: Container) -> None:
        """After this, no stop or pause that somebody asked for before takes effect any more."""
        if held.id in self._sure or not found.is_up:
            return
        if held.how == "stop":
            self._engine.stop(held.id, patience(held.patience))
        elif found.state == "running":
            self._engine.pause(held.id)

    def _insist_running(self, held: HeldContainer) -> None:
        """Wait until it runs. Raises EngineError when it does not."""
        ended = ""

        def settled() -> bool:
            nonlocal ended
            found = self._engine.container(held.id)
            if found is None or (found.started != held.started and not found.is_up):
                ended = "it ended as soon as it was started"
            return bool(ended) or (found is not None and found.state == "running")

        if not wait_until(settled, self._world.clock, RUNNING_SECONDS):
            ended = f"it was started, and does not run after {RUNNING_SECONDS:.0f} s"
        if ended:
            raise _Final(f"{ended}; docker logs {held.name} may say why")

    def _service(self, held: HeldService) -> str:
        """Scale it up where it still is as it was left; what was done. Raises EngineError."""
        found = self._engine.service(held.id)
        if found is None:
            raise _Gone
        if found.replicas not in (0, held.replicas):
            return ""
        # Also where it has its tasks: a request to scale it down, of a dead client and still on its way, is stale by that.
        self._engine.scale(held.id, held.replicas)
        if not wait_until(lambda: self._tasks(held) >= held.replicas, self._world.clock, RUNNING_SECONDS):
            raise EngineError(f"it does not have its {held.replicas} tasks after {RUNNING_SECONDS:.0f} s")
        return "" if found.replicas else f"has its {held.replicas} tasks again"

    def _tasks(self, held: HeldService) -> int:
        found = self._engine.service(held.id)
        return found.running if found else 0
