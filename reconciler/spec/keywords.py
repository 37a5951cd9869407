"""The JSON Schema validator, with keywords that read or report otherwise than jsonschema's own. Used by structure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from reconciler.spec.schema import Schema, schema

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator


@cache
def validator(kind: str) -> Validator:
    """The validator of one kind of document. It fetches nothing: every reference is to the schema's own definitions."""
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry

    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    keywords = {
        "pattern": _pattern,
        "required": _required,
        "additionalProperties": _unknown_keys,
        "oneOf": _one_of,
    }
    checker = validators.extend(Draft202012Validator, validators=keywords, type_checker=types)  # type: ignore[no-untyped-call]
    made: Validator = checker(schema(kind), registry=Registry())
    return made


def _pattern(_: Validator, pattern: str, value: Any, __: Schema) -> Iterator[ValidationError]:
    """As other languages do: ``$`` is the very end, not also the place before a last line break."""
    from jsonschema.exceptions import ValidationError

    strict = re.sub(r"\$$", r"\\Z", pattern)
    if isinstance(value, str) and not re.search(strict, value):
        yield ValidationError("does not match")


def _required(_: Validator, required: list[str], value: Any, __: Schema) -> Iterator[ValidationError]:
    """One error for each key, with the key as its message."""
    from jsonschema.exceptions import ValidationError

    if isinstance(value, dict):
        yield from (ValidationError(key) for key in required if key not in value)


def _unknown_keys(validator: Any, more: Any, value: Any, node: Schema) -> Iterator[ValidationError]:
    """One error for each unknown key, with the key as its message."""
    from jsonschema.exceptions import ValidationError

    unknown = (
        [key for key in value if key not in node.get("properties", {})] if isinstance(value, dict) else []
    )
    for key in unknown:
        if more is False:
            yield ValidationError(key)
        else:
            yield from validator.descend(value[key], more, path=key)


def _one_of(validator: Any, branches: list[Schema], value: Any, node: Schema) -> Iterator[ValidationError]:
    """The branch that ``kind`` names and no other; where there is no such branch, one error."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

    kinds = kinds_of(branches)
    if not kinds:
        yield from Draft202012Validator.VALIDATORS["oneOf"](validator, branches, value, node)
    elif isinstance(value, dict) and value.get("kind") in kinds:
        yield from validator.descend(value, branches[kinds.index(value["kind"])])
    else:
        yield ValidationError("no such kind")


def kinds_of(branches: list[Schema]) -> list[str]:
    """The ``kind`` of each branch of a union that is told apart by it; empty for other unions."""
    branch_fields = [resolved(branch).get("properties", {}) for branch in branches]
    return [properties["kind"]["const"] for properties in branch_fields if "kind" in properties]


def resolved(branch: Schema) -> Schema:
    """The schema that a branch of a union stands for."""
    if "$ref" not in branch:
        return branch
    found: Schema = schema()["$defs"][branch["$ref"].removeprefix("#/$defs/")]
    return found
