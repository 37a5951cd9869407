"""What the journal says of containers that are held, and of a restore under way. Written before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from reconciler.errors import ReconcilerError
from reconciler.model.restores import Traces

How = Literal["stop", "pause"]


class HeldContainer(msgspec.Struct, frozen=True, kw_only=True):
    """A container that ran before, since ``started``. ``restart`` false: its label wants it left stopped.

    ``patience``: seconds that it gets to stop. Containers of one ``wave`` start together, the lowest first, and after those
    whose ids are in ``awaits`` are healthy. ``asked``: the Engine may have been asked to stop or pause it by now.
    """

    id: str
    name: str
    how: How
    started: str
    patience: float
    restart: bool = True
    wave: int = 0
    awaits: tuple[str, ...] = ()
    asked: bool = False


class HeldService(msgspec.Struct, frozen=True, kw_only=True):
    """A Swarm service, with the number of tasks that it had. ``restart`` as of a container."""

    id: str
    name: str
    replicas: int
    restart: bool = True


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record. ``why`` names the target; ``traces`` are those of a restore that did not end.

    ``placed``: what it restored is in its place. ``returning``: what was held may have been started again. ``trouble`` is why
    that failed, when it was tried last.
    """

    format: Literal["reconciler/journal/v1"] = "reconciler/journal/v1"
    why: str
    containers: tuple[HeldContainer, ...] = ()
    services: tuple[HeldService, ...] = ()
    traces: Traces = Traces()
    placed: bool = False
    returning: bool = False
    trouble: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that is to run again."""
        containers = (item.name for item in self.containers if item.restart)
        return (*containers, *(item.name for item in self.services if item.restart))

    @property
    def waves(self) -> tuple[tuple[HeldContainer, ...], ...]:
        """The containers in groups, in the order in which they start."""
        numbers = sorted({item.wave for item in self.containers})
        return tuple(tuple(item for item in self.containers if item.wave == number) for number in numbers)

    def asking(self, wave: int) -> Record:
        """The same once the Engine may be asked to hold the containers of ``wave``."""
        changed = (
            msgspec.structs.replace(item, asked=item.asked or item.wave == wave) for item in self.containers
        )
        return msgspec.structs.replace(self, containers=tuple(changed))

    def bringing_back(self) -> Record:
        """The same once containers may be started again."""
        return msgspec.structs.replace(self, returning=True)

    def troubled(self, failed: Iterable[str]) -> Record:
        """The same once that was tried, and failed."""
        return msgspec.structs.replace(self, returning=True, trouble="; ".join(failed))


def encode(record: Record) -> bytes:
    """The record as it is kept."""
    return msgspec.json.encode(record)


def decode(content: bytes) -> Record:
    """Raises ReconcilerError for what is no record."""
    try:
        return msgspec.json.decode(content, type=Record)
    except msgspec.DecodeError as error:
        raise ReconcilerError(f"a record in the journal cannot be read: {error}") from None
