"""Made-up fleets and observations for the property tests: every mixture of good, broken, missing, unknown, new and misdated."""

import os
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from reconciler.model import (
    TIERS,
    Backup,
    Copy,
    Deletions,
    Destination,
    Fleet,
    Leftover,
    Listing,
    Observation,
    Policy,
    Probe,
    Retention,
    TargetId,
    Tier,
)
from tests.plan.cases import HERE, Data, artifact

bounded = settings(
    max_examples=120,
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
"""Quick, and in CI the same examples in every run."""

ALL_DELETIONS = Policy(rule321="off", deletions=Deletions(max_per_run=10_000))
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe")
SCHEDULES = ("0 3 * * *", "@hourly", "30 2 * * sun", "@monthly", "0 0 1 1 *", "*/20 * * * *")


class World(NamedTuple):
    """What `plan.make` takes."""

    fleet: Fleet
    seen: Observation
    now: datetime


def retentions() -> st.SearchStrategy[Retention]:
    """One rule alone, or any mixture of them."""
    counts = st.fixed_dictionaries({tier: st.sampled_from((0, 0, 1, 1, 2)) for tier in TIERS})
    alone = st.sampled_from(TIERS).map(lambda tier: {tier: 1})
    some = alone | counts.filter(lambda chosen: any(chosen.values()))
    return st.builds(
        lambda chosen, minimum: Retention(**chosen, minimum=minimum), some, st.sampled_from((1, 1, 2))
    )


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """One to three destinations and one or two backups with one or two targets."""
    names = draw(st.permutations("abc"))[: draw(st.integers(1, 3))]
    destinations = [
        Destination(
            name=name,
            url=f"{draw(st.sampled_from(('file', 's3')))}:///{name}",
            retention=draw(st.none() | retentions()),
        )
        for name in names
    ]
    targets = [Data(name=service, type="data") for service in ("app", "wiki", "shop")]
    chosen = targets[: draw(st.sampled_from((1, 1, 2, 3)))]
    groups = [chosen[:2], chosen[2:]] if len(chosen) > 2 else [chosen]
    backups = [
        Backup(
            name=f"backup{number}",
            schedule=draw(st.sampled_from(SCHEDULES)),
            timezone=draw(st.sampled_from(ZONES)),
            targets=tuple(group),
            destinations=tuple(names[: draw(st.integers(1, len(names)))]),
            retention=draw(retentions()),
            suspend=draw(st.integers(0, 9)) == 9,
        )
        for number, group in enumerate(groups)
    ]
    return Fleet(destinations=tuple(destinations), backups=tuple(backups), policy=ALL_DELETIONS)


def _ages(*, future: bool) -> st.SearchStrategy[timedelta]:
    recent = st.integers(0, 200).map(lambda hours: timedelta(hours=hours))
    older = st.integers(0, 800).map(lambda days: timedelta(days=days, hours=9))
    ahead = st.integers(1, 60).map(lambda hours: timedelta(hours=-hours))
    return recent | older | ahead if future else recent | older


@st.composite
def worlds(draw: st.DrawFn, *, future: bool | None = None) -> World:
    """A fleet and what was seen of it at `NOW`; ``future``: whether some copies may be dated after that."""
    fleet = draw(fleets())
    ids = [TargetId(service, "data") for service in ("app", "app", "app", "wiki", "shop", "orphan")]
    names = [destination.name for destination in fleet.destinations]
    if future is None:  # not often: one such copy stops the pruning of its target
        future = draw(st.integers(0, 3)) == 0
    states = draw(st.tuples(*(st.sampled_from(("known",) * 5 + ("unknown", "new")) for _ in names)))
    copies: dict[str, list[Copy]] = {name: [] for name in names}
    for target, age, tier in draw(
        st.lists(
            st.tuples(st.sampled_from(ids), _ages(future=future), st.sampled_from(TIERS)),
            min_size=6,
            max_size=18,
        )
    ):
        made = artifact(target, tier, NOW - age, image=False)
        for name in names:
            state = draw(st.sampled_from(("good", "good", "good", "broken", "missing")))
            if state != "missing" and made.key not in {copy.artifact.key for copy in copies[name]}:
                copies[name].append(Copy(made, 1000, 500, "sha256 differs" if state == "broken" else ""))
    listings = {
        name: _listing(state, copies[name], draw(leftovers(ids)))
        for name, state in zip(names, states, strict=True)
    }
    fit = st.sampled_from((*[Probe()] * 6, Probe(problem="there is no such volume")))
    probes = {target: draw(fit) for target in ids}
    return World(fleet, Observation(listings=listings, probes=probes, node=HERE), NOW)


def _listing(state: str, copies: list[Copy], left: tuple[Leftover, ...]) -> Listing:
    if state == "unknown":
        return Listing(unknown="no route to host")
    if state == "new":
        return Listing(adopt=True)
    return Listing(marker="id", copies=tuple(copies), leftovers=left, foreign=("notes.txt",))


@st.composite
def leftovers(draw: st.DrawFn, ids: list[TargetId]) -> tuple[Leftover, ...]:
    """None or a few half-made artifacts, ours, another machine's or nobody's."""
    found = []
    for hours in draw(st.lists(st.integers(1, 400), max_size=2, unique=True)):
        tier: Tier = "hourly"
        made = artifact(
            draw(st.sampled_from(ids)), tier, NOW - timedelta(hours=hours, minutes=7), image=False
        )
        node = draw(st.sampled_from(("", HERE, "other")))
        found.append(Leftover(made.key, made.target, made.time, node, (made.key,)))
    return tuple(found)
