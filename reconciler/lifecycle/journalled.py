"""What the journal says of containers that are held, and of a restore under way. Written before anything is touched."""

from __future__ import annotations

from typing import Literal

import msgspec

from reconciler.errors import ReconcilerError
from reconciler.ports import Traces


class HeldContainer(msgspec.Struct, frozen=True, kw_only=True):
    """A container that ran before, since ``started``. ``restart`` false: its label wants it left stopped.

    ``patience``: seconds that it gets to stop; None for its own.
    """

    id: str
    name: str
    how: Literal["stop", "pause"]
    started: str = ""
    patience: float | None = None
    restart: bool = True


class HeldService(msgspec.Struct, frozen=True, kw_only=True):
    """A Swarm service, with the number of tasks that it had."""

    id: str
    name: str
    replicas: int


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record. ``containers`` stand in the order in which they start; ``why`` names the target.

    ``traces`` are those of a restore that did not end.
    """

    format: Literal["reconciler/journal/v1"] = "reconciler/journal/v1"
    why: str
    containers: tuple[HeldContainer, ...] = ()
    services: tuple[HeldService, ...] = ()
    traces: Traces = Traces()

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that is to run again."""
        return (
            *(item.name for item in self.containers if item.restart),
            *(item.name for item in self.services),
        )


def encode(record: Record) -> bytes:
    """The record as it is kept."""
    return msgspec.json.encode(record)


def decode(content: bytes) -> Record:
    """Raises ReconcilerError for what is no record."""
    try:
        return msgspec.json.decode(content, type=Record)
    except msgspec.DecodeError as error:
        raise ReconcilerError(f"a record in the journal cannot be read: {error}") from None
