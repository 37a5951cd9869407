"""Documents without structural errors become the model. Used by check and rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from reconciler.model import (
    Backup,
    Compression,
    Deletions,
    Destination,
    Fleet,
    FromEnv,
    FromFile,
    OptionValue,
    Policy,
    Target,
)
from reconciler.model.fleet import DEFAULT_RETENTION, OrphanAge
from reconciler.model.hooks import quiesce_of
from reconciler.model.timing import Suspension
from reconciler.sizes import size_of
from reconciler.spec.documents import (
    AnyTarget,
    BackupDocument,
    Defaults,
    DestinationDocument,
    Document,
    PolicyDocument,
    RestoreDocument,
)
from reconciler.spec.locate import located_encryption, located_hooks, located_notifiers, path_of
from reconciler.spec.restores import restore
from reconciler.spec.timing import until_moment
from reconciler.spec.urls import absolute

AnyDocument = DestinationDocument | BackupDocument | PolicyDocument | RestoreDocument
_PATH_OPTIONS = ("_file", "_hosts")


def typed(data: Any) -> AnyDocument | None:
    """The typed document, or None where the data is not yet right (its problems are reported by then)."""
    try:
        return msgspec.convert(data, Document)  # type: ignore[no-any-return]
    except (msgspec.ValidationError, RecursionError):
        return None


def target(data: Any, folder: Path) -> Target | None:
    """One target with absolute paths, or None where the data is not right."""
    try:
        found: Target = msgspec.convert(data, AnyTarget)
    except (msgspec.ValidationError, RecursionError):
        return None
    return located(found, folder)


def located(found: Target, folder: Path) -> Target:
    """A target whose relative paths are relative to ``folder``."""
    locate = getattr(found, "located", None)
    try:
        placed: Target = locate(folder) if locate is not None else found
        placed = msgspec.structs.replace(placed, hooks=located_hooks(placed.hooks, folder))
    except (RuntimeError, ValueError):  # a home folder that does not exist, reported by the field rules
        return found
    return placed


def fleet(documents: Iterable[tuple[Any, str, Path]]) -> Fleet:
    """The fleet of typed documents, each with its place and the folder that its relative paths start from."""
    found = list(documents)
    policies = [entry for entry in found if isinstance(entry[0], PolicyDocument)]
    policy = _policy(*policies[0]) if policies else Policy()
    defaults = _defaults(policies[0][0].spec.defaults, policies[0][2]) if policies else Defaults()
    return Fleet(
        destinations=tuple(
            _destination(*entry) for entry in found if isinstance(entry[0], DestinationDocument)
        ),
        backups=tuple(_backup(*entry, defaults) for entry in found if isinstance(entry[0], BackupDocument)),
        restores=tuple(restore(*entry) for entry in found if isinstance(entry[0], RestoreDocument)),
        policy=policy,
    )


def _policy(document: PolicyDocument, where: str, folder: Path) -> Policy:
    spec = document.spec
    return Policy(
        name=document.metadata.name,
        rule321=spec.rule321,
        deletions=spec.deletions or Deletions(),
        orphans=spec.orphans if isinstance(spec.orphans, OrphanAge) else None,
        hooks=located_hooks(spec.hooks, folder),
        notifications=located_notifiers(spec.notifications, folder),
        where=where,
    )


def _defaults(defaults: Defaults | None, folder: Path) -> Defaults:
    """The defaults, whose paths start at the folder of the Policy."""
    given = defaults or Defaults()
    return msgspec.structs.replace(given, encryption=located_encryption(given.encryption, folder))


def _destination(document: DestinationDocument, where: str, folder: Path) -> Destination:
    spec = document.spec
    return Destination(
        name=document.metadata.name,
        url=absolute(spec.url, folder),
        media=spec.media,
        offsite=spec.offsite,
        options={key: _option(key, value, folder) for key, value in (spec.options or {}).items()},
        bandwidth=size_of(spec.bandwidth) if spec.bandwidth else 0,
        connections=spec.connections or 0,
        retention=spec.retention,
        where=where,
    )


def _option(key: str, value: Any, folder: Path) -> OptionValue:
    if isinstance(value, Mapping):
        if "fromEnv" in value:
            return FromEnv(from_env=value["fromEnv"])
        return FromFile(from_file=path_of(value["fromFile"], folder))
    if isinstance(value, str) and key.endswith(_PATH_OPTIONS):
        return path_of(value, folder)
    option: OptionValue = value
    return option


def _backup(document: BackupDocument, where: str, folder: Path, defaults: Defaults) -> Backup:
    spec = document.spec
    zone = spec.timezone or defaults.timezone or "UTC"
    return Backup(
        name=document.metadata.name,
        schedule=spec.schedule or defaults.schedule or "",
        timezone=zone,
        **_suspension(spec.suspend, zone),
        jitter=spec.jitter or defaults.jitter or "",
        blackout=(defaults.blackout if spec.blackout is None else spec.blackout) or (),
        max_age=spec.max_age or defaults.max_age or "",
        targets=tuple(located(found, folder) for found in spec.targets),
        destinations=spec.destinations or defaults.destinations or (),
        retention=spec.retention or defaults.retention or DEFAULT_RETENTION,
        compression=_compression(spec.compression or defaults.compression),
        hooks=located_hooks(spec.hooks, folder),
        hooks_from_labels=spec.hooks_from_labels,
        exec_label=spec.exec_label or "",
        quiesce=quiesce_of(spec.quiesce),
        encryption=located_encryption(spec.encryption, folder) or defaults.encryption,
        discover=spec.discover,
        node=spec.node or "",
        where=where,
    )


def _suspension(written: bool | Suspension, zone: str) -> dict[str, Any]:
    """The fields of a Backup that tell of it."""
    if not isinstance(written, Suspension):
        return {"suspend": written}
    until = until_moment(written.until, zone) if written.until else None
    return {"suspend": True, "suspend_until": until, "suspend_reason": written.reason or ""}


def _compression(written: Any) -> Compression:
    if isinstance(written, str):
        return msgspec.convert({"codec": written}, Compression)
    return written if isinstance(written, Compression) else Compression()
