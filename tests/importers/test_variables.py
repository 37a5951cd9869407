"""Variables as docker compose replaces them, and .env files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.importers.variables import MAX_LENGTH, Setting, assignments, substitute

VALUES = {"SET": "value", "EMPTY": "", "A": "a"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("$SET and ${SET}s", "value and values"),
        ("$MISSING|${MISSING}", "|"),
        ("${MISSING-default} ${EMPTY-default} ${EMPTY:-default}", "default  default"),
        ("${SET:-default}", "value"),
        ("${MISSING:-${A}/$SET}", "a/value"),
        ("${SET:+yes}${MISSING:+no}${EMPTY+there}", "yesthere"),
        ("${SET:?is needed}", "value"),
        ("$$SET $${SET} 100$", "$SET ${SET} 100$"),
        ("${A:-}}", "a}"),
        ("$(date) $1", "$(date) $1"),
    ],
)
def test_what_is_replaced(text: str, result: str) -> None:
    assert substitute(text, VALUES) == result


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${SET", "is not closed"),
        ("${}", "holds no name"),
        ("${1A}", "holds no name"),
        ("${MISSING:?no}", "the variable MISSING is needed"),
        ("${EMPTY:?}", "the variable EMPTY is needed"),
        ("${A1:-${A2:-${A3:-${A4:-${A5:-${A6:-${A7:-${A8:-${A9:-${A10:-x}}}}}}}}}}", "nested too deep"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        substitute(text, VALUES)


def test_a_file_of_settings() -> None:
    text = """\
# a comment
PLAIN=one two  # and a comment
export EXPORTED = spaced
  INDENTED: colon
QUOTED="with \\"quotes\\"\\nand $A"
SINGLE='as $A is # here'
LINES="first
second"
AFTER=${PLAIN}!
EMPTY=
no assignment
"""
    found = assignments(text, "a.env", VALUES)
    assert {name: setting.value for name, setting in found.items()} == {
        "PLAIN": "one two",
        "EXPORTED": "spaced",
        "INDENTED": "colon",
        "QUOTED": 'with "quotes"\nand a',
        "SINGLE": "as $A is # here",
        "LINES": "first\nsecond",
        "AFTER": "one two!",
        "EMPTY": "",
    }
    assert found["AFTER"].place == "a.env:9"


def test_an_error_in_a_file_names_its_line() -> None:
    with pytest.raises(ValueError, match=r"^a\.env:2: "):
        assignments("A=1\nB=${A\n", "a.env", {})


def test_a_bomb_of_variables_is_refused() -> None:
    text = "\n".join(["A0=xxxxxxxxxx", *(f"A{n}=" + f"${{A{n - 1}}}" * 10 for n in range(1, 20))])
    with pytest.raises(ValueError, match="too long"):
        assignments(text, "a.env", {})


@pytest.mark.parametrize(
    ("raw", "variable"),
    [("$A", "A"), ("${A}", "A"), ("${A:?needed}", "A"), ("${A:-x}", ""), ("x$A", ""), ("plain", "")],
)
def test_which_variable_a_setting_is(raw: str, variable: str) -> None:
    assert Setting("", raw, "").variable == variable


@given(st.text(alphabet=st.sampled_from("$AB{}:-?+ x"), max_size=60))
def test_any_text_is_replaced_or_refused(text: str) -> None:
    try:
        message, result = "", substitute(text, {"A": "a" * 100})
    except ValueError as error:
        message, result = str(error), ""
    assert "aaa" not in message
    assert len(result) <= MAX_LENGTH
