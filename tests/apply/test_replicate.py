"""A copy made from another: every byte is checked on the way, and a bad source is never passed on."""

import random
from datetime import timedelta

import pytest

from reconciler import plan
from reconciler.apply import run
from reconciler.destinations.memory import MemoryStore
from reconciler.model import Observation, Outcome, Plan, Recover, Replicate
from reconciler.naming import intent_key, manifest_key
from reconciler.observe.listing import read_listing
from tests.faults.bench import Silent
from tests.faults.ports import Fault, FaultyStore, Killed, Site, Switch
from tests.faults.world import KEY, NODE, NOW, SHOP, Places

OLD = "monthly/shop_files_2025-01-20T030000Z_monthly.tar.zst"
PLAIN = random.Random(1).randbytes(3_000_000)


def replicate(places: Places, *sources: str) -> Outcome:
    """Copy KEY to ``c``."""
    action = Replicate(SHOP, KEY, sources, "c", len(PLAIN), "missing here")
    (outcome,) = run(Plan(NOW, (action,)), places.fleet, places.world, Silent())
    return outcome


def holding(*names: str) -> Places:
    """Whole copies at these places."""
    places = Places()
    for name in names:
        places.hold(name, KEY, PLAIN)
    return places


def whole(places: Places) -> bool:
    """Whether ``c`` holds the copy that ``b`` holds, and nothing else."""
    here = places.content["c"]
    return here == {key: places.content["b"][key] for key in (KEY, manifest_key(KEY))}


def test_the_copy_and_its_manifest_are_the_same_bytes() -> None:
    places = holding("b")
    outcome = replicate(places, "b")
    assert (outcome.ok, outcome.verified) == (True, "b")
    assert whole(places)


@pytest.mark.parametrize("position", [0, 1, 1000, 1_500_000, -1])
def test_a_rotten_source_is_passed_over_with_a_warning_and_the_next_is_taken(position: int) -> None:
    places = holding("a", "b")
    rotten = bytearray(places.content["a"][KEY])
    rotten[position] ^= 1
    places.content["a"][KEY] = bytes(rotten)
    outcome = replicate(places, "a", "b")
    assert (outcome.ok, outcome.verified) == (True, "b")
    assert "the copy at a cannot be used" in outcome.warnings[0]
    assert "sha256" in outcome.warnings[0]
    assert whole(places)


def test_with_rotten_sources_alone_nothing_is_published() -> None:
    places = holding("a", "b")
    places.content["a"][KEY] = places.content["a"][KEY][:-1]
    places.content["b"][manifest_key(KEY)] = b"no json"
    outcome = replicate(places, "a", "b")
    assert outcome.error.startswith("no good copy to make it from")
    assert outcome.verified == ""
    assert "instead of" in outcome.error
    assert "not readable" in outcome.error
    assert places.content["c"] == {}


@pytest.mark.parametrize("method", ["get", "read", "read on"])
def test_a_source_that_cannot_be_read_is_passed_over_too(method: str) -> None:
    places = holding("a", "b")
    subject = manifest_key(KEY) if method == "get" else KEY
    switch = Switch(Site("a", method, subject, 0), Fault("unreachable"))
    places.stores["a"] = FaultyStore(places.stores["a"], "a", switch)
    outcome = replicate(places, "a", "b")
    assert switch.tripped
    assert outcome.ok
    assert "planned" in outcome.warnings[0]
    assert whole(places)


def test_a_source_that_has_vanished_meanwhile_is_an_error_and_nothing_is_left() -> None:
    places = Places()
    assert "no such object" in replicate(places, "a", "b").error
    assert places.content["c"] == {}


def test_a_broken_copy_is_replaced() -> None:
    places = holding("b", "c")
    places.content["c"][KEY] = b"cut short"
    assert replicate(places, "b").ok
    assert whole(places)


def test_a_broken_copy_is_kept_while_no_source_is_good() -> None:
    places = holding("b", "c")
    places.content["c"][KEY] = b"cut short"
    places.content["b"][KEY] = b"also cut short"
    before = dict(places.content["c"])
    assert replicate(places, "b").error
    assert places.content["c"] == before


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("method", "subject"),
    [
        ("put", intent_key(NODE, KEY)),
        ("create", KEY),
        ("write", KEY),
        ("commit", KEY),
        ("put", manifest_key(KEY)),
        ("delete", intent_key(NODE, KEY)),
    ],
)
def test_a_destination_that_fails_holds_no_copy_that_is_not_whole(
    method: str, subject: str, *, after: bool
) -> None:
    places = holding("b")
    switch = Switch(Site("c", method, subject, 0), Fault("error", after=after))
    places.stores["c"] = FaultyStore(places.stores["c"], "c", switch)
    outcome = replicate(places, "b")
    assert switch.tripped
    here = places.content["c"]
    assert outcome.ok == (method == "delete")  # a record that stays is the next run's affair
    record = {intent_key(NODE, KEY)}
    if outcome.ok:
        assert set(here) - record == {KEY, manifest_key(KEY)}
    else:
        assert "planned" in outcome.error
        assert set(here) <= record


@pytest.mark.parametrize("call", [("commit", OLD), ("put", manifest_key(OLD))])
def test_an_old_artifact_that_one_machine_is_copying_is_not_swept_by_another(call: tuple[str, str]) -> None:
    """Seen by the other one at the moment before a call."""
    places = Places("ac")
    places.hold("a", OLD, b"a year ago")
    switch = Switch(Site("c", *call, 0), Fault("kill"))
    places.stores["c"] = FaultyStore(places.stores["c"], "c", switch)
    action = Replicate(SHOP, OLD, ("a",), "c", 1, "missing here")
    with pytest.raises(Killed):
        list(run(Plan(NOW, (action,)), places.fleet, places.world, Silent()))
    places.stores["c"] = MemoryStore("c", places.content["c"])
    listings = {name: read_listing(store, name, "") for name, store in places.stores.items()}
    soon = plan.make(places.fleet, Observation(listings, node="another"), NOW)
    assert not [action for action in soon.actions if isinstance(action, Recover)]
    later = plan.make(places.fleet, Observation(listings, node="another"), NOW + timedelta(days=8))
    assert [action.key for action in later.actions if isinstance(action, Recover)] == [OLD]
