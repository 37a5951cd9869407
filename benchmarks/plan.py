"""How long the plan takes as a fleet grows, up to 10,000 targets × 3 destinations × 14 copies. Measured alone, without I/O.

Run as ``python -m benchmarks.plan``. The fleet is in steady state at 7, 4 and 3; one target in a hundred is due and one copy in
a thousand is missing, so that every kind of action is planned.
"""

from __future__ import annotations

import resource
import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from reconciler import naming, plan
from reconciler.model import (
    Artifact,
    Backup,
    Copy,
    Destination,
    Fleet,
    Listing,
    Observation,
    Target,
    Tier,
)
from reconciler.model.observed import to_stamp

SIZES = (1_000, 2_000, 5_000, 10_000)
PLACES = ("disk", "nas", "cloud")
NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
BUDGET = 5.0
"""Seconds that the largest plan may take."""


class Thing(Target, frozen=True, kw_only=True, tag="thing"):
    """A target without any I/O."""


class Measured(NamedTuple):
    """One row of the table; times in seconds."""

    targets: int
    copies: int
    parse: float
    plan: float
    actions: int


def ages() -> list[tuple[Tier, int]]:
    """(tier, age in days) of the 14 artifacts that are held at 7, 4 and 3 on 20 January 2026."""
    daily: list[tuple[Tier, int]] = [("daily", age) for age in (0, 2, 3, 4, 5, 6, 7)]
    weekly: list[tuple[Tier, int]] = [("weekly", age) for age in (1, 8, 15, 22)]
    monthly: list[tuple[Tier, int]] = [("monthly", age) for age in (19, 50, 80)]
    return [*daily, *weekly, *monthly]


def keys(count: int) -> dict[str, list[str]]:
    """The keys at each destination; some targets lack today's, some copies are missing."""
    held: dict[str, list[str]] = {place: [] for place in PLACES}
    stamps = [(tier, to_stamp(NOW - timedelta(days=age, hours=9)), age) for tier, age in ages()]
    for number in range(count):
        for tier, stamp, age in stamps:
            if age == 0 and number % 100 == 0:
                continue
            key = f"{tier}/service{number}_data_{stamp}_{tier}.tar.zst"
            for place in PLACES:
                if place != "cloud" or hash((number, age)) % 1000:
                    held[place].append(key)
    return held


def fleet(count: int) -> Fleet:
    """One backup with ``count`` targets at three destinations."""
    targets = tuple(Thing(name=f"service{number}", type="data") for number in range(count))
    return Fleet(
        destinations=tuple(Destination(name=place, url=f"file:///{place}") for place in PLACES),
        backups=(Backup(name="nightly", schedule="0 3 * * *", targets=targets, destinations=PLACES),),
    )


def measure(count: int) -> Measured:
    """Parse the listings of ``count`` targets and plan them, once."""
    listed = keys(count)
    began = time.perf_counter()
    parsed = {place: [naming.parse(key) for key in found] for place, found in listed.items()}
    parsing = time.perf_counter() - began
    seen = Observation(listings={place: _listing(found) for place, found in parsed.items()}, node="bench")
    specs = fleet(count)
    began = time.perf_counter()
    made = plan.make(specs, seen, NOW)
    planning = time.perf_counter() - began
    assert sum(action.reason.startswith("due") for action in made.actions) == count // 100
    return Measured(count, sum(map(len, listed.values())), parsing, planning, len(made.actions))


def _listing(found: list[Artifact | None]) -> Listing:
    return Listing(
        marker="id", copies=tuple(Copy(artifact, 10_000, 600) for artifact in found if artifact is not None)
    )


def main() -> None:
    """Print the table; exit 1 when the largest plan is over its budget."""
    print("targets   copies   parse s   plan s   plan µs/copy   actions")
    row = Measured(0, 0, 0.0, 0.0, 0)
    for count in SIZES:
        row = measure(count)
        each = row.plan / row.copies * 1e6
        print(
            f"{row.targets:>7} {row.copies:>8} {row.parse:>9.2f} {row.plan:>8.2f} {each:>14.1f} {row.actions:>9}"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB, observation included")
    if row.plan > BUDGET:
        raise SystemExit(f"the largest plan took {row.plan:.1f} s, more than {BUDGET:.0f} s")


if __name__ == "__main__":
    main()
