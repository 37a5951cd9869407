"""The names of objects at a destination: artifact, manifest, intent and marker. Used by observe, plan, apply and restore.

``{folder}/{service}_{type}_{timestamp}_{tier}.{ext}``, where the folder is the tier, or ``images`` for images. A name parses
one way only: service and type hold no underscore, and an extension of several parts ends neither in ``.json`` (a manifest) nor
in ``.part`` (an unfinished file). ``.from-{timestamp}`` before the extension is reserved.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import lru_cache

from reconciler.model.base import TargetId
from reconciler.model.fleet import TIERS, Codec, Target, Tier
from reconciler.model.hooks import Encryption
from reconciler.model.observed import Artifact, from_stamp, to_stamp

MARKER = ".reconciler.json"
"""Key of the marker object at a destination's root."""

INTENT_FOLDER = ".intents/"
"""Where a run announces the artifact that it is about to write: ``.intents/{node}/{artifact key}``."""

LEASE_FOLDER = ".leases/"
"""Where runs take turns: ``.leases/{scope}/{token}``; the highest token of a scope has the lease, or had it last."""

PART = ".part"
"""Suffix of a file that is still being written, at destinations that rename."""

_NAME = re.compile(
    r"(?P<folder>images|hourly|daily|weekly|monthly|yearly)/"
    r"(?P<service>[a-z0-9][a-z0-9.-]*)_(?P<type>[a-z0-9][a-z0-9.-]*)_"
    r"(?P<stamp>\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3])[0-5]\d[0-5]\dZ)_"
    r"(?P<tier>hourly|daily|weekly|monthly|yearly)\.(?P<ext>[a-z0-9]+(?:\.(?!(?:json|part)\Z)[a-z0-9]+)*)",
    re.ASCII,  # digits of other scripts are no digits here
)
_SUFFIX: dict[Codec, str] = {"zstd": ".zst", "gzip": ".gz", "none": ""}
_TIER: dict[str, Tier] = {tier: tier for tier in TIERS}


def artifact_key(
    target: Target, time: datetime, tier: Tier, codec: Codec, encryption: Encryption | None = None
) -> str:
    """Key of the artifact of ``target`` begun at ``time`` (any zone; written in UTC)."""
    folder = "images" if target.in_images else tier
    stamp = to_stamp(time)
    identity = target.id
    extension = f"{target.stem_extension}{_SUFFIX[codec]}" + (f".{encryption.scheme}" if encryption else "")
    return f"{folder}/{identity.service}_{identity.type}_{stamp}_{tier}.{extension}"


def is_encrypted(key: str) -> bool:
    """Whether the artifact ``key`` is called like an encrypted one; its manifest says whether it is."""
    return key.endswith((".age", ".gpg"))


@lru_cache(maxsize=65536)
def _target_id(service: str, type_: str) -> TargetId:
    return TargetId(service, type_)


def parse(key: str) -> Artifact | None:
    """The artifact that ``key`` names, or None for every other file."""
    match = _NAME.fullmatch(key)
    if match is None:
        return None
    folder, service, type_, stamp, tier, _ = match.groups()
    if folder not in ("images", tier) or not _is_date(stamp[:10]):
        return None
    return Artifact(key, _target_id(service, type_), stamp, _TIER[tier])


@lru_cache(maxsize=65536)
def _is_date(day: str) -> bool:
    """Whether the day exists: the pattern lets the 31st of February pass."""
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


def manifest_key(key: str) -> str:
    """Key of the manifest of the artifact ``key``."""
    return f"{key}.json"


def intent_key(node: str, key: str) -> str:
    """Key of the record that ``node`` is about to write the artifact ``key``."""
    return f"{INTENT_FOLDER}{node}/{key}"


def lease_key(scope: str, token: int) -> str:
    """Key of the lease ``token`` of ``scope``: the name of a node, or ``any`` for what any may carry out."""
    return f"{LEASE_FOLDER}{scope}/{token:09d}"


def parse_lease(key: str) -> tuple[str, int] | None:
    """(scope, token) of a lease, or None for every other object."""
    scope, _, token = key.removeprefix(LEASE_FOLDER).partition("/")
    if not (key.startswith(LEASE_FOLDER) and scope and token.isascii() and token.isdigit()):
        return None
    return scope, int(token)


def intent_content(time: datetime) -> bytes:
    """What an intent record holds: when the writing began. An artifact may be old when it is replicated."""
    return f"{to_stamp(time)}\n".encode()


def parse_intent_content(content: bytes) -> datetime | None:
    """When the writing began, in UTC; None where the record does not say."""
    try:
        return from_stamp(content.decode().strip())
    except ValueError:
        return None


def parse_intent(key: str) -> tuple[str, str] | None:
    """(node, artifact key) of an intent record, or None for every other object."""
    if not key.startswith(INTENT_FOLDER):
        return None
    node, _, artifact = key.removeprefix(INTENT_FOLDER).partition("/")
    return (node, artifact) if node and parse(artifact) else None
