"""In which order containers start, by the labels that compose leaves on them. Pure; used by ``hold``.

``com.docker.compose.depends_on`` reads ``db:service_healthy:false,cache:service_started:true``.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.ports import Container

_COMPOSE = "com.docker.compose."


def waves(containers: Iterable[Container]) -> tuple[tuple[Container, ...], ...]:
    """Groups to start one after the other, each by name; to stop, the other way round. A cycle is one last group."""
    left = sorted(containers, key=lambda item: item.name)
    ordered: list[tuple[Container, ...]] = []
    while left:
        free = tuple(item for item in left if not any(_needs(item, other) for other in left)) or tuple(left)
        ordered.append(free)
        left = [item for item in left if item not in free]
    return tuple(ordered)


def awaited(container: Container, others: Iterable[Container]) -> tuple[Container, ...]:
    """Those of ``others`` that must be healthy before ``container`` starts."""
    return tuple(other for other in others if _needs(container, other) == "service_healthy")


def _needs(container: Container, other: Container) -> str:
    """The condition under which ``container`` depends on ``other``; empty where it does not."""
    if other is container or _label(container, "project") != _label(other, "project"):
        return ""
    return _conditions(container).get(_label(other, "service"), "")


def _conditions(container: Container) -> dict[str, str]:
    entries = (entry.split(":") for entry in _label(container, "depends_on").split(",") if entry.strip())
    return {parts[0].strip(): parts[1] if len(parts) > 1 else "service_started" for parts in entries}


def _label(container: Container, name: str) -> str:
    return container.labels.get(_COMPOSE + name, "")
