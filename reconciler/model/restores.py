"""Restores: what users write as documents, built by ``spec`` alone; and what a restore leaves when it is killed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated

import msgspec
from msgspec import Meta

from reconciler.model.base import Name, SpecModel, TargetId


class RestoreTarget(SpecModel, frozen=True, kw_only=True):
    """What is restored."""

    service: Annotated[
        Name, Meta(title="Service", description="Service of the target.", examples=["grafana"])
    ]
    type: Annotated[Name, Meta(title="Type", description="Type of the target.", examples=["data"])]

    @property
    def id(self) -> TargetId:
        """Service and type."""
        return TargetId(self.service, self.type)


class RestoreTo(SpecModel, frozen=True, kw_only=True):
    """Where a restore goes, when not to where the data came from. One of the three."""

    volume: Annotated[
        Annotated[str, Meta(pattern="^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")] | None,
        Meta(
            title="Volume",
            description="Name of a volume; a missing one is made.",
            examples=["grafana_data_restored"],
        ),
    ] = None
    path: Annotated[
        Annotated[str, Meta(pattern=r"^[^\x00]+$")] | None,
        Meta(
            title="Path",
            description="A folder; a relative path starts at the folder of the file that names it.",
            examples=["/srv/look"],
        ),
    ] = None
    container: Annotated[
        Annotated[str, Meta(pattern="^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")] | None,
        Meta(
            title="Container",
            description="A container whose restore command is fed.",
            examples=["shop-db-new"],
        ),
    ] = None

    def __str__(self) -> str:
        """As ``restore --to`` takes it."""
        if self.volume:
            return f"volume:{self.volume}"
        return f"path:{self.path}" if self.path else f"container:{self.container}"


class RestoreOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A restore as a commit: done once. ``digest`` tells a changed document from the one that was done; ``at`` is UTC."""

    name: str
    target: TargetId
    digest: str
    at: datetime | None = None
    source: str = ""
    to: RestoreTo | None = None
    overwrite: bool = False
    where: str = ""


NO_FACTS: Mapping[str, str] = MappingProxyType({})
"""For a sink that need not make again what is gone."""


MADE = "io.reconciler.restore"
"""Label of a volume that a restore made and only the Engine can reach; its value says which restore it was."""


class Traces(msgspec.Struct, frozen=True):
    """What a restore leaves when it is killed: beside ``places``, inside ``mounts``, and a ``volume`` made for it.

    ``mark`` is what the volume's label MADE says, where it has one. ``filled`` is a volume that was there, empty, and may
    hold a part of the data now: nothing of it can be removed from here.
    """

    places: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    volume: str = ""
    mark: str = ""
    filled: str = ""
