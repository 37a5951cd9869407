"""The documents that people commit, as typed models: the one source of the JSON Schemas. Used by schema and build.

Every field has a title, a description and an example, for editors to show. One that is None was left out: YAML has no ``null``.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from reconciler import registry, sizes
from reconciler.model import (
    Codec,
    Compression,
    Deletions,
    Discover,
    Encryption,
    LabelKind,
    RestoreTo,
    Retention,
    Rule321,
    Target,
)
from reconciler.model.base import Name, SpecModel
from reconciler.model.fleet import OrphanAge
from reconciler.model.hooks import Hooks, Quiesced
from reconciler.model.notifications import Notifications
from reconciler.model.restores import RestoreTarget
from reconciler.model.timing import Blackouts, Jitter, MaxAge, Schedule, Suspended, TimeZone

API_VERSION = "reconciler/v1"


def target_types() -> tuple[type[Target], ...]:
    """The class of every kind of target: in each module of ``targets/``, the Target that is tagged with its name."""
    types: list[type[Target]] = []
    for name in registry.names("targets"):
        members = vars(registry.find("targets", name)).values()
        classes = [member for member in members if isinstance(member, type) and issubclass(member, Target)]
        types += [member for member in classes if member.__struct_config__.tag == name]
    return tuple(types)


if TYPE_CHECKING:
    AnyTarget = Target
else:
    AnyTarget = functools.reduce(operator.or_, target_types())

Version = Annotated[
    Literal["reconciler/v1"],
    Meta(title="API version", description="Version of the document format.", examples=["reconciler/v1"]),
]
DestinationNames = Annotated[
    tuple[Name, ...],
    Meta(
        title="Destinations",
        description="Names of the Destination documents that hold a copy each.",
        min_length=1,
        examples=[["local", "offsite"]],
    ),
]
Kept = Annotated[
    Retention | None,
    Meta(
        title="Retention",
        description="How many artifacts of each tier to keep; replaces the default as a whole.",
        examples=[{"daily": 7, "weekly": 4, "monthly": 3}],
    ),
]
Compressed = Annotated[
    Codec | Compression | None,
    Meta(
        title="Compression",
        description="How artifacts are compressed: a codec, or a codec with its level. Default: zstd at level 3.",
        examples=["zstd", {"codec": "gzip", "level": 9}],
    ),
]


Encrypted = Annotated[
    Encryption | None,
    Meta(
        title="Encryption",
        description="Encrypts artifacts before they leave this machine: with age or with OpenPGP. Default: none.",
        examples=[
            {"age": {"recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]}}
        ],
    ),
]


class Metadata(SpecModel, frozen=True, kw_only=True):
    """What names a document."""

    name: Annotated[
        Name,
        Meta(
            title="Name", description="Name of the document, unique among its kind.", examples=["monitoring"]
        ),
    ]


Named = Annotated[
    Metadata, Meta(title="Metadata", description="What names the document.", examples=[{"name": "local"}])
]


class DestinationSpec(SpecModel, frozen=True, kw_only=True):
    """Where a destination is, and what it counts for."""

    url: Annotated[
        str,
        Meta(
            title="URL",
            description="Where the copies lie, without credentials. file:///folder is absolute; file://./folder and "
            "file://../folder are relative to the file that says so.",
            min_length=1,
            max_length=2048,
            examples=["file:///srv/backups", "s3://acme-backups/docker"],
        ),
    ]
    media: Annotated[
        str,
        Meta(
            title="Media",
            description="The kind of media, for the 3-2-1 rule; the original is on disk. hdd, ssd and nvme count as disk.",
            pattern="^[a-z0-9][a-z0-9-]{0,62}$",
            examples=["hdd", "object-storage"],
        ),
    ] = "disk"
    offsite: Annotated[
        bool,
        Meta(
            title="Off-site",
            description="Whether it survives the loss of the place where the original is. Default: false.",
            examples=[True],
        ),
    ] = False
    options: Annotated[
        dict[str, Any] | None,
        Meta(
            title="Options",
            description="Settings of the URL's protocol; secrets by reference.",
            examples=[{"endpoint_url": "https://s3.example.com", "key": {"fromEnv": "S3_ACCESS_KEY"}}],
        ),
    ] = None
    bandwidth: Annotated[
        Annotated[str, Meta(pattern=sizes.PATTERN)] | None,
        Meta(
            title="Bandwidth",
            description="Most bytes per second, to and from it together, of each run; at least 100kB. Default: no limit.",
            examples=["5MB"],
        ),
    ] = None
    connections: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None,
        Meta(
            title="Connections",
            description="Most artifacts that go to it or come from it at the same time (--jobs). Default: no limit.",
            examples=[2],
        ),
    ] = None
    retention: Annotated[
        Retention | None,
        Meta(
            title="Retention",
            description="How many artifacts of each tier to keep here, instead of the backup's own retention.",
            examples=[{"daily": 14, "weekly": 8, "monthly": 12, "yearly": 3}],
        ),
    ] = None


class DestinationDocument(SpecModel, frozen=True, kw_only=True, tag_field="kind", tag="Destination"):
    """A place that holds copies."""

    api_version: Version
    metadata: Named
    spec: Annotated[
        DestinationSpec,
        Meta(
            title="Destination",
            description="Where the destination is, and what it counts for.",
            examples=[{"url": "file:///srv/backups", "media": "hdd"}],
        ),
    ]


class BackupSpec(SpecModel, frozen=True, kw_only=True):
    """What to back up, when, where to, and for how long."""

    targets: Annotated[
        tuple[AnyTarget, ...],
        Meta(
            title="Targets",
            description="The things to protect; may be left out beside discover.",
            min_length=1,
            examples=[[{"name": "grafana", "kind": "volume", "volume": "grafana_data"}]],
        ),
    ] = ()
    discover: Annotated[
        Discover | None,
        Meta(
            title="Discover",
            description="Makes more targets of what the Engine holds at each tick.",
            examples=[{"label": "backup=yes"}, {"composeProject": "shop"}],
        ),
    ] = None
    node: Annotated[
        Name | None,
        Meta(
            title="Node",
            description="The machine that carries it out: its host name in lower case, or RECONCILER_NODE. Default: any.",
            examples=["nas"],
        ),
    ] = None
    schedule: Schedule | None = None
    timezone: TimeZone | None = None
    suspend: Suspended = False
    jitter: Jitter = None
    blackout: Blackouts = None
    max_age: MaxAge = None
    destinations: DestinationNames | None = None
    retention: Kept = None
    compression: Compressed = None
    encryption: Encrypted = None
    hooks: Hooks = ()
    hooks_from_labels: Annotated[
        LabelKind | None,
        Meta(
            title="Hooks from labels",
            description="Also runs the hooks that containers carry as labels of docker-volume-backup or velero.",
            examples=["docker-volume-backup"],
        ),
    ] = None
    exec_label: Annotated[
        Annotated[str, Meta(pattern=r"^[^\s,]+$", max_length=255)] | None,
        Meta(
            title="Exec label",
            description="Only containers whose label docker-volume-backup.exec-label has this value; needs hooksFromLabels.",
            examples=["database"],
        ),
    ] = None
    quiesce: Quiesced = None


class BackupDocument(SpecModel, frozen=True, kw_only=True, tag_field="kind", tag="Backup"):
    """Targets that share a schedule, destinations and retention."""

    api_version: Version
    metadata: Named
    spec: Annotated[
        BackupSpec,
        Meta(
            title="Backup",
            description="What to back up, when, where to, and for how long.",
            examples=[
                {
                    "schedule": "@daily",
                    "destinations": ["local"],
                    "targets": [{"name": "shop", "kind": "path", "path": "./shop"}],
                }
            ],
        ),
    ]


class Defaults(SpecModel, frozen=True, kw_only=True):
    """What holds for every Backup that does not say otherwise."""

    schedule: Schedule | None = None
    timezone: TimeZone | None = None
    jitter: Jitter = None
    blackout: Blackouts = None
    max_age: MaxAge = None
    destinations: DestinationNames | None = None
    retention: Kept = None
    compression: Compressed = None
    encryption: Encrypted = None


class PolicySpec(SpecModel, frozen=True, kw_only=True):
    """Rules for the whole fleet."""

    rule321: Annotated[
        Rule321,
        Meta(
            title="3-2-1 rule",
            description="Three copies, two kinds of media, one off-site: require (an error), warn, or 'off' (in quotes). "
            "Default: warn.",
            examples=["require"],
        ),
    ] = "warn"
    deletions: Annotated[
        Deletions | None,
        Meta(
            title="Deletions",
            description="How many copies one run may delete, and the approval for more.",
            examples=[{"maxPerRun": 20}],
        ),
    ] = None
    orphans: Annotated[
        Literal["keep"] | OrphanAge,
        Meta(
            title="Orphans",
            description="What happens to artifacts of targets that no Backup names any more. Default: they are kept.",
            examples=["keep", {"deleteAfter": "90d"}],
        ),
    ] = "keep"
    hooks: Hooks = ()
    notifications: Notifications = ()
    defaults: Annotated[
        Defaults | None,
        Meta(
            title="Defaults",
            description="What holds for every Backup that does not say otherwise.",
            examples=[{"timezone": "Europe/Berlin", "destinations": ["local", "offsite"]}],
        ),
    ] = None


class PolicyDocument(SpecModel, frozen=True, kw_only=True, tag_field="kind", tag="Policy"):
    """Rules for the whole fleet; at most one document."""

    api_version: Version
    metadata: Named
    spec: Annotated[
        PolicySpec,
        Meta(title="Policy", description="Rules for the whole fleet.", examples=[{"rule321": "require"}]),
    ]


class RestoreSpec(SpecModel, frozen=True, kw_only=True):
    """What to restore, of which time, and where to."""

    target: Annotated[
        RestoreTarget,
        Meta(
            title="Target",
            description="Service and type of what is restored.",
            examples=[{"service": "grafana", "type": "data"}],
        ),
    ]
    at: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}", max_length=40)]
        | None,
        Meta(
            title="At",
            description="The newest artifact at or before this time (ISO 8601, with Z or an offset). Default: the newest.",
            examples=["2026-01-20T12:00:00Z"],
        ),
    ] = None
    source: Annotated[
        Name | None,
        Meta(title="From", description="Only from this destination.", examples=["local"]),
    ] = msgspec.field(default=None, name="from")
    to: Annotated[
        RestoreTo | None,
        Meta(
            title="To",
            description="Where it goes. Default: where it came from, which needs overwrite when there is data.",
            examples=[{"volume": "grafana_data_restored"}],
        ),
    ] = None
    overwrite: Annotated[
        bool,
        Meta(title="Overwrite", description="Replaces what is there. Default: false.", examples=[True]),
    ] = False


class RestoreDocument(SpecModel, frozen=True, kw_only=True, tag_field="kind", tag="Restore"):
    """A restore as a commit: done once, then recorded as done in the status."""

    api_version: Version
    metadata: Named
    spec: Annotated[
        RestoreSpec,
        Meta(
            title="Restore",
            description="What to restore, of which time, and where to.",
            examples=[{"target": {"service": "grafana", "type": "data"}, "overwrite": True}],
        ),
    ]


Document = DestinationDocument | BackupDocument | PolicyDocument | RestoreDocument
DOCUMENTS: dict[str, type[SpecModel]] = {
    "Destination": DestinationDocument,
    "Backup": BackupDocument,
    "Policy": PolicyDocument,
    "Restore": RestoreDocument,
}
