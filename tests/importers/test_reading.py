"""Compose files as people write them, and as nobody should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import SpecError
from reconciler.importers.reading import Node, read


def plain(node: Node) -> object:
    """The values alone."""
    if isinstance(node.value, dict):
        return {key: plain(value) for key, value in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, list) else node.value


def taken(text: str) -> object:
    return plain(read("compose.yaml", text))


def refused(text: str) -> str:
    with pytest.raises(SpecError) as error:
        read("a/compose.yaml", text)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_every_scalar_stays_text() -> None:
    assert taken("{a: 7, b: 0755, c: 22:30, d: no, e: 1e3, f: , g: ~, h: '', i: 'null'}") == {
        "a": "7",
        "b": "0755",
        "c": "22:30",
        "d": "no",
        "e": "1e3",
        "f": None,
        "g": None,
        "h": "",
        "i": "null",
    }


def test_merge_keys_as_yaml_has_them() -> None:
    text = """
        x-one: &one {a: 1, b: 1}
        x-two: &two {b: 2, c: 2}
        single: {<<: *one, b: own}
        listed: {c: own, <<: [*one, *two]}
        nested: {<<: {<<: *two, d: 3}}
    """
    found = taken(text)
    assert isinstance(found, dict)
    assert found["single"] == {"a": "1", "b": "own"}
    assert found["listed"] == {"a": "1", "b": "1", "c": "own"}
    assert found["nested"] == {"b": "2", "c": "2", "d": "3"}


def test_places_are_those_of_the_anchor() -> None:
    node = read("somewhere/compose.yaml", "x: &x\n  a: 1\ny:\n  <<: *x\n")
    assert node.mapping()["y"].mapping()["a"].place == "compose.yaml:2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: [a", "a/compose.yaml:2:1: a list [ … ] is not closed, or a comma is missing"),
        ("a: 1\na: 2\n", 'a/compose.yaml:2:1: duplicate key "a"'),
        ("a: *nothing\n", "a/compose.yaml:1:4: the alias *nothing names nothing that is complete here"),
        ("a: &a [*a]\n", "a/compose.yaml:1:8: the alias *a names nothing that is complete here"),
        ("[" * 50_000, "a/compose.yaml:1:33: nested deeper than 32 levels"),
        ("a: 1\n---\nb: 1\n", "a/compose.yaml:2:1: a second document: keep one compose file per file"),
        ("? [a]\n: 1\n", "a/compose.yaml:1:3: a key must be plain text"),
        ("? &x y\n: 1\n*x : 1\n", "a/compose.yaml:3:1: the alias *x names nothing that is complete here"),
        ("- a\n" * 20_001, "a/compose.yaml:20000:3: more than 20,000 values in one file"),
        ("<<: text\n", "a/compose.yaml:1:5: expected keys and values here"),
        ("", "a/compose.yaml:1:1: holds no document"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    assert refused(text) == message


def test_an_alias_bomb_costs_nothing() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 60)]
    assert len(read("compose.yaml", "\n".join(lines)).mapping()) == 60


def test_a_bomb_of_merge_keys_is_refused() -> None:
    keys = ", ".join(f"k{n}: v" for n in range(1000))
    lines = [f"a0: &a0 {{{keys}}}", *(f"a{n}: &a{n} {{<<: *a{n - 1}}}" for n in range(1, 100))]
    assert "the merge keys << copy too much" in refused("\n".join(lines))


@given(st.text(alphabet=st.sampled_from("a:&*-<[]{}'\"!|>,? \n#%"), max_size=60))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        read("compose.yaml", text)
        message = "compose.yaml:"
    except SpecError as error:
        message = str(error)
    assert message.startswith("compose.yaml:")
    assert "\n" not in message
