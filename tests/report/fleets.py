"""Fleets of any size, with copies that are missing and broken here and there: the same each time."""

import random

from reconciler import plan
from reconciler.model import Backup, Destination, Fleet, Listing, Observation, Retention
from reconciler.model.status import Status
from reconciler.report import status
from tests.report.example import MIB, NOW, Volume, copy, key

DEFAULT = Retention(daily=7, weekly=4, monthly=3)


def fleet_of(
    number: int, retention: Retention = DEFAULT, destinations: tuple[str, ...] = ("local", "offsite")
) -> Status:
    """The status of ``number`` targets, some with long names."""
    dice = random.Random(number)
    targets = tuple(
        Volume(name=f"service-{index}" if index % 7 else f"a-service-with-a-long-name-{index}")
        for index in range(number)
    )
    backup = Backup(
        name="all", schedule="0 3 * * *", targets=targets, destinations=destinations, retention=retention
    )
    listings = {}
    for name in destinations:
        copies = []
        for target in targets:
            keys = [key(target.id, f"2026-01-{day:02}") for day in range(14, 21)]
            keys += [key(target.id, "2026-01-09", "weekly"), key(target.id, "2025-12-01", "monthly")]
            found = [text for text in keys if dice.random() > 0.02]
            copies += [
                copy(text, MIB, "its size is 7 bytes" if dice.random() < 0.02 else "") for text in found
            ]
        listings[name] = Listing(marker=name, copies=tuple(copies))
    places = tuple(Destination(name=name, url=f"file:///srv/{name}") for name in destinations)
    fleet, seen = Fleet(destinations=places, backups=(backup,)), Observation(listings=listings, node="n1")
    return status(fleet, seen, plan.make(fleet, seen, NOW), (), NOW, None)
