"""The status: what is protected and what is wrong, as committed in ``status.json``; docs/status.md is its contract.

Made by report, printed by the command line, read again by the next run. Times are UTC, sizes are stored bytes.
Fields may be added under the same ``format``; none changes its meaning.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from reconciler.model.actions import Severity
from reconciler.model.fleet import Tier
from reconciler.model.notifications import Transition

ConditionType = Literal["Ready", "Converged", "Healthy"]
Truth = Literal["True", "False", "Unknown"]
TargetState = Literal["good", "failing", "unknown", "suspended"]
SlotState = Literal["held", "verified", "healing", "missing", "failed"]
RestoreState = Literal["done", "failed", "interrupted", "withheld"]
OutcomeState = Literal["done", "partial", "failed", "skipped"]


class StatusModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of everything in ``status.json``: camelCase keys; keys of a newer version are ignored when read."""


class Condition(StatusModel, frozen=True, kw_only=True):
    """One statement about the whole. ``last_transition_time`` is when ``status`` last changed."""

    type: ConditionType
    status: Truth
    reason: str
    message: str
    last_transition_time: datetime


class Success(StatusModel, frozen=True, kw_only=True):
    """The newest artifact that has a good copy. ``size_before`` is that of the one before it; None where there is none."""

    time: datetime
    key: str
    size: int
    size_before: int | None = None


class Attempt(StatusModel, frozen=True, kw_only=True):
    """The last attempt to back a target up. ``failures`` maps destinations to why they failed; ``seconds`` is wall-clock time.

    ``hooks`` are those that failed although the artifact was committed, in sentences.
    """

    time: datetime
    state: OutcomeState
    seconds: float | None = None
    error: str = ""
    failures: dict[str, str] = {}
    warnings: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()


class Slot(StatusModel, frozen=True, kw_only=True):
    """One artifact that retention wants at one destination. ``time`` is when it was begun; None for one that is due now.

    ``verified``: held, and as its manifest says when it was read whole, since it was written; ``healing``: the next run brings a
    good copy; ``failed``: the last try to write it did, or it is broken for good.
    """

    time: datetime | None
    state: SlotState


class TierCount(StatusModel, frozen=True, kw_only=True):
    """Good copies of one tier at one destination, and how many its retention asks for at most; ``slots`` newest first."""

    tier: Tier
    held: int
    wanted: int
    slots: tuple[Slot, ...] = ()


class BrokenCopy(StatusModel, frozen=True, kw_only=True):
    """A copy that is not what its manifest says."""

    key: str
    why: str


class Holding(StatusModel, frozen=True, kw_only=True):
    """What one destination holds of one target. Nothing can be said of a destination that is not ``known``.

    ``missing`` are keys of artifacts that exist elsewhere and that retention wants here too.
    """

    destination: str
    known: bool
    copies: int = 0
    size: int = 0
    tiers: tuple[TierCount, ...] = ()
    missing: tuple[str, ...] = ()
    broken: tuple[BrokenCopy, ...] = ()


class TargetStatus(StatusModel, frozen=True, kw_only=True):
    """One target. ``problems`` says in sentences what keeps it from being ``good``.

    ``max_age`` is as in the spec; ``stale``: the newest good copy is older than that, or there is none.
    """

    service: str
    type: str
    kind: str
    backup: str
    schedule: str
    timezone: str
    max_age: str | None = None
    state: TargetState
    stale: bool = False
    problems: tuple[str, ...] = ()
    next_run: datetime | None = None
    last_success: Success | None = None
    last_attempt: Attempt | None = None
    holdings: tuple[Holding, ...] = ()

    @property
    def name(self) -> str:
        """The identity, as ``service/type``."""
        return f"{self.service}/{self.type}"


class DestinationStatus(StatusModel, frozen=True, kw_only=True):
    """One destination; counts are None while it is unknown. ``foreign_names`` are the first few of ``foreign`` files."""

    name: str
    url: str
    media: str
    offsite: bool
    state: Literal["known", "unknown"]
    why: str = ""
    marker: str = ""
    copies: int | None = None
    size: int | None = None
    foreign: int | None = None
    foreign_names: tuple[str, ...] = ()
    leftovers: int | None = None


class Former(StatusModel, frozen=True, kw_only=True):
    """A destination that the specs do not name now, at a URL where it was once seen; it may come back."""

    name: str
    url: str
    marker: str


class Orphan(StatusModel, frozen=True, kw_only=True):
    """A target that no spec names any more, and of which there are copies."""

    service: str
    type: str
    copies: int
    size: int
    destinations: tuple[str, ...]


class Finding(StatusModel, frozen=True, kw_only=True):
    """A backup that breaks the 3-2-1 rule."""

    backup: str
    message: str


