"""What holds for every plan, over made-up worlds (`worlds.py`) and what applying makes of them (`simulator.py`)."""

import random
import re
from datetime import timedelta
from typing import TypeVar

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from reconciler import plan
from reconciler.model import (
    Action,
    Adopt,
    Create,
    Deletions,
    Observation,
    Plan,
    Policy,
    Prune,
    Recover,
    Replicate,
    Restore,
    TargetId,
)
from reconciler.retention import retention_at, verdicts
from tests.plan.simulator import apply, copies, good, step
from tests.plan.worlds import World, bounded, worlds

T = TypeVar("T")
REASON = re.compile(
    r"(hourly|daily|weekly|monthly|yearly) \d+ of \d+|among the newest \d+|past \w+ \d+|no \w+ rule here"
    r"|dated after now: kept, not counted"
)


def make(world: World, seen: Observation | None = None) -> Plan:
    return plan.make(world.fleet, seen or world.seen, world.now)


def converge(world: World) -> Observation:
    """The observation when nothing is left to do. What a run did not dare to prune, the next may."""
    seen = world.seen
    for _ in range(3):
        made = make(world, seen)
        seen = apply(seen, made)
        if not made.actions:
            return seen
    raise AssertionError(f"still not done: {make(world, seen).actions}")


def touched(action: Action) -> set[str]:
    match action:
        case Create():
            return set(action.destinations)
        case Replicate():
            return {action.destination, *action.sources}
        case Adopt() | Recover() | Prune():
            return {action.destination}
        case Restore():
            return set(action.sources)


@bounded
@given(worlds())
def test_after_apply_the_plan_is_empty(world: World) -> None:
    first = make(world)
    second = make(world, apply(world.seen, first))
    if any("over a year before now" in note.message for note in first.notes):
        assert all(isinstance(action, Prune) for action in second.actions)
    else:
        assert second.actions == ()
    converge(world)


@bounded
@given(worlds())
def test_a_prune_never_takes_the_newest_good_copy_nor_the_last_of_a_target(world: World) -> None:
    made = make(world)
    seen = world.seen
    for action in made.actions:
        if isinstance(action, Prune) and not copies(seen, action.destination)[action.key].broken:
            here = [item for item in good(seen, action.destination) if item.target == action.target]
            assert action.key != max(here, key=lambda item: (item.stamp, item.key)).key
            assert len(here) > 1
        seen = step(seen, action, made)


@bounded
@given(worlds(future=True))
def test_nothing_is_pruned_of_a_target_that_is_unfit_or_misdated(world: World) -> None:
    latest = f"{world.now + timedelta(minutes=10):%Y-%m-%dT%H%M%SZ}"
    unfit = {target for target, probe in world.seen.probes.items() if probe.problem}
    held = {item for name in world.seen.listings for item in good(world.seen, name)}
    misdated = {item.target for item in held if item.stamp > latest}
    pruned = {action.target for action in make(world).actions if isinstance(action, Prune)}
    assert not pruned & (unfit | misdated)


@bounded
@given(worlds(), st.data())
def test_a_run_of_which_parts_failed_is_healed_by_the_next(world: World, data: st.DataObject) -> None:
    made = make(world)
    writing = [action for action in made.actions if isinstance(action, Create | Replicate)]
    failed = data.draw(st.lists(st.sampled_from(writing), unique=True)) if writing else []
    stopped = {action.target for action in failed}
    skipped = [action for action in made.actions if isinstance(action, Prune) and action.target in stopped]
    seen = apply(world.seen, made, failing=[*failed, *skipped])
    assert plan.shape(make(world, converge(world._replace(seen=seen)))) == ()


