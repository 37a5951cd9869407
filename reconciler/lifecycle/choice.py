"""Which containers and services are held, and whether they may be. Looks at the Engine, and touches nothing.

Used by ``hold``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from reconciler.adapters.node import own_container
from reconciler.durations import seconds
from reconciler.errors import EngineError, Refused
from reconciler.holders import holders
from reconciler.lifecycle.journalled import HeldContainer, HeldService, How, Record
from reconciler.lifecycle.order import awaited, waves
from reconciler.lifecycle.waiting import HEALTHY_SECONDS, await_health
from reconciler.model import LabelStop, Quiesce, Uses
from reconciler.ports import Clock, Container, Engine, Volume


class Asked(NamedTuple):
    """What is asked for: the holders of ``uses`` or those that ``quiesce`` names, and those that labels want stopped.

    ``at_once``: one that is still starting is not waited for; what it runs on is about to be replaced.
    """

    uses: Uses
    quiesce: Quiesce | None = None
    stops: tuple[LabelStop, ...] = ()
    at_once: bool = False

    @property
    def anything(self) -> bool:
        """Whether something is to be held at all."""
        return bool(self.stops) or (self.quiesce is not None and self.quiesce.mode != "none")

    @property
    def how(self) -> How:
        """The one way in which all of them are held."""
        return "pause" if self.quiesce and self.quiesce.mode == "pause" else "stop"


class Choice(NamedTuple):
    """What is to be held, in the journal's words, and what to warn of."""

    containers: tuple[HeldContainer, ...] = ()
    services: tuple[HeldService, ...] = ()
    warnings: tuple[str, ...] = ()

    def record(self, why: str) -> Record:
        """What the journal says of it."""
        return Record(why=why, containers=self.containers, services=self.services)


def choose(asked: Asked, engine: Engine, clock: Clock) -> Choice:
    """What runs now and is asked for. Raises Refused where something of it cannot be held, EngineError."""
    present = engine.containers()
    meant = _meant(asked, present, engine.volumes())
    named = (item for stop in asked.stops for item in _named(present, stop.container) if not stop.restart)
    # Nothing stays paused: it would hang for ever.
    stay = {item.id for item in named} if asked.how == "stop" else set()
    own = tuple(
        f"{item.name} is the reconciler's own container: it is not held" for item in meant if _own(item)
    )
    running = [item for item in meant if _runs(item) and not _own(item)]
    tasks = [item for item in running if item.service and asked.how == "stop"]
    services = _services(tasks, stay, engine)
    seen = (_looked_at(item, asked, engine, clock) for item in running if item not in tasks)
    alone = [item for item in seen if _runs(item)]
    return Choice(_in_order(alone, asked, stay), services, own)


def running(asked: Asked, engine: Engine) -> tuple[Container, ...]:
    """What is asked for and runs now: nothing, while all of it is held. Raises EngineError."""
    meant = _meant(asked, engine.containers(), engine.volumes(), insist=False)
    return tuple(item for item in meant if _runs(item) and not _own(item))


def _meant(
    asked: Asked, present: Iterable[Container], volumes: Iterable[Volume], *, insist: bool = True
) -> tuple[Container, ...]:
    """The containers that are asked for, whether they run or not, each once."""
    quiesce = asked.quiesce if asked.quiesce and asked.quiesce.mode != "none" else None
    names = [*(quiesce.containers if quiesce else ()), *(stop.container for stop in asked.stops)]
    found = [item for name in names for item in _named(present, name, insist=insist)]
    if quiesce and not quiesce.containers:
        found += holders(present, asked.uses, volumes)
    return tuple({item.id: item for item in found}.values())


def _named(present: Iterable[Container], name: str, *, insist: bool = True) -> list[Container]:
    """The container of that name, or the tasks of the Swarm service."""
    found = [item for item in present if name in (item.name, item.id, item.id[:12], item.service)]
    if insist and not found:
        raise Refused(
            f"container {name}, which is to be held, does not exist: docker ps -a shows those that do"
        )
    return found


def _runs(container: Container) -> bool:
    return container.state in ("running", "restarting")


def _own(container: Container) -> bool:
    """Whether this process runs in it."""
    own = own_container()
    return bool(own) and container.id.startswith(own)


def _services(tasks: list[Container], stay: set[str], engine: Engine) -> tuple[HeldService, ...]:
    found = []
    for name in sorted({item.service for item in tasks}):
        service = engine.service(name)
        if service is None:
            raise Refused(
                f"a task of the Swarm service {name} is to be stopped, but this Engine is no manager of the Swarm:"
                f" use quiesce: pause, or run the reconciler on a manager"
            )
        if service.replicas is None:
            raise Refused(
                f"the Swarm service {name} is not replicated (it is global, or a job) and cannot be scaled down:"
                f" use quiesce: pause, or hooks"
            )
        restart = not any(item.id in stay for item in tasks if item.service == name)
        held = HeldService(id=service.id, name=service.name, replicas=service.replicas, restart=restart)
        found.append(held)
    return tuple(found)


def _looked_at(container: Container, asked: Asked, engine: Engine, clock: Clock) -> Container:
    """The container with all that is known of it; one that is still starting is waited for."""
    how = asked.how
    found = engine.container(container.id) if asked.at_once else await_health(container.id, engine, clock)
    if found is None:
        raise EngineError(f"container {container.name} vanished before it could be held")
    if found.health == "starting" and found.is_up and not asked.at_once:
        raise EngineError(
            f"container {container.name} is still starting after {HEALTHY_SECONDS:.0f} s: it is not held now"
        )
    if how == "stop" and found.auto_remove:
        raise Refused(
            f"container {found.name} was started with --rm: stopping it would remove it; use quiesce: pause"
        )
    if how == "pause" and found.state == "restarting":
        raise Refused(
            f"container {found.name} is restarting again and again, and cannot be paused: use quiesce: stop,"
            f" or see why (docker logs {found.name})"
        )
    return found


def _in_order(containers: list[Container], asked: Asked, stay: set[str]) -> tuple[HeldContainer, ...]:
    back = [item for item in containers if item.id not in stay]
    return tuple(
        HeldContainer(
            id=item.id,
            name=item.name,
            how=asked.how,
            started=item.started,
            patience=_patience(asked, item),
            restart=item.id not in stay,
            wave=number,
            awaits=tuple(other.id for other in awaited(item, back)),
        )
        for number, wave in enumerate(waves(containers))
        for item in wave
    )


def _patience(asked: Asked, container: Container) -> float:
    own = asked.quiesce.stop_timeout if asked.quiesce else None
    return seconds(own) if own else container.stop_timeout