class NoteStatus(StatusModel, frozen=True, kw_only=True):
    """Something to know that has no action; see ``Note``."""

    severity: Severity
    topic: str
    subject: str
    message: str


class HookStatus(StatusModel, frozen=True, kw_only=True):
    """What one hook did; see ``HookOutcome``. ``output`` is the end of what it said."""

    phase: str
    origin: str
    where: str = ""
    seconds: float = 0.0
    error: str = ""
    ignored: bool = False
    output: str = ""


class RestoreStatus(StatusModel, frozen=True, kw_only=True):
    """A Restore document that was carried out, by its ``digest``: it is not carried out again."""

    name: str
    digest: str
    target: str
    key: str
    state: RestoreState
    time: datetime
    error: str = ""


class OutcomeStatus(StatusModel, frozen=True, kw_only=True):
    """What one action did. ``target`` is ``service/type``, or empty where the action has none; ``seconds`` is wall-clock time."""

    action: str
    target: str
    destinations: tuple[str, ...]
    key: str
    reason: str
    state: OutcomeState
    error: str = ""
    failures: dict[str, str] = {}
    skipped: str = ""
    warnings: tuple[str, ...] = ()
    hooks: tuple[HookStatus, ...] = ()
    size: int = 0
    seconds: float = 0.0


class Run(StatusModel, frozen=True, kw_only=True):
    """The last run that had something to do."""

    time: datetime
    outcomes: tuple[OutcomeStatus, ...]


class Change(StatusModel, frozen=True, kw_only=True):
    """One thing that is not as the last report had it. ``commit`` is that of the specs where they caused it."""

    subject: str
    message: str
    commit: str | None = None


class Changes(StatusModel, frozen=True, kw_only=True):
    """What is not as in the report of the time ``since``; ``more`` counts those past the first ones."""

    since: datetime
    items: tuple[Change, ...]
    more: int = 0


class Event(StatusModel, frozen=True, kw_only=True):
    """Something that changed, for people. ``subject`` names what it is about, and is the same each time."""

    transition: Transition
    subject: str
    text: str


class Told(StatusModel, frozen=True, kw_only=True):
    """What one notifier knows, so that nothing is told twice: the subjects that it believes to be in trouble.

    ``owed`` is what happened once and has not reached it. ``tries`` have failed since the last message that did, the last one at
    ``tried`` because of ``error``.
    """

    notifier: str
    troubles: tuple[str, ...] = ()
    owed: tuple[Event, ...] = ()
    tries: int = 0
    tried: datetime | None = None
    error: str = ""


class ClockStatus(StatusModel, frozen=True, kw_only=True):
    """What the clock was like, so that a run sees when it was set.

    ``boot`` names the running of the machine since it was switched on, and ``booted`` is when that was as the clock has it,
    UTC; both are empty where that cannot be told. ``jump`` says what is wrong, as long as fewer than two runs in a row after it
    saw the same clock; ``confirmations`` counts them.
    """

    boot: str = ""
    booted: datetime | None = None
    jump: str = ""
    confirmations: int = 0


class NodeStatus(StatusModel, frozen=True, kw_only=True):
    """One of several machines that report. ``time`` is that of its last report; None where that cannot be read.

    ``overdue`` names targets of which it was to begin a backup since then, and did not say that it has.
    """

    node: str
    time: datetime | None
    spec_commit: str | None = None
    targets: int = 0
    overdue: tuple[str, ...] = ()


class Status(StatusModel, frozen=True, kw_only=True):
    """Everything in ``status.json``. ``pending`` counts the actions that are still to do, by what they are.

    ``nodes`` is empty but where several machines report: then this is what all of them said, put together.
    """

    format: Literal["reconciler/status/v1"] = "reconciler/status/v1"
    time: datetime
    node: str
    spec_commit: str | None
    conditions: tuple[Condition, ...]
    targets: tuple[TargetStatus, ...] = ()
    destinations: tuple[DestinationStatus, ...] = ()
    orphans: tuple[Orphan, ...] = ()
    rule321: tuple[Finding, ...] = ()
    pending: dict[str, int] = {}
    notes: tuple[NoteStatus, ...] = ()
    last_run: Run | None = None
    former: tuple[Former, ...] = ()
    restores: tuple[RestoreStatus, ...] = ()
    changes: Changes | None = None
    told: tuple[Told, ...] = ()
    clock: ClockStatus | None = None
    nodes: tuple[NodeStatus, ...] = ()

    @property
    def well(self) -> bool:
        """Whether nothing is known to be wrong with the specs, a destination or a target."""
        return all(item.status != "False" for item in self.conditions if item.type != "Converged")

    def condition(self, type_: ConditionType) -> Condition:
        """The condition of that type; every status has all three."""
        return next(condition for condition in self.conditions if condition.type == type_)