@bounded
@given(worlds(future=False), st.sampled_from((1, 7, 40, 365, 366, 367, 1000, 4000)))
def test_a_gap_of_any_length_deletes_only_what_the_new_artifact_pushes_out(world: World, days: int) -> None:
    seen = converge(world)
    later = plan.make(world.fleet, seen, world.now + timedelta(days=days))
    new = {action.target: action for action in later.actions if isinstance(action, Create)}
    gone: dict[tuple[TargetId, str], int] = {}
    for action in later.actions:
        if isinstance(action, Prune):
            assert action.destination in new[action.target].destinations
            place = (action.target, action.destination)
            gone[place] = gone.get(place, 0) + 1
    # One by its tier's count, one by the minimum or as the newest copy there. A third may have stayed for a destination that
    # is unknown, until the new artifact stood for it; where every destination is known there is none.
    unknown = any(listing.unknown for listing in seen.listings.values())
    assert all(count <= 2 + unknown for count in gone.values())


@bounded
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_the_inputs_does_not_matter(world: World, dice: random.Random) -> None:
    def mixed(items: tuple[T, ...]) -> tuple[T, ...]:
        return tuple(dice.sample(items, len(items)))

    listings = {
        name: msgspec.structs.replace(
            listing,
            copies=mixed(listing.copies),
            leftovers=mixed(listing.leftovers),
            foreign=mixed(listing.foreign),
        )
        for name, listing in mixed(tuple(world.seen.listings.items()))
    }
    backups = tuple(
        msgspec.structs.replace(backup, targets=mixed(backup.targets)) for backup in world.fleet.backups
    )
    fleet = msgspec.structs.replace(
        world.fleet, backups=mixed(backups), destinations=mixed(world.fleet.destinations)
    )
    probes = dict(mixed(tuple(world.seen.probes.items())))
    seen = msgspec.structs.replace(world.seen, listings=listings, probes=probes)
    assert plan.make(fleet, seen, world.now) == make(world)


@bounded
@given(worlds())
def test_every_copy_is_kept_or_pruned_for_a_reason(world: World) -> None:
    for backup in world.fleet.backups:
        for target in backup.targets:
            for name in backup.destinations:
                held = [item for item in good(world.seen, name) if item.target == target.id]
                judged = verdicts(held, retention_at(world.fleet, backup, name), world.now)
                assert {verdict.artifact for verdict in judged} == set(held)
                assert all(REASON.fullmatch(verdict.reason) for verdict in judged)
    assert all(action.reason for action in make(world).actions)


@bounded
@given(worlds())
def test_an_unknown_destination_never_gets_an_action(world: World) -> None:
    unknown = {name for name, listing in world.seen.listings.items() if listing.unknown}
    made = make(world)
    assert not any(touched(action) & unknown for action in made.actions)
    told = {note.subject for note in made.notes if note.topic == "destination" and note.severity == "error"}
    assert told == unknown


@bounded
@given(worlds())
def test_no_copy_is_both_wanted_and_pruned_and_the_actions_come_in_order(world: World) -> None:
    actions = make(world).actions
    made = {
        (action.key, name) for action in actions if isinstance(action, Create) for name in action.destinations
    }
    made |= {(action.key, action.destination) for action in actions if isinstance(action, Replicate)}
    pruned = [(action.key, action.destination) for action in actions if isinstance(action, Prune)]
    assert not made & set(pruned)
    assert len(set(pruned)) == len(pruned)
    ranks = [(Recover, Adopt, Create, Replicate, Prune).index(type(action)) for action in actions]
    assert ranks == sorted(ranks)


@bounded
@given(worlds(), st.integers(0, 3))
def test_the_cap_withholds_all_deletions_or_none_and_its_code_approves_exactly_these(
    world: World, most: int
) -> None:
    def under(deletions: Deletions) -> Plan:
        policy = Policy(rule321="off", deletions=deletions)
        return plan.make(msgspec.structs.replace(world.fleet, policy=policy), world.seen, world.now)

    free = [action for action in make(world).actions if isinstance(action, Prune)]
    capped = under(Deletions(max_per_run=most))
    kept_back = [note for note in capped.notes if note.topic == "deletions" and note.subject == "policy"]
    assert bool(kept_back) == (len(free) > most)
    assert [action for action in capped.actions if isinstance(action, Prune)] == ([] if kept_back else free)
    for note in kept_back:
        code = note.message.partition("approved: ")[2].partition("}")[0]
        assert under(Deletions(max_per_run=most, approved=code)).actions == make(world).actions
