"""Long times in short ones: a clock that leaps from slot to slot, and a second opinion on what must lie where then.

Nothing here asks the product what a slot is, what is due, which tier it gets or what is kept. The slots are found by looking at
the wall clock every quarter of an hour.
"""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from reconciler.adapters.bell import Bell
from reconciler.service import Service

QUARTER = timedelta(minutes=15)
RANKS = ("hourly", "daily", "weekly", "monthly")
Rule = dict[str, int]


class Rhythm(NamedTuple):
    """A Backup: when it has slots, by the wall clock of its zone, and how many of 100 targets it has."""

    name: str
    cron: str
    zone: str
    minutes: tuple[int, ...]
    share: int
    rule: Rule
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)

    def slots(self, first: datetime, last: datetime) -> Iterator[datetime]:
        """The moment at which the wall clock shows, or has passed, each local slot for the first time."""
        passed: set[tuple[date, int]] = set()
        moment = first - timedelta(days=2)
        while moment <= last:
            wall = moment.astimezone(ZoneInfo(self.zone))
            shown = wall.hour * 60 + wall.minute
            for minute in self.minutes if wall.weekday() in self.weekdays else ():
                slot = (wall.date(), minute)
                if shown >= minute and slot not in passed:
                    passed.add(slot)
                    if moment >= first:
                        yield moment
            moment += QUARTER


SEVEN_FOUR_THREE = {"daily": 7, "weekly": 4, "monthly": 3}
RHYTHMS = (
    Rhythm("berlin", "30 2 * * *", "Europe/Berlin", (150,), 20, SEVEN_FOUR_THREE),
    Rhythm("cairo", "@daily", "Africa/Cairo", (0,), 10, SEVEN_FOUR_THREE),  # the clocks leap at midnight
    Rhythm("york", "15 1 * * *", "America/New_York", (75,), 10, SEVEN_FOUR_THREE),
    Rhythm(
        "howe", "0 2,14 * * *", "Australia/Lord_Howe", (120, 840), 10, {"hourly": 4, **SEVEN_FOUR_THREE}
    ),  # they leap by half an hour
    Rhythm(
        "nepal", "45 4 * * 1,4", "Asia/Kathmandu", (285,), 50, {"daily": 4, "weekly": 3, "monthly": 2}, (0, 3)
    ),
)
VAULT = {"weekly": 2, "monthly": 4}
"""The rule of the second destination, whatever a Backup says."""


class Made(NamedTuple):
    """One artifact that must have been made."""

    moment: datetime
    tier: str

    def key(self, name: str) -> str:
        """Where it lies."""
        return f"{self.tier}/{name}_files_{self.moment:%Y-%m-%dT%H%M%SZ}_{self.tier}.tar.zst"


def period(moment: datetime, tier: str, zone: str) -> object:
    """The local hour, day, ISO week or month."""
    wall = moment.astimezone(ZoneInfo(zone))
    week = wall.isocalendar()[:2]
    return {
        "hourly": (wall.date(), wall.hour),
        "daily": wall.date(),
        "weekly": week,
        "monthly": (wall.year, wall.month),
    }[tier]


class Twin:
    """What must have become of one target: everything that was ever made of it."""

    def __init__(self, name: str, rhythm: Rhythm) -> None:
        self.name = name
        self.rhythm = rhythm
        self.made: list[Made] = []
        self.away = False
        self._keys: dict[str, tuple[int, set[str]]] = {}

    def due(self, slot: datetime) -> bool:
        """Whether a backup must be made for ``slot``."""
        return self.missed(slot) and not self.away

    def missed(self, slot: datetime) -> bool:
        """Whether nothing stands for ``slot`` yet."""
        return not self.made or self.made[-1].moment < slot

    def make(self, now: datetime) -> None:
        """One more artifact."""
        self.made.append(Made(now, self._tier(now)))

    def _tier(self, now: datetime) -> str:
        zone = self.rhythm.zone
        ruled = [tier for tier in RANKS if tier in self.rhythm.rule]
        for tier in reversed(ruled):
            as_high = [made for made in self.made[-80:] if RANKS.index(made.tier) >= RANKS.index(tier)]
            if not any(period(made.moment, tier, zone) == period(now, tier, zone) for made in as_high):
                return tier
        return ruled[0]

    def wanted(self, rule: Rule) -> set[Made]:
        """The newest of each tier, of all that were ever made."""
        piles: dict[str, list[Made]] = {tier: [] for tier in rule}
        for made in self.made[::-1]:
            lower = [tier for tier in RANKS[: RANKS.index(made.tier) + 1] if tier in rule]
            if lower:
                piles[lower[-1]].append(made)
        return {made for tier, pile in piles.items() for made in pile[: rule[tier]]}

    def keys(self, rule: Rule) -> set[str]:
        """Where those lie."""
        count, keys = self._keys.get(str(rule), (-1, set()))
        if count != len(self.made):
            keys = {made.key(self.name) for made in self.wanted(rule)}
            self._keys[str(rule)] = len(self.made), keys
        return keys


class Moment(NamedTuple):
    """The clock leaps to ``at``; somebody asks for a look then, or a slot has come."""

    at: datetime
    kind: Literal["slot", "asked"]


class Leaps(Bell):
    """A clock that leaps from one moment to the next while the service sleeps. A machine that is asleep does the same."""

    def __init__(self, start: datetime, moments: list[Moment]) -> None:
        super().__init__()
        self._moments = iter(moments)
        self._slept = 0
        self.service: Service | None = None
        self._set(start)

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        """A second for each leap: so nothing but the clock and the bell brings a tick."""
        return float(self._slept)

    def wait(self, seconds: float) -> bool:
        """Leap; whether somebody rang."""
        assert seconds > 0, "it does not sleep"
        moment = next(self._moments, None)
        if moment is None:
            assert self.service is not None
            self.service.end()
            return True
        self._slept += 1
        self._set(moment.at)
        return moment.kind == "asked"

    def _set(self, at: datetime) -> None:
        self._at = at.astimezone(UTC)
        os.environ["RECONCILER_NOW"] = self._at.isoformat()
