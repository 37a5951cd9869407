"""Cron expressions and retention in days of docker-volume-backup to ours. Pure; used by backups."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import NamedTuple

from reconciler import schedule
from reconciler.model import TIERS, Tier

FOREVER = 10_000
"""The largest count that a retention takes: 27 years of days."""

_EVERY = re.compile(r"@every\s+(\S+)")
_ZONE = re.compile(r"(?:CRON_)?TZ=(\S+)\s+(.*)")
_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{0,9})?)(h|m|s|ms|us|ns)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_DAYS = {"weekly": 7, "monthly": 30, "yearly": 365}
_START = datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC)  # any Monday does: only how often it fires is counted
_END = _START + timedelta(days=28)


class Timing(NamedTuple):
    """A schedule of ours. ``lost`` says what of the expression could not be kept; empty when all was."""

    schedule: str
    zone: str = ""
    never: bool = False
    lost: str = ""


def timing(expression: str) -> Timing:
    """The schedule for a cron expression with five or six fields, a name such as @daily, or ``@every 6h``."""
    zone, text = "", expression.strip()
    if match := _ZONE.fullmatch(text):
        zone, text = match[1], match[2]
    if match := _EVERY.fullmatch(text):
        return Timing(
            _every(match[1]), zone, lost=f"{text} counts from the start of its container; here by the clock"
        )
    fields = text.replace("?", "*").split()
    lost = ""
    if len(fields) == 6:
        lost = "" if fields[0].isdigit() else "several times a minute becomes once a minute at most"
        fields = fields[1:]
    return _checked(" ".join(fields), zone, lost)


def _checked(text: str, zone: str, lost: str) -> Timing:
    try:
        parsed = schedule.parse(text, "UTC")
    except Exception as error:  # noqa: BLE001 - whatever an expression does to the cron library, it is no schedule
        if "never fires" in str(error):
            return Timing("@daily", zone, never=True)
        return Timing("@daily", zone, lost="this is no cron expression; once a day instead")
    if schedule.denser_than(parsed, "hourly"):
        return Timing("@hourly", zone, lost="more often than once an hour becomes once an hour")
    return Timing(text, zone, lost=lost)


def _every(span: str) -> str:
    """The schedule that fires about as often as ``span`` says."""
    hours = (seconds(span) or 86_400) / 3600
    if hours < 1.5:
        return "@hourly"
    if hours < 18:
        step = max(step for step in (1, 2, 3, 4, 6, 8, 12) if step <= hours + 0.5)
        return f"0 */{step} * * *"
    return "@daily" if hours < 96 else "@weekly" if hours < 400 else "@monthly"


def seconds(span: str) -> float:
    """A duration such as ``1h30m`` in seconds; 0 when it is none."""
    if not re.fullmatch(f"({_SPAN.pattern})+", span):
        return 0.0
    return sum(float(count) * _SECONDS[unit] for count, unit in _SPAN.findall(span))


def retention(expression: str, days: float) -> dict[str, int]:
    """A retention that keeps about what the schedule makes in ``days``; below zero means everything."""
    parsed = schedule.parse(expression, "UTC")
    tier = _tier(parsed)
    if days < 0:
        return {tier: FOREVER, "daily": FOREVER} if tier == "hourly" else {tier: FOREVER}
    if tier in ("hourly", "daily"):
        made = len(list(takewhile(lambda tick: tick < _END, schedule.ticks(parsed, _START))))
        return {tier: _between(days * made / 28)}
    return {tier: _between(days / _DAYS[tier])}


def _between(count: float) -> int:
    return min(max(math.ceil(count), 1), FOREVER)


def _tier(parsed: schedule.Schedule) -> Tier:
    """The longest period that the schedule fires once in at most."""
    for tier in reversed(TIERS):
        if not schedule.denser_than(parsed, tier):
            return tier
    return "hourly"
