"""A Restore document becomes the model. Used by build."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

import msgspec

from reconciler.model import RestoreOrder
from reconciler.spec.documents import RestoreDocument
from reconciler.spec.locate import path_of


def restore(document: RestoreDocument, where: str, folder: Path) -> RestoreOrder:
    """The restore; its digest covers the name and everything that is asked for, not where the document stands."""
    spec = document.spec
    to = spec.to
    if to and to.path:
        to = msgspec.structs.replace(to, path=path_of(to.path, folder))
    said = msgspec.json.encode((document.metadata.name, spec), order="deterministic")
    return RestoreOrder(
        name=document.metadata.name,
        target=spec.target.id,
        digest=hashlib.sha256(said).hexdigest()[:16],
        at=moment(spec.at) if spec.at else None,
        source=spec.source or "",
        to=to,
        overwrite=spec.overwrite,
        where=where,
    )


def moment(text: str) -> datetime:
    """The time that ``at`` names. Raises ValueError where it names none, or has no offset."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no zone: add Z for UTC, or an offset such as +01:00")
    return found
