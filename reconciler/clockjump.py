"""Whether the clock was set since the last run: a jump of more than a day is told, and nothing is pruned until it is confirmed.

Pure; called by the loop, which reads the clock. While a machine runs, the moment at which it was switched on is the same
whenever it is computed, unless somebody sets the clock. Across a restart only a step back shows: one ahead cannot be told from
a machine that was off.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.model.status import ClockStatus, Status
from reconciler.wording import counted, time_text

MOST = timedelta(days=1)
"""A clock may be set by this much without a word."""

ENOUGH = 2
"""So many runs in a row after a jump see the same clock: then it is believed."""


def judge(previous: Status | None, boot: str, booted: datetime | None, now: datetime) -> ClockStatus:
    """What this run makes of the clock. ``boot`` and ``booted`` are as in ClockStatus, seen now."""
    seen = ClockStatus(boot=boot, booted=booted)
    if previous is None:
        return seen
    before = previous.clock or ClockStatus()
    if jump := _since_boot(before, seen) or _back(previous.time, now):
        return ClockStatus(boot=boot, booted=booted, jump=jump)
    if not before.jump or before.confirmations + 1 >= ENOUGH:
        return seen
    return ClockStatus(boot=boot, booted=booted, jump=before.jump, confirmations=before.confirmations + 1)


def warning(clock: ClockStatus) -> str:
    """What to tell while the clock is in doubt; empty when it is not."""
    if not clock.jump:
        return ""
    runs = f"{counted(ENOUGH - clock.confirmations, 'more run')} in a row"
    return f"{clock.jump}; nothing is pruned until {runs} saw the same clock"


def _since_boot(before: ClockStatus, seen: ClockStatus) -> str:
    if not seen.boot or seen.boot != before.boot or before.booted is None or seen.booted is None:
        return ""
    moved = seen.booted - before.booted
    if abs(moved) <= MOST:
        return ""
    return f"the clock was set {'ahead' if moved > timedelta() else 'back'} by {_length(abs(moved))} while the machine ran"


def _back(last: datetime, now: datetime) -> str:
    if last - now <= MOST:
        return ""
    return f"the clock is {_length(last - now)} behind the last run, of {time_text(last)}"


def _length(length: timedelta) -> str:
    hours = round(length.total_seconds() / 3600)
    days = counted(hours // 24, "day")
    return f"{days} and {counted(hours % 24, 'hour')}" if hours % 24 else days
