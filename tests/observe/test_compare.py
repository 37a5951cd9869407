"""Copies of one artifact must be equal; where they are not, the manifests say which one is broken."""

import msgspec
import pytest

from reconciler.errors import SecretError
from reconciler.model import Copy, Destination, Listing
from reconciler.naming import manifest_key
from reconciler.observe import destinations, everything
from reconciler.ports import Store
from tests.faults.ports import Fault, FaultyStore, Site, Switch
from tests.faults.world import KEY, NOW, OLDER, Places

PLAIN = b"some bytes of a source " * 100


def observed(places: Places) -> dict[str, Listing]:
    return destinations(places.fleet, places.world, {})


def broken(places: Places, key: str = KEY) -> dict[str, str]:
    """Why the copies of ``key`` are broken, by destination."""
    found: dict[str, Copy] = {
        name: copy
        for name, here in observed(places).items()
        for copy in here.copies
        if copy.artifact.key == key
    }
    return {name: copy.broken for name, copy in found.items()}


def three() -> Places:
    """Three equal copies of two artifacts."""
    places = Places()
    for name in places.content:
        places.hold(name, KEY, PLAIN)
        places.hold(name, OLDER, PLAIN)
    return places


def test_equal_copies_are_good_and_no_manifest_is_read() -> None:
    places = three()
    switch = Switch()
    places.stores = {name: FaultyStore(store, name, switch) for name, store in places.stores.items()}
    assert broken(places) == {"a": "", "b": "", "c": ""}
    assert [site.method for site in switch.sites] == ["list", "list", "list"]


def test_the_copy_that_was_cut_short_is_broken_and_the_others_are_good() -> None:
    places = three()
    places.content["b"][KEY] = places.content["b"][KEY][:10]
    whole = len(places.content["a"][KEY])
    assert broken(places) == {"a": "", "b": f"10 bytes instead of {whole}", "c": ""}
    assert broken(places, OLDER) == {"a": "", "b": "", "c": ""}


@pytest.mark.parametrize(
    "data", [b"<html>quota exceeded</html>", b'{"x":' + 5000 * b"[" + 5000 * b"]" + b"}"]
)
def test_a_manifest_that_is_no_json_breaks_its_copy_alone(data: bytes) -> None:
    places = three()
    places.content["c"][manifest_key(KEY)] = data
    found = broken(places)
    assert (found["a"], found["b"]) == ("", "")
    assert "is not readable" in found["c"]


def test_the_manifest_of_another_artifact_breaks_its_copy() -> None:
    places = three()
    places.content["c"][manifest_key(KEY)] = places.content["c"][manifest_key(OLDER)] + b" "
    assert "is that of" in broken(places)["c"]


def test_a_manifest_that_cannot_be_read_is_told() -> None:
    places = three()
    places.content["b"][KEY] += b"!"
    switch = Switch(Site("c", "get", manifest_key(KEY), 0), Fault("error"))
    places.stores["c"] = FaultyStore(places.stores["c"], "c", switch)
    found = broken(places)
    assert found["a"] == ""
    assert "cannot be read" in found["c"]
    assert "instead of" in found["b"]


def test_missing_data_is_broken_where_it_is_missing() -> None:
    places = three()
    del places.content["a"][KEY]
    assert broken(places) == {"a": "its data is missing", "b": "", "c": ""}


def test_a_destination_that_cannot_be_listed_is_unknown_and_the_others_are_known() -> None:
    places = three()
    switch = Switch(Site("b", "list", "", 0), Fault("unreachable"))
    places.stores["b"] = FaultyStore(places.stores["b"], "b", switch)
    found = observed(places)
    assert found["b"].copies == ()
    assert "planned" in found["b"].unknown
    assert len(found["a"].copies) == len(found["c"].copies) == 2


def test_a_destination_that_cannot_be_opened_is_unknown() -> None:
    places = three()

    def refuse(item: Destination) -> Store:
        if item.name == "b":
            raise SecretError("environment variable KEY is not set")
        return places.stores[item.name]

    places.world = msgspec.structs.replace(places.world, store=refuse)
    found = observed(places)
    assert found["b"].unknown == "environment variable KEY is not set"
    assert len(found["a"].copies) == 2


def test_what_was_unknown_before_is_not_waited_for_again() -> None:
    places = three()
    switch = Switch(Site("b", "list", "", 0), Fault("unreachable"))
    places.stores["b"] = FaultyStore(places.stores["b"], "b", switch)
    first = everything(places.fleet, places.world, {}, NOW)
    again = everything(places.fleet, places.world, {}, NOW, first)
    assert again.listings == first.listings
    assert [site.method for site in switch.sites] == ["list"]
    assert everything(places.fleet, places.world, {}, NOW).listings["b"].unknown == ""
