"""Which containers and services are held, and whether they may be. Looks at the Engine, and touches nothing.

Used by ``hold``.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from typing import NamedTuple

from reconciler.errors import EngineError, Refused
from reconciler.holders import holders
from reconciler.lifecycle.journalled import HeldService
from reconciler.lifecycle.waiting import HEALTHY_SECONDS, wait_until
from reconciler.model import LabelStop, Quiesce, Uses
from reconciler.ports import Clock, Container, Engine


class Choice(NamedTuple):
    """What is to be held: ``containers`` by ``how``, those of ``stay`` (ids) are not started again."""

    containers: tuple[Container, ...]
    services: tuple[HeldService, ...]
    how: str
    stay: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


def choose(
    uses: Uses, quiesce: Quiesce | None, stops: tuple[LabelStop, ...], engine: Engine, clock: Clock
) -> Choice:
    """What runs now and is asked for. Raises Refused where something of it cannot be held, EngineError."""
    present = engine.containers()
    asked = _asked(present, uses, quiesce)
    how = quiesce.mode if quiesce else "stop"
    by_label = [_named(present, stop.container) for stop in stops]
    stay = frozenset(item.id for item, stop in zip(by_label, stops, strict=True) if not stop.restart)
    names = {item.id: item for item in (*asked, *by_label)}
    warnings = tuple(
        f"{item.name} is the reconciler's own container: it is not held"
        for item in names.values()
        if _own(item)
    )
    running = [item for item in names.values() if item.state in ("running", "restarting") and not _own(item)]
    tasks = [item for item in running if item.service and how == "stop"]
    services = _services({item.service for item in tasks}, engine)
    alone = tuple(_looked_at(item, engine, clock, how) for item in running if item not in tasks)
    return Choice(alone, services, how, stay, warnings)


def _asked(present: Iterable[Container], uses: Uses, quiesce: Quiesce | None) -> tuple[Container, ...]:
    if quiesce is None or quiesce.mode == "none":
        return ()
    if quiesce.containers:
        return tuple(_named(present, name) for name in quiesce.containers)
    return holders(present, uses)


def _named(present: Iterable[Container], name: str) -> Container:
    for item in present:
        if name in (item.name, item.id, item.id[:12]):
            return item
    raise Refused(f"container {name}, which is to be held, does not exist: docker ps -a shows those that do")


def _own(container: Container) -> bool:
    """Whether this process runs in it: the Engine gives a container the beginning of its id as host name."""
    return len(platform.node()) == 12 and container.id.startswith(platform.node())


def _services(names: set[str], engine: Engine) -> tuple[HeldService, ...]:
    found = []
    for name in sorted(names):
        service = engine.service(name)
        if service is None:
            raise Refused(
                f"a task of the Swarm service {name} is to be stopped, but this Engine is no manager of the Swarm:"
                f" use quiesce: pause, or run the reconciler on a manager"
            )
        if service.replicas is None:
            raise Refused(
                f"the Swarm service {name} is global and cannot be scaled down: use quiesce: pause, or hooks"
            )
        found.append(HeldService(id=service.id, name=service.name, replicas=service.replicas))
    return tuple(found)


def _looked_at(container: Container, engine: Engine, clock: Clock, how: str) -> Container:
    """The container with all that is known of it; one that is still starting is waited for."""

    def settled() -> bool:
        found = engine.container(container.id)
        return found is None or found.health != "starting"

    if not wait_until(settled, clock, HEALTHY_SECONDS):
        raise EngineError(
            f"container {container.name} is still starting after {HEALTHY_SECONDS:.0f} s: it is not stopped now"
        )
    found = engine.container(container.id)
    if found is None:
        raise EngineError(f"container {container.name} vanished before it could be held")
    if how == "stop" and found.auto_remove:
        raise Refused(
            f"container {found.name} was started with --rm: stopping it would remove it; use quiesce: pause"
        )
    return found
