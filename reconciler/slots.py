"""When the turn of a Backup's targets comes: its schedule, and what holds it back. Pure; used by observe, plan and report."""

from __future__ import annotations

from datetime import datetime

from reconciler import schedule
from reconciler.model import Backup


def newest(backup: Backup, now: datetime) -> datetime | None:
    """The newest tick at or before ``now``, in UTC. None when the schedule has not fired yet."""
    return schedule.newest_tick(_parsed(backup), now)


def next_run(backup: Backup, last: datetime | None, now: datetime) -> datetime | None:
    """When a run is next to make something, after ``now``. ``last`` is the time of the newest good artifact.

    None for a Backup that is suspended for ever. At the end of a suspension what was missed is made up at once.
    """
    if not backup.suspend:
        return schedule.next_tick(_parsed(backup), now)
    if backup.suspend_until is None:
        return None
    tick = newest(backup, backup.suspend_until)
    if tick and (last is None or last < tick):
        return backup.suspend_until
    return schedule.next_tick(_parsed(backup), backup.suspend_until)


def _parsed(backup: Backup) -> schedule.Schedule:
    return schedule.parse(backup.schedule, backup.timezone)
