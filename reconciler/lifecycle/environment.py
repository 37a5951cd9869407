"""The environment of hooks: one table of names, old and new. Pure; docs/hooks.md is generated from ``TABLE``'s order.

The ``BACKUP_*`` and ``RESTORE_*`` names are Databasement's, ``COMMAND_RUNTIME_ARCHIVE_FILEPATH`` is docker-volume-backup's:
scripts and commands of their users run unchanged.
"""

from __future__ import annotations

import msgspec


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What hooks may know of one artifact or restore; sizes in bytes, 0 and empty text for what is not known yet."""

    node: str
    service: str
    type: str
    kind: str
    backup: str = ""
    tier: str = ""
    key: str = ""
    destinations: tuple[str, ...] = ()
    volume: str = ""
    container: str = ""
    size: int = 0
    source_size: int = 0
    sha256: str = ""
    error: str = ""
    restored_to: str = ""


def environment(phase: str, facts: Facts) -> dict[str, str]:
    """Every variable of a hook at ``phase``; the same names at every phase, empty where nothing is known yet."""
    filename = facts.key.rpartition("/")[2]
    size = str(facts.size) if facts.size else ""
    return {
        "RECONCILER_PHASE": phase,
        "RECONCILER_NODE": facts.node,
        "RECONCILER_BACKUP": facts.backup,
        "RECONCILER_SERVICE": facts.service,
        "RECONCILER_TYPE": facts.type,
        "RECONCILER_KIND": facts.kind,
        "RECONCILER_TIER": facts.tier,
        "RECONCILER_KEY": facts.key,
        "RECONCILER_DESTINATIONS": ",".join(facts.destinations),
        "RECONCILER_SIZE": size,
        "RECONCILER_SOURCE_SIZE": str(facts.source_size) if facts.source_size else "",
        "RECONCILER_SHA256": facts.sha256,
        "RECONCILER_ERROR": facts.error,
        "COMMAND_RUNTIME_ARCHIVE_FILEPATH": filename,
        **(_restore(facts, filename) if phase.startswith("restore-") else _backup(facts, filename, size)),
    }


def _backup(facts: Facts, filename: str, size: str) -> dict[str, str]:
    return {
        "BACKUP_SERVER_ID": facts.node,
        "BACKUP_SERVER_NAME": facts.service,
        "BACKUP_DATABASE_NAME": facts.type,
        "BACKUP_DATABASE_TYPE": facts.kind,
        "BACKUP_FILENAME": filename,
        "BACKUP_FILE_SIZE": size,
        "BACKUP_CHECKSUM": facts.sha256,
        "BACKUP_VOLUME_NAME": ",".join(facts.destinations),
    }


def _restore(facts: Facts, filename: str) -> dict[str, str]:
    return {
        "RESTORE_SERVER_NAME": facts.service,
        "RESTORE_DATABASE_NAME": facts.restored_to or facts.type,
        "RESTORE_SOURCE_DATABASE": facts.type,
        "RESTORE_SNAPSHOT_FILENAME": filename,
        "RESTORE_VOLUME_NAME": ",".join(facts.destinations),
    }
