"""What was seen: artifacts and their copies at each destination, and the targets. Never remembered, always looked at again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from reconciler.model.base import TargetId
from reconciler.model.fleet import Tier
from reconciler.model.status import ClockStatus

_STAMP = "%Y-%m-%dT%H%M%SZ"


def to_stamp(moment: datetime) -> str:
    """``moment`` (any zone) in UTC as ``2026-01-20T030000Z``, which sorts as text."""
    return moment.astimezone(UTC).strftime(_STAMP)


def from_stamp(stamp: str) -> datetime:
    """The moment of a stamp, in UTC."""
    return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)


class Artifact(msgspec.Struct, frozen=True, cache_hash=True):
    """One backup of one target at one time; what its key at a destination says.

    ``stamp`` is UTC as ``2026-01-20T030000Z``: it sorts as text. ``key`` is relative to the destination's root.
    """

    key: str
    target: TargetId
    stamp: str
    tier: Tier

    @property
    def time(self) -> datetime:
        """When the artifact was begun, in UTC."""
        return from_stamp(self.stamp)


class Copy(msgspec.Struct, frozen=True):
    """A committed artifact at one destination: its manifest is there. ``size`` in bytes.

    ``broken`` says what is wrong with it, or is empty for a copy that is good as far as was looked.
    """

    artifact: Artifact
    size: int
    manifest_size: int
    broken: str = ""


class Leftover(msgspec.Struct, frozen=True):
    """What a run that died has left: never a copy.

    ``key`` is the artifact's key. ``node`` names the machine whose intent record was found with it, or is empty.
    ``keys`` are the objects to delete, the record last. ``time`` is when the writing began, by the record; where
    there is none, when the artifact was begun, by its name. ``committed``: the artifact
    itself is whole, and only the record of its writing is left.
    """

    key: str
    target: TargetId
    time: datetime
    node: str = ""
    keys: tuple[str, ...] = ()
    committed: bool = False


class Listing(msgspec.Struct, frozen=True):
    """One destination as it was found.

    ``unknown`` says why its content cannot be told (unreachable, unmounted, wrong bucket); it then lists nothing and
    nothing may be concluded from that. ``marker`` is the id in its marker object; ``adopt`` asks to write one. ``leases`` are
    the sizes of the objects in the folder of leases by their keys, as they were before the rest was looked at.
    """

    unknown: str = ""
    marker: str = ""
    adopt: bool = False
    copies: tuple[Copy, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    foreign: tuple[str, ...] = ()
    leases: dict[str, int] = {}


class Probe(msgspec.Struct, frozen=True):
    """One target as it was found. ``problem`` says why it cannot be backed up now; empty when it can.

    ``fingerprint`` names the content where that is known without reading it (an image id), else it is empty;
    ``stored_fingerprint`` is the one in the manifest of the newest artifact. ``empty``: a tree with nothing in it;
    ``stored_files`` is then the number of files and folders in the newest artifact, its root included.
    """

    problem: str = ""
    fingerprint: str = ""
    stored_fingerprint: str = ""
    empty: bool = False
    stored_files: int = 0


class Memory(msgspec.Struct, frozen=True):
    """Of what was carried out before. ``empty``: there is no earlier status. ``unreadable`` says why nothing can be told."""

    unreadable: str = ""
    empty: bool = False


class Observation(msgspec.Struct, frozen=True):
    """Everything that a plan may know of the world. Listings by destination name, probes by target.

    ``restores`` says by the digest of a Restore document how it ended: done, failed, interrupted or withheld. ``memory`` tells
    what may be concluded where it says nothing. ``clock`` says whether the time is to be believed. ``looked`` is when the look
    began, in seconds of the monotonic clock.
    """

    listings: dict[str, Listing] = {}
    probes: dict[TargetId, Probe] = {}
    node: str = ""
    restores: dict[str, str] = {}
    memory: Memory = Memory()
    clock: ClockStatus = ClockStatus()
    looked: float = 0.0


class SourceReport(msgspec.Struct, frozen=True):
    """What a source said after its last byte. ``files`` is None where the source is no tree.

    ``facts`` go into the manifest (an image's id and digest); ``fingerprint`` names the content, or is empty.
    """

    files: int | None = None
    warnings: tuple[str, ...] = ()
    facts: dict[str, str] = {}
    fingerprint: str = ""


class Sealed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How an artifact is encrypted, and what names the keys that open it. It holds no key.

    ``scheme`` is age or gpg. ``recipients`` are age1… keys, fingerprints of SSH keys, or OpenPGP fingerprints. For a
    passphrase ``key_id`` names it, and ``reference`` is the variable or file that held it.
    """

    scheme: str
    recipients: tuple[str, ...] = ()
    key_id: str = ""
    reference: str = ""

    @property
    def key(self) -> str:
        """What opens it, in words."""
        if self.key_id:
            return f"passphrase {self.key_id} ({self.reference})"
        return " or ".join(self.recipients)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The commit mark of a copy, stored beside the artifact as JSON. The same bytes at every destination.

    ``size`` and ``sha256`` are of the stored bytes; ``source_size`` (bytes) and ``files`` are before compression.
    Unknown fields of a newer version are ignored when read.
    """

    format: Literal["reconciler/v1"] = "reconciler/v1"
    key: str
    service: str
    type: str
    kind: str
    tier: Tier
    sha256: str
    size: int
    source_size: int
    files: int | None
    started: datetime
    finished: datetime
    compression: str
    target_digest: str
    spec_digest: str
    spec_commit: str | None
    restore: str
    tool: str
    facts: dict[str, str] = {}
    fingerprint: str = ""
    warnings: tuple[str, ...] = ()
    encryption: Sealed | None = None
