"""What cannot be meant of a schedule and what stands beside it. Used by ``rules``, ``fields`` and ``build``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from reconciler import blackouts, durations, schedule
from reconciler.model import Backup
from reconciler.model.timing import DATE_OR_TIME
from reconciler.spec.problems import Path, quote
from reconciler.spec.restores import moment

Finding = tuple[Path, str]


def timing_findings(backup: Backup, parsed: schedule.Schedule) -> Iterator[Finding]:
    """Where in the document of ``backup``, and what about it. ``parsed`` is its schedule."""
    yield from _jitter(backup, parsed)
    yield from _blackout(backup, parsed)
    yield from _max_age(backup, parsed)


def until_moment(text: str, zone: str) -> datetime:
    """The time that ``until`` names, in UTC; a date is its beginning in ``zone``. Raises ValueError where it names none."""
    if len(text) == len("2026-12-24"):
        return schedule.instant(datetime.combine(date.fromisoformat(text), time()), zone)
    return moment(text).astimezone(UTC)


def blackout_findings(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    """What is wrong with single windows of ``blackout``, as plain data."""
    written = block.get("blackout")
    for position, window in enumerate(written if isinstance(written, list) else []):
        if isinstance(window, dict) and "to" in window and window.get("from") == window["to"]:
            message = 'is when it begins: for a whole day write from: "00:00", to: "24:00"'
            yield (*path, "blackout", position, "to"), message


def suspension_findings(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    """What is wrong with the ``suspend`` of a Backup, as plain data."""
    written = block.get("suspend")
    if written == {}:
        yield (*path, "suspend"), "says neither until when nor why: give it until or reason, or write true"
    until = written.get("until") if isinstance(written, dict) else None
    if not isinstance(until, str) or not re.match(DATE_OR_TIME, until):
        return
    try:
        until_moment(until, "UTC")
    except (ValueError, OverflowError) as error:
        no_zone = str(error) if "zone" in str(error) else ""
        yield (
            (*path, "suspend", "until"),
            no_zone
            or f"{quote(until)} is no date such as 2026-12-24 and no time such as 2026-12-24T06:00:00Z",
        )


def _jitter(backup: Backup, parsed: schedule.Schedule) -> Iterator[Finding]:
    apart = schedule.gaps(parsed) if backup.jitter else None
    if apart and timedelta(seconds=durations.seconds(backup.jitter)) > apart[0]:
        message = f"{backup.jitter} is longer than the time between two slots of the schedule, which is {_length(apart[0])}"
        yield ("spec", "jitter"), message


def _blackout(backup: Backup, parsed: schedule.Schedule) -> Iterator[Finding]:
    at: Path = ("spec", "blackout")
    if blackouts.never_open(backup.blackout):
        yield at, "covers the whole week: no backup could ever begin"
    elif backup.blackout and all(blackouts.covers(backup.blackout, slot) for slot in schedule.sample(parsed)):
        message = (
            f"every slot of {quote(backup.schedule)} lies in a blackout, so that each backup would wait for its end: "
            "write the time that is meant into the schedule"
        )
        yield at, message


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
