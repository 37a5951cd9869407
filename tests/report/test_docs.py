"""docs/status.md is the contract of status.json: it names every field, state and reason, and shows the example as it is."""

import inspect
import typing

import msgspec
import pytest

from reconciler.model import status as model
from reconciler.report import conditions
from tests.report.example import PAGE, documents

STRUCTS = [
    struct
    for struct in vars(model).values()
    if inspect.isclass(struct) and issubclass(struct, model.StatusModel) and struct is not model.StatusModel
]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_field_is_documented(struct: type[msgspec.Struct]) -> None:
    page = PAGE.read_text()
    names = [field.encode_name for field in msgspec.structs.fields(struct)]
    assert [name for name in names if f"`{name}`" not in page and f"`{name}[]`" not in page] == []


def test_every_state_and_reason_is_documented() -> None:
    page = PAGE.read_text()
    literals = [model.ConditionType, model.Truth, model.TargetState, model.SlotState, model.OutcomeState]
    words = [word for literal in literals for word in typing.get_args(literal)]
    reasons = [
        word
        for word in inspect.getsource(conditions).split('"')
        if word.isidentifier() and word[0].isupper() and word not in typing.get_args(model.Truth)
    ]
    assert len(reasons) > 8
    assert [word for word in (*words, *reasons) if f"`{word}`" not in page] == []


def test_the_example_is_what_the_code_makes() -> None:
    for path, text in documents().items():
        assert path.read_text() == text, f"{path.name} drifted: run python -m tests.report.example"
