"""What users commit, after validation: destinations, backups with their targets, the policy, and all of them as a fleet.

Built by ``spec`` alone; the annotations are the one source of the JSON Schemas in ``schemas/``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from reconciler.model.base import Name, OptionValue, SpecModel, TargetId
from reconciler.model.hooks import (
    Duration,
    Encryption,
    Hook,
    Hooks,
    LabelStop,
    Placed,
    Quiesce,
    Quiesced,
    quiesce_of,
)
from reconciler.model.notifications import Notifier
from reconciler.model.restores import RestoreOrder
from reconciler.model.timing import Blackout

Tier = Literal["hourly", "daily", "weekly", "monthly", "yearly"]
TIERS: tuple[Tier, ...] = ("hourly", "daily", "weekly", "monthly", "yearly")
"""Lowest first."""

Codec = Literal["zstd", "gzip", "none"]
Rule321 = Literal["require", "warn", "off"]

Count = Annotated[int, Meta(ge=0, le=10_000)]


Exclude = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[^\x00\n]*[^\x00\n/]/?$")], ...],
    Meta(
        title="Exclude",
        description=(
            "Patterns of what to leave out. *.tmp: everything with such a name, at any depth. cache/: the content of every"
            " folder of that name; the folder itself is kept. A pattern with a slash before its end, such as /logs or"
            " app/logs/, counts from the target's root. * and ? stop at a slash. A volume's folder must be on this machine."
        ),
        examples=[["cache/", "*.tmp"]],
    ),
]
"""What a target that is a tree leaves out."""


class Retention(SpecModel, frozen=True, kw_only=True):
    """How many artifacts of each tier to keep. Counted, so a gap deletes nothing."""

    hourly: Annotated[Count, Meta(title="Hourly", description="Hourly artifacts to keep.", examples=[24])] = 0
    daily: Annotated[Count, Meta(title="Daily", description="Daily artifacts to keep.", examples=[7])] = 0
    weekly: Annotated[Count, Meta(title="Weekly", description="Weekly artifacts to keep.", examples=[4])] = 0
    monthly: Annotated[
        Count, Meta(title="Monthly", description="Monthly artifacts to keep.", examples=[3])
    ] = 0
    yearly: Annotated[Count, Meta(title="Yearly", description="Yearly artifacts to keep.", examples=[2])] = 0
    minimum: Annotated[
        int,
        Meta(
            ge=1,
            le=10_000,
            title="Minimum",
            description="The newest artifacts that are kept whatever their tier.",
            examples=[1],
        ),
    ] = 1

    def count(self, tier: Tier) -> int:
        """How many artifacts of ``tier`` to keep; 0 means that the tier has no rule."""
        return int(getattr(self, tier))

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """The tiers that have a rule, lowest first."""
        return tuple(tier for tier in TIERS if self.count(tier))


DEFAULT_RETENTION = Retention(daily=7, weekly=4, monthly=3)


class Compression(SpecModel, frozen=True, kw_only=True):
    """How artifacts are compressed."""

    codec: Annotated[
        Codec,
        Meta(title="Codec", description="zstd, gzip or none.", examples=["zstd"]),
    ] = "zstd"
    level: Annotated[
        int | None,
        Meta(
            title="Level",
            description="1 (fast) to 19 for zstd, 1 to 9 for gzip. Default: 3 for zstd, 6 for gzip.",
            examples=[3],
        ),
    ] = None


class Uses(msgspec.Struct, frozen=True):
    """What a target reads: names of volumes, absolute paths of this machine, and the container that it is read in or of.

    ``inside``: what is read exists in that container alone.
    """

    volumes: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    container: str = ""
    inside: bool = False


class Target(SpecModel, frozen=True, kw_only=True, tag_field="kind"):
    """One thing to protect. Each kind is a subclass in ``targets/``, with its own fields and I/O."""

    default_type: ClassVar[str] = "data"

    name: Annotated[
        Name, Meta(title="Service", description="Service that the data belongs to.", examples=["grafana"])
    ]
    type: Annotated[
        Name | None,
        Meta(
            title="Type",
            description="What of the service this is; service and type name the target. Default: by kind.",
            examples=["config"],
        ),
    ] = None

    hooks: Hooks = ()
    quiesce: Quiesced = None

    @property
    def id(self) -> TargetId:
        """Service and type."""
        return TargetId(self.name, self.type or self.default_type)

    @property
    def kind(self) -> str:
        """The kind as written in YAML, which is also the module's name."""
        return str(self.__struct_config__.tag)

    @property
    def stem_extension(self) -> str:
        """Extension before compression, such as ``tar`` or ``sql``."""
        return "tar"

    @property
    def uses(self) -> Uses:
        """What it reads; by this the containers are found that are held meanwhile, and where its hooks run."""
        return Uses()

    @property
    def in_images(self) -> bool:
        """Whether artifacts go to ``images/`` rather than to their tier's folder."""
        return False


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """A place that holds copies. ``bandwidth``: most bytes per second of artifacts, to and from it; 0 for any.

    ``connections``: most artifacts that go to or come from it at the same time; 0 for any.
    """

    name: str
    url: str
    media: str = "disk"
    offsite: bool = False
    options: dict[str, OptionValue] = {}
    bandwidth: int = 0
    connections: int = 0
    retention: Retention | None = None
    where: str = ""

    @property
    def protocol(self) -> str:
        """``file``, ``s3``, ``sftp``, ``webdav`` or ``memory``: also the module's name in ``destinations/``."""
        return self.url.partition("://")[0]


