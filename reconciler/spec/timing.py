"""What cannot be meant of a schedule and what depends on it. Used by ``rules``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from reconciler import durations, schedule
from reconciler.model import Backup
from reconciler.spec.problems import Path

Finding = tuple[Path, str]


def timing_findings(backup: Backup, parsed: schedule.Schedule) -> Iterator[Finding]:
    """Where in the document of ``backup``, and what about it. ``parsed`` is its schedule."""
    yield from _max_age(backup, parsed)


def _max_age(backup: Backup, parsed: schedule.Schedule) -> Iterator[Finding]:
    """An objective that would be missed although every backup is made in time."""
    apart = schedule.gaps(parsed) if backup.max_age else None
    if apart and timedelta(seconds=durations.seconds(backup.max_age)) <= apart[1]:
        message = (
            f"{backup.max_age} would be missed even if all goes well: slots of the schedule lie up to "
            f"{_length(apart[1])} apart, and a backup takes its time"
        )
        yield ("spec", "maxAge"), message


def _length(length: timedelta) -> str:
    """``24h``, ``72h``, ``30m``: as a spec would say it."""
    minutes = int(length.total_seconds() // 60)
    whole, rest = divmod(minutes, 60)
    return "".join([f"{whole}h" if whole else "", f"{rest}m" if rest or not whole else ""])
