"""When a Backup is carried out, as users write it. Used by the documents of ``spec`` and by the fleet."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from reconciler.model.hooks import Duration

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
MaxAge = Annotated[
    Duration | None,
    Meta(
        title="Longest age",
        description="How old the newest artifact of a target may be; a target that misses it, or has none, is unhealthy. "
        "Longer than the time between two slots. Default: only the schedule counts.",
        examples=["26h"],
    ),
]
