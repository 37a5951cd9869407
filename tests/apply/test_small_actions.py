"""Prune, Recover and Adopt at one destination; and that a Prune waits for everything newer on its target."""

import json

import pytest

from reconciler.apply import run
from reconciler.model import Action, Adopt, Outcome, Plan, Prune, Recover, Replicate
from reconciler.naming import MARKER, intent_key, manifest_key
from tests.faults.bench import Silent
from tests.faults.ports import Fault, FaultyStore, Killed, Site, Switch
from tests.faults.world import KEY, NODE, NOW, OLDER, SHOP, Places

RECORD = intent_key(NODE, OLDER)
PRUNE = Prune(SHOP, OLDER, "a", 10, "past daily 1")


def do(places: Places, *actions: Action) -> list[Outcome]:
    return list(run(Plan(NOW, actions), places.fleet, places.world, Silent()))


def two() -> Places:
    """Two artifacts and a stranger at ``a``."""
    places = Places("ab")
    places.hold("a", KEY, b"new")
    places.hold("a", OLDER, b"old")
    places.content["a"]["README"] = b"mine"
    return places


def faulty(places: Places, method: str, subject: str, fault: Fault) -> None:
    switch = Switch(Site("a", method, subject, 0), fault)
    places.stores["a"] = FaultyStore(places.stores["a"], "a", switch)


def test_prune_removes_one_copy_and_nothing_else() -> None:
    places = two()
    (outcome,) = do(places, PRUNE)
    assert (outcome.ok, outcome.size) == (True, 10)
    assert set(places.content["a"]) == {KEY, manifest_key(KEY), "README"}


@pytest.mark.parametrize("key", [manifest_key(OLDER), OLDER, RECORD])
def test_a_prune_that_is_killed_leaves_a_copy_that_is_whole_or_none_and_a_record_of_what_is_left(
    key: str,
) -> None:
    places = two()
    faulty(places, "delete", key, Fault("kill"))
    with pytest.raises(Killed):
        do(places, PRUNE)
    here = places.content["a"]
    assert RECORD in here
    assert manifest_key(OLDER) not in here or OLDER in here


def test_a_full_disk_that_takes_no_record_is_pruned_all_the_same() -> None:
    places = two()
    faulty(places, "put", RECORD, Fault("full", lasting=True))
    (outcome,) = do(places, PRUNE)
    assert outcome.ok
    assert OLDER not in places.content["a"]


def test_a_prune_is_skipped_when_something_newer_on_its_target_failed() -> None:
    places = two()
    failing = Replicate(
        SHOP, "daily/shop_files_2026-01-18T030000Z_daily.tar.zst", ("b",), "a", 1, "missing here"
    )
    first, second = do(places, failing, PRUNE)
    assert first.error
    assert "failed in this run" in second.skipped
    assert not second.ok
    assert OLDER in places.content["a"]


def test_recover_removes_what_is_left_and_keeps_a_whole_copy() -> None:
    places = two()
    del places.content["a"][manifest_key(OLDER)]
    places.content["a"][RECORD] = b""
    record = intent_key(NODE, KEY)
    places.content["a"][record] = b""
    half = Recover("a", OLDER, (OLDER, RECORD), False, "died")
    whole = Recover("a", KEY, (record,), True, "died")
    assert all(outcome.ok for outcome in do(places, half, whole))
    assert set(places.content["a"]) == {KEY, manifest_key(KEY), "README"}


def test_recover_leaves_what_got_its_manifest_after_it_was_seen() -> None:
    places = two()
    (outcome,) = do(places, Recover("a", OLDER, (OLDER,), False, "old"))
    assert outcome.ok
    assert "has a manifest now" in outcome.warnings[0]
    assert {OLDER, manifest_key(OLDER)} <= set(places.content["a"])


def test_adopt_writes_a_marker_with_an_id_of_its_own() -> None:
    places = Places("ab")
    assert all(outcome.ok for outcome in do(places, Adopt("a", "new"), Adopt("b", "new")))
    a, b = (json.loads(places.content[name][MARKER]) for name in "ab")
    assert (a["name"], b["name"]) == ("a", "b")
    assert len(a["id"]) == len(b["id"]) == 32
    assert a["id"] != b["id"]


def test_one_failing_action_stops_no_other() -> None:
    places = two()
    faulty(places, "put", MARKER, Fault("error"))
    first, second, third = do(places, Adopt("a", "new"), Adopt("b", "new"), PRUNE)
    assert "planned" in first.error
    assert second.ok
    assert third.ok  # a marker that could not be written is nothing newer on a target
