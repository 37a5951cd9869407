"""Long runs with outages, lost and rotten copies, skipped and failed runs, against a retention rule written a second time."""

import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import plan
from reconciler.model import (
    TIERS,
    Action,
    Artifact,
    Backup,
    Create,
    Destination,
    Fleet,
    Listing,
    Observation,
    Prune,
    Replicate,
    Retention,
)
from tests.plan.cases import HERE, Data
from tests.plan.simulator import apply, copies, good
from tests.plan.worlds import ALL_DELETIONS, bounded

START = datetime(2025, 1, 1, 3, tzinfo=UTC)
RULES = (
    Retention(daily=7, weekly=4, monthly=3),
    Retention(daily=2),
    Retention(monthly=6),
    Retention(daily=3, yearly=1, minimum=5),
    Retention(weekly=3, monthly=2),
)


def wanted(artifacts: set[Artifact], rule: Retention) -> set[Artifact]:
    """The retention rule, as plainly as it can be said; the second of two implementations, on purpose."""
    newest_first = sorted(artifacts, key=lambda item: (item.stamp, item.key))[::-1]
    piles: dict[str, list[Artifact]] = {tier: [] for tier in TIERS}
    counted = []
    for item in newest_first:
        tier = item.tier
        while rule.count(tier) == 0 and tier != "hourly":
            tier = TIERS[TIERS.index(tier) - 1]
        if rule.count(tier):
            piles[tier].append(item)
            counted.append(item)
    kept = {item for tier in TIERS for item in piles[tier][: rule.count(tier)]}
    return kept | set(counted[: rule.minimum])


class Story:
    """One target's life: the true state of every destination, and what befalls it."""

    def __init__(self, seed: int, schedule: str = "0 3 * * *") -> None:
        self.dice = random.Random(seed)
        names = ("a", "b", "c")[: self.dice.randint(1, 3)]
        self.fleet = Fleet(
            destinations=tuple(
                Destination(name=name, url=f"file:///{name}", retention=self._rule()) for name in names
            ),
            backups=(
                Backup(
                    name="nightly",
                    schedule=schedule,
                    timezone=self.dice.choice(("UTC", "Europe/Berlin", "Pacific/Auckland")),
                    targets=(Data(name="app", type="data"),),
                    destinations=names,
                    retention=self.dice.choice(RULES[:2]),
                ),
            ),
            policy=ALL_DELETIONS,
        )
        self.names = names
        self.truth = Observation(listings={name: Listing(marker=name) for name in names}, node=HERE)
        self.away: dict[str, int] = dict.fromkeys(names, 0)
        self.made: set[Artifact] = set()
        self.destroyed: set[Artifact] = set()
        self.stuck = False

    def _rule(self) -> Retention | None:
        return self.dice.choice((None, None, *RULES))

    def rule(self, name: str) -> Retention:
        return self.fleet.destination(name).retention or self.fleet.backups[0].retention

    def union(self) -> set[Artifact]:
        return {item for name in self.names for item in good(self.truth, name)}

    def befall(self) -> None:
        """An outage begins or goes on; a copy is lost or rots. Notes what no destination holds any more."""
        before = self.union()
        for name in self.names:
            self.away[name] = max(0, self.away[name] - 1)
            if self.dice.random() < 0.01:
                self.away[name] = self.dice.randint(1, 60)
            here = copies(self.truth, name)
            if here and self.dice.random() < 0.03:
                key = self.dice.choice(sorted(here))
                hurt = here.pop(key)
                if self.dice.random() < 0.5:
                    here[key] = msgspec.structs.replace(hurt, broken="sha256 differs")
            self._put(name, msgspec.structs.replace(self.truth.listings[name], copies=tuple(here.values())))
        self.destroyed |= before - self.union()

    def _put(self, name: str, listing: Listing) -> None:
        self.truth = msgspec.structs.replace(self.truth, listings={**self.truth.listings, name: listing})

    def seen(self) -> Observation:
        listings = {
            name: Listing(unknown="no route to host") if self.away[name] else listing
            for name, listing in self.truth.listings.items()
        }
        return msgspec.structs.replace(self.truth, listings=listings)

    def run(self, now: datetime, *, failures: float = 0.0) -> tuple[Action, ...]:
        """One run. When a write fails, that target's deletions are not made: this is what apply promises."""
        made = plan.make(self.fleet, self.seen(), now)
        self.stuck = any(note.topic == "target" for note in made.notes)  # due, and no place for it
        writes = [action for action in made.actions if isinstance(action, Create | Replicate)]
        failing: list[Action] = [action for action in writes if self.dice.random() < failures]
        if failing:
            failing += [action for action in made.actions if isinstance(action, Prune)]
        after = apply(self.seen(), made, failing=failing)
        for name in self.known():
            self._put(name, after.listings[name])
        self.made |= self.union()
        return made.actions

    def known(self) -> list[str]:
        return [name for name in self.names if not self.away[name]]

    def check_places(self) -> None:
        """Each known destination holds what the rule wants of all that can be seen, and nothing that it need not hold."""
        visible = {item for name in self.known() for item in good(self.truth, name)}
        wants = {name: wanted(visible, self.rule(name)) for name in self.names}
        kept = {item for name in self.known() for item in wants[name]}
        awaited = {item for name in self.names if self.away[name] for item in wants[name]} - kept
        for name in self.known():
            here = good(self.truth, name)
            newest = max(here, key=lambda item: item.stamp, default=None)
            spared = (
                {newest} if newest and not any(item.stamp >= newest.stamp for item in wants[name]) else set()
            )
            expected = wants[name] | (awaited & here) | spared
            # nothing is pruned while the target cannot be backed up
            assert here >= expected if self.stuck else here == expected, name

    def check_union(self) -> None:
        """All that any destination's rule wants of everything ever made is there, but for what was destroyed everywhere."""
        for name in self.names:
            assert wanted(self.made, self.rule(name)) - self.destroyed <= self.union(), name


@settings(bounded, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_a_year_with_outages_and_losses_ends_as_the_rule_says(seed: int) -> None:
    story = Story(seed)
    for day in range(0, 400, 1 + seed % 3):
        story.befall()
        if story.dice.random() < 0.1:
            continue  # the machine is off
        now = START + timedelta(days=day, minutes=story.dice.randint(0, 300))
        story.run(now, failures=0.1 if story.dice.random() < 0.2 else 0.0)
        story.check_union()
        story.run(now)
        assert story.run(now) == ()
        story.check_places()
        story.check_union()


@pytest.mark.parametrize("seed", range(3))
def test_hours_at_a_time(seed: int) -> None:
    story = Story(seed, schedule="@hourly")
    for hour in range(24 * 40):
        if hour % 5 == 0:
            story.befall()
        story.run(START + timedelta(hours=hour))
        story.check_places()
        story.check_union()


def test_two_hundred_days_hold_seven_four_and_three() -> None:
    story = Story(0)
    story.fleet = msgspec.structs.replace(
        story.fleet,
        destinations=tuple(
            msgspec.structs.replace(item, retention=RULES[0]) for item in story.fleet.destinations
        ),
        backups=(msgspec.structs.replace(story.fleet.backups[0], retention=RULES[0], timezone="UTC"),),
    )
    for day in range(200):
        story.run(START + timedelta(days=day))
    for name in story.names:
        held = [item.tier for item in good(story.truth, name)]
        assert {tier: held.count(tier) for tier in set(held)} == {"daily": 7, "weekly": 4, "monthly": 3}