LabelKind = Literal["docker-volume-backup", "velero"]


class Discover(SpecModel, frozen=True, kw_only=True):
    """Makes targets of what the Engine holds at each tick: all conditions together choose."""

    label: Annotated[
        Annotated[str, Meta(pattern=r"^[^\s=]+(=.*)?$")] | None,
        Meta(
            title="Label",
            description="Containers and volumes with this label: a key, or key=value.",
            examples=["backup=yes"],
        ),
    ] = None
    compose_project: Annotated[
        Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]*$")] | None,
        Meta(
            title="Compose project",
            description="Volumes of this compose project.",
            examples=["shop"],
        ),
    ] = None


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """Targets that share a schedule, destinations and retention. ``where`` is ``file:line`` of the document.

    ``suspend``: nothing new is made, until ``suspend_until`` (UTC) where there is one; ``Fleet.at`` ends it then.
    ``max_age`` is how old the newest artifact may be, ``jitter`` by how much the slots of a target may move: durations, or
    empty.
    """

    name: str
    schedule: str
    targets: tuple[Target, ...]
    destinations: tuple[str, ...]
    timezone: str = "UTC"
    suspend: bool = False
    suspend_until: datetime | None = None
    suspend_reason: str = ""
    jitter: str = ""
    blackout: tuple[Blackout, ...] = ()
    max_age: str = ""
    retention: Retention = DEFAULT_RETENTION
    compression: Compression = Compression()
    hooks: tuple[Hook, ...] = ()
    hooks_from_labels: LabelKind | None = None
    exec_label: str = ""
    quiesce: Quiesce | None = None
    encryption: Encryption | None = None
    discover: Discover | None = None
    node: str = ""
    where: str = ""


class Deletions(SpecModel, frozen=True, kw_only=True):
    """The cap on deletions, so that a typing error in a retention cannot empty a destination."""

    max_per_run: Annotated[
        Count | None,
        Meta(
            title="Most deletions per run",
            description="More than this waits for an approval. Default: two for each target at each destination, at least 20.",
            examples=[20],
        ),
    ] = None
    approved: (
        Annotated[
            str,
            Meta(
                title="Approval",
                description="The code that plan prints when it withholds deletions: approves exactly those.",
                pattern="^[0-9a-f]{12}$",
                examples=["3f9c2a1b77d0"],
            ),
        ]
        | None
    ) = None


