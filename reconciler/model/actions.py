"""Plans and outcomes: what is to be done, why, and how it went. Pure data; printed, saved and reported as it is."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from reconciler.model.base import TargetId
from reconciler.model.fleet import Tier

Severity = Literal["error", "warning", "info"]


class Recover(msgspec.Struct, frozen=True, tag="recover"):
    """Remove what a died run left of ``key`` at ``destination``: ``keys`` and open uploads."""

    destination: str
    key: str
    keys: tuple[str, ...]
    committed: bool
    reason: str


class Adopt(msgspec.Struct, frozen=True, tag="adopt"):
    """Write the marker object that names a destination never seen before."""

    destination: str
    reason: str


class Create(msgspec.Struct, frozen=True, tag="create"):
    """Make one artifact of ``target`` and commit it at ``destinations``. ``estimate`` is the size of the last one in bytes.

    ``holds`` says what is stopped or paused while its data is read, as ``stop shop-db``.
    """

    target: TargetId
    tier: Tier
    key: str
    destinations: tuple[str, ...]
    estimate: int
    reason: str
    holds: tuple[str, ...] = ()


class Replicate(msgspec.Struct, frozen=True, tag="replicate"):
    """Copy ``key`` from the first of ``sources`` that is good to ``destination``. ``size`` in bytes."""

    target: TargetId
    key: str
    sources: tuple[str, ...]
    destination: str
    size: int
    reason: str


class Prune(msgspec.Struct, frozen=True, tag="prune"):
    """Delete the copy ``key`` at ``destination``: manifest first, then data. ``size`` in bytes."""

    target: TargetId
    key: str
    destination: str
    size: int
    reason: str


class Restore(msgspec.Struct, frozen=True, tag="restore"):
    """Carry out the Restore document ``name``: bring ``key`` of ``target`` back from the first good of ``sources``.

    ``to`` is as ``restore --to`` takes it, or empty for where it came from. ``size`` in bytes.
    """

    name: str
    target: TargetId
    key: str
    sources: tuple[str, ...]
    to: str
    overwrite: bool
    size: int
    reason: str


Action = Recover | Adopt | Create | Replicate | Restore | Prune


class HookOutcome(msgspec.Struct, frozen=True):
    """What a hook did.

    ``origin`` says where it is written (``policy``, ``backup shop``, ``target shop/dump``, ``container shop-db``), ``where``
    names the container in which it ran. ``output`` is the end of what it said; ``error`` is empty on success;
    ``ignored``: its failure is a warning (onError Continue).
    """

    phase: str
    origin: str
    kind: str
    where: str = ""
    seconds: float = 0.0
    output: str = ""
    error: str = ""
    ignored: bool = False


class Note(msgspec.Struct, frozen=True):
    """Something to know that has no action.

    ``topic`` is one of: destination, target, rule321, orphan, foreign, suspended, broken, clock, deletions, leftover, held,
    labels, discovered, restore, repository, stale, blackout.
    """

    severity: Severity
    topic: str
    subject: str
    message: str


class Plan(msgspec.Struct, frozen=True):
    """Actions in the order in which they run, and notes. ``now`` is UTC; ``commit`` is where the specs came from."""

    now: datetime
    actions: tuple[Action, ...] = ()
    notes: tuple[Note, ...] = ()
    commit: str | None = None

    @property
    def failed(self) -> bool:
        """Whether something is wrong that no action of this plan mends."""
        return any(note.severity == "error" for note in self.notes)


class Outcome(msgspec.Struct, frozen=True):
    """What an action did. ``error`` is empty on success; ``failures`` maps the destinations that failed to why.

    A Create with ``failures`` and no ``error`` is committed at its other destinations. ``skipped`` says why nothing was tried.
    ``size`` is in stored bytes, ``seconds`` is wall-clock time. ``verified`` names the destination whose copy was read whole, and
    is as its manifest says; empty where none was.
    """

    action: Action
    error: str = ""
    failures: dict[str, str] = {}
    skipped: str = ""
    warnings: tuple[str, ...] = ()
    hooks: tuple[HookOutcome, ...] = ()
    size: int = 0
    seconds: float = 0.0
    verified: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything that the action promised was done."""
        return not (self.error or self.failures or self.skipped)
