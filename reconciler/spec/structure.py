"""A document against its schema: every error, each in plain words and at its place. Used by check.

jsonschema finds the errors; this module follows unions into the branch that was meant and says what is wrong without
showing the whole document, or anything that may be a secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reconciler.spec.explain import expected, explain, shown
from reconciler.spec.keywords import kinds_of, resolved, validator
from reconciler.spec.problems import Path, Problem, quote
from reconciler.spec.reader import Document
from reconciler.spec.schema import Schema, schema
from reconciler.spec.secrecy import ADVICE, literals, names_secret
from reconciler.spec.suggest import did_you_mean, misspelt

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

Finding = tuple[Path, str, bool]
"""Where, what, and whether the key rather than the value is meant."""


def structural_problems(document: Document, kind: str) -> Iterator[Problem]:
    """Everything in which ``document`` is not what the schema of ``kind`` asks for."""
    secrets = set(literals(document.data, _public(document.data)))
    for path in sorted(secrets, key=str):
        yield document.problem(path, ADVICE)
    silent = document.refused | secrets
    found = set()
    for error in validator(kind).iter_errors(document.data):
        for path, message, at_key in _unfold(error, document):
            if not any(path[: len(quiet)] == quiet for quiet in silent) and (path, message) not in found:
                found.add((path, message))
                yield document.problem(path, message, at_key=at_key)


def _unfold(error: ValidationError, document: Document) -> Iterator[Finding]:
    """The findings that an error stands for: those of the branch that was meant, where there are branches."""
    path = tuple(error.absolute_path)
    if error.validator in ("oneOf", "anyOf"):
        yield from _in_branches(error, document, path)
    elif error.validator == "additionalProperties":
        yield (*path, error.message), _unknown_key(error), True
    elif error.validator == "required":
        known: dict[str, Any] = error.schema.get("properties", {})  # type: ignore[union-attr]
        written: Any = error.instance
        if not misspelt(error.message, written, known):  # that is reported as an unknown key
            yield path, f"required key {quote(error.message)} is missing", False
    else:
        yield path, explain(error, document, path), False


def _unknown_key(error: ValidationError) -> str:
    known = sorted(error.schema.get("properties", {}))  # type: ignore[union-attr]
    near = did_you_mean(error.message, known)
    hint = near or (f"; allowed here: {', '.join(known)}" if known else "; none is allowed here")
    advice = f"; {ADVICE}" if names_secret(error.message) and not known else ""
    return f"unknown key {quote(error.message)}{hint}{advice}"


def _in_branches(error: ValidationError, document: Document, path: Path) -> Iterator[Finding]:
    branches: list[Schema] = error.schema[error.validator]  # type: ignore[index]
    kinds = kinds_of(branches)
    if kinds:
        yield _wrong_kind(error.instance, kinds, document, path)
        return
    choices = [resolved(branch) for branch in branches]
    meant = _nearest(error.instance, choices)
    if meant is not None:
        for inner in error.context or ():
            if inner.schema_path[0] == meant:
                yield from _unfold(inner, document)
    elif any("fromEnv" in branch.get("properties", {}) for branch in choices):
        yield path, ADVICE, False
    else:
        yield path, expected(choices, error.instance, document, path), False


def _wrong_kind(value: Any, kinds: list[str], document: Document, path: Path) -> Finding:
    if not isinstance(value, dict):
        return (
            path,
            f"expected a mapping with the keys kind and name, got {shown(value, document, path)}",
            False,
        )
    if "kind" not in value:
        return path, f'required key "kind" is missing; one of {", ".join(kinds)}', False
    kind = value["kind"]
    near = did_you_mean(kind, kinds) if isinstance(kind, str) else ""
    written = quote(kind) if isinstance(kind, str) else shown(kind, document, (*path, "kind"))
    return (*path, "kind"), f"unknown kind {written}{near}; one of {', '.join(kinds)}", False


def _nearest(value: Any, branches: list[Schema]) -> int | None:
    """The branch of the value's own type; among several the one that shares most keys, if it shares any."""
    fitting = [i for i, branch in enumerate(branches) if _JSON_TYPES.get(type(value)) in _types_of(branch)]
    if len(fitting) == 1:
        return fitting[0]
    shared = {i: len(branches[i].get("properties", {}).keys() & _keys(value)) for i in fitting}
    best = max(shared, key=lambda i: shared[i], default=None)
    return best if best is not None and shared[best] else None


_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


def _types_of(branch: Schema) -> tuple[str, ...]:
    return ("string",) if "enum" in branch else (branch.get("type", ""),)


def _keys(value: Any) -> set[str]:
    return set(value) if isinstance(value, dict) else set()


# --- what is no secret although its key sounds like one --------------------------------------------------------------


def _public(data: Any) -> frozenset[Path]:
    """Options that their protocol takes as plain values, such as a name that contains “key”."""
    spec = data.get("spec") if isinstance(data, dict) else None
    url = spec.get("url") if isinstance(spec, dict) else None
    if not isinstance(url, str):
        return frozenset()
    options = schema("Destination")["$defs"].get(f"{url.partition('://')[0].capitalize()}Options", {})
    return frozenset(
        ("spec", "options", name)
        for name, field in options.get("properties", {}).items()
        if "#/$defs/Secret" not in str(field)
    )