class OrphanAge(SpecModel, frozen=True, kw_only=True):
    """How long artifacts of a target that no Backup names any more are kept."""

    delete_after: Annotated[
        Duration,
        Meta(
            title="Delete after",
            description="When the target's newest artifact is older than this, all of its copies are deleted, under the cap.",
            examples=["90d"],
        ),
    ]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One for the fleet. Without ``orphans`` they are kept for ever."""

    name: str = "default"
    rule321: Rule321 = "warn"
    deletions: Deletions = Deletions()
    orphans: OrphanAge | None = None
    hooks: tuple[Hook, ...] = ()
    notifications: tuple[Notifier, ...] = ()
    where: str = ""


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """What the containers of the moment add to the specs, by target; made by ``observe.resolve`` at each look.

    ``hooks`` and ``stops`` come from labels; ``holds`` says in words what is held while a target is read; ``problems`` say
    why a target cannot be backed up; ``containers`` names the one that a target was found in. ``unresolved`` are services
    whose container is missing, so that its targets are not known now; ``blind``: discovery could not look at all. ``found``,
    ``warnings`` and ``errors`` are pairs of a subject and a message: what discovery found and left out, what labels leave
    undone, and what cannot be followed.
    """

    hooks: dict[TargetId, tuple[Placed, ...]] = {}
    stops: dict[TargetId, tuple[LabelStop, ...]] = {}
    holds: dict[TargetId, tuple[str, ...]] = {}
    problems: dict[TargetId, str] = {}
    containers: dict[TargetId, str] = {}
    unresolved: tuple[str, ...] = ()
    blind: bool = False
    found: tuple[tuple[str, str], ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    errors: tuple[tuple[str, str], ...] = ()


class Rejected(msgspec.Struct, frozen=True):
    """A commit of the specs that cannot be used, and what is wrong, a line each. ``in_force`` is the commit that stays."""

    commit: str
    problems: tuple[str, ...]
    in_force: str = ""


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """All specs of one revision. ``commit`` is the git commit they came from (None outside git).

    ``elsewhere`` are the Backups that other nodes carry out; ``rejected`` is a newer commit, which is not in force.
    """

    destinations: tuple[Destination, ...] = ()
    backups: tuple[Backup, ...] = ()
    restores: tuple[RestoreOrder, ...] = ()
    policy: Policy = Policy()
    commit: str | None = None
    live: Live = Live()
    elsewhere: tuple[Backup, ...] = ()
    rejected: Rejected | None = None

    def on(self, node: str) -> Fleet:
        """What ``node`` carries out of it: the Backups that name it, and those that name none."""
        ours = tuple(backup for backup in self.backups if backup.node in ("", node))
        others = tuple(backup for backup in self.backups if backup.node not in ("", node))
        return msgspec.structs.replace(self, backups=ours, elsewhere=others)

    def at(self, now: datetime) -> Fleet:
        """The same at ``now``: a suspension whose end has come is none."""
        backups = tuple(
            msgspec.structs.replace(backup, suspend=False, suspend_until=None, suspend_reason="")
            if backup.suspend_until and backup.suspend_until <= now
            else backup
            for backup in self.backups
        )
        return msgspec.structs.replace(self, backups=backups)

    def orphans(self, targets: Iterable[TargetId]) -> list[TargetId]:
        """Those of ``targets`` that no Backup names, by name. None of them is sure while discovery cannot look.

        What a container of another node, or a missing one, may hold is no orphan either.
        """
        if self.live.blind or any(backup.discover for backup in self.elsewhere):
            return []
        named = {target.id for backup in (*self.backups, *self.elsewhere) for target in backup.targets}
        far = (target for backup in self.elsewhere for target in backup.targets)
        unsure = {*self.live.unresolved, *(target.name for target in far if target.kind == "container")}
        return sorted(target for target in set(targets) - named if target.service not in unsure)

    def quiesce_of(self, target: TargetId) -> Quiesce | None:
        """How containers are held while ``target`` is read: its own word, else its Backup's; None for not at all."""
        for backup in self.backups:
            for item in backup.targets:
                if item.id == target:
                    asked = quiesce_of(item.quiesce) or backup.quiesce
                    return asked if asked and asked.mode != "none" else None
        return None

    def destination(self, name: str) -> Destination:
        """The destination called ``name``; KeyError when there is none."""
        for destination in self.destinations:
            if destination.name == name:
                return destination
        raise KeyError(name)
