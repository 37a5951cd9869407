"""When a Backup is carried out, as users write it. Used by the documents of ``spec`` and by the fleet."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from reconciler.model.base import SpecModel
from reconciler.model.hooks import Duration

CLOCK_TIME = "^([01][0-9]|2[0-3]):[0-5][0-9]$"
CLOCK_END = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
DATE_OR_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}.*)?$"

Schedule = Annotated[
    str,
    Meta(
        title="Schedule",
        description="When to back up: five cron fields (minute hour day month weekday), or @hourly, @daily, @weekly, "
        "@monthly, @yearly. In the time zone of the backup.",
        min_length=1,
        max_length=200,
        examples=["0 3 * * *", "@daily"],
    ),
]
TimeZone = Annotated[
    str,
    Meta(
        title="Time zone",
        description="IANA name of the time zone of the schedule and of days, weeks and months. Default: UTC.",
        min_length=1,
        max_length=64,
        examples=["Europe/Berlin"],
    ),
]
Jitter = Annotated[
    Duration | None,
    Meta(
        title="Jitter",
        description="Spreads the targets: each begins later than its slot, by less than this and always by the same. Not longer "
        "than the time between two slots. Default: none.",
        examples=["30m"],
    ),
]
MaxAge = Annotated[
    Duration | None,
    Meta(
        title="Longest age",
        description="How old the newest artifact of a target may be; a target that misses it, or has none, is unhealthy. "
        "Longer than the time between two slots. Default: only the schedule counts.",
        examples=["26h"],
    ),
]


class Suspension(SpecModel, frozen=True, kw_only=True):
    """Until when a Backup makes nothing new, and why. One of the two may be left out."""

    until: Annotated[
        Annotated[str, Meta(pattern=DATE_OR_TIME, max_length=40)] | None,
        Meta(
            title="Until",
            description="When it goes on by itself: the beginning of a day in the Backup's time zone, or a time (ISO 8601, Z "
            "or an offset). Default: when somebody removes this.",
            examples=["2026-12-24", "2026-12-24T06:00:00Z"],
        ),
    ] = None
    reason: Annotated[
        Annotated[str, Meta(pattern=r"\S", max_length=200)] | None,
        Meta(
            title="Reason",
            description="Why, for the plan and the status.",
            examples=["the disk is being moved"],
        ),
    ] = None


Suspended = Annotated[
    bool | Suspension,
    Meta(
        title="Suspend",
        description="Makes no new artifacts; the ones that are there are kept. true, or until when and why. Default: false.",
        examples=[True, {"until": "2026-12-24", "reason": "the disk is being moved"}],
    ),
]

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""As ``date.weekday`` counts them."""


class Blackout(SpecModel, frozen=True, kw_only=True):
    """A time of day, in the Backup's time zone, in which no backup begins."""

    start: Annotated[
        str,
        Meta(title="From", description="When it begins, in quotes.", pattern=CLOCK_TIME, examples=["22:00"]),
    ] = msgspec.field(name="from")
    to: Annotated[
        str,
        Meta(
            title="To",
            description="When it ends, in quotes; on the next day if that is not later. 24:00 is the end of the day.",
            pattern=CLOCK_END,
            examples=["06:00"],
        ),
    ]
    days: Annotated[
        tuple[Weekday, ...],
        Meta(
            title="Days",
            description="The days on which it begins. Default: every day.",
            min_length=1,
            examples=[["mon", "tue", "wed", "thu", "fri"]],
        ),
    ] = WEEKDAYS


Blackouts = Annotated[
    tuple[Blackout, ...] | None,
    Meta(
        title="Blackout",
        description="Times in which no backup begins: nothing is read, and no container is stopped for it. What is due waits.",
        examples=[[{"from": "08:00", "to": "18:00", "days": ["mon", "tue", "wed", "thu", "fri"]}]],
    ),
]
