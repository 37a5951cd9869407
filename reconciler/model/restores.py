"""Restores as documents: what users write, and what becomes of it. Built by ``spec`` alone."""

from __future__ import annotations

from datetime import datetime
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
