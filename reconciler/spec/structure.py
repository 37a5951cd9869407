"""A document against its schema: every error, each in plain words and at its place. Used by check.

jsonschema finds the errors; this module follows unions into the branch that was meant and says what is wrong without
showing the whole document, or anything that may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from reconciler.spec.problems import Path, Problem, quote
from reconciler.spec.reader import Document
from reconciler.spec.schema import Schema, schema
from reconciler.spec.secrecy import ADVICE, hidden, literals, names_secret
from reconciler.spec.suggest import did_you_mean, misspelt

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

Finding = tuple[Path, str, bool]
"""Where, what, and whether the key rather than the value is meant."""

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}
_PATTERNS = {
    "^[a-z0-9][a-z0-9.-]{0,62}$": "lower-case letters, digits, dots and hyphens, beginning with a letter or digit, at most 63",
    "^[a-z0-9][a-z0-9-]{0,62}$": "lower-case letters, digits and hyphens, beginning with a letter or digit, at most 63",
    "^[A-Za-z_][A-Za-z0-9_]*$": "the name of an environment variable",
    r"^[^\x00]+$": "text that is not empty",
    r"^[^\x00\n]*[^\x00\n/]/?$": "a pattern such as *.tmp, cache/ or app/logs/",
    "^[0-9a-f]{12}$": "the 12 characters that plan printed",
}


def structural_problems(document: Document, kind: str) -> Iterator[Problem]:
    """Everything in which ``document`` is not what the schema of ``kind`` asks for."""
    secrets = set(literals(document.data, _public(document.data)))
    for path in sorted(secrets, key=str):
        yield document.problem(path, ADVICE)
    silent = document.refused | secrets
    found = set()
    for error in _validator(kind).iter_errors(document.data):
        for path, message, at_key in _unfold(error, document):
            if not any(path[: len(quiet)] == quiet for quiet in silent) and (path, message) not in found:
                found.add((path, message))
                yield document.problem(path, message, at_key=at_key)


@cache
def _validator(kind: str) -> Validator:
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry

    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    keywords = {"pattern": _pattern, "required": _required, "additionalProperties": _unknown_keys}
    checker = validators.extend(Draft202012Validator, validators=keywords, type_checker=types)  # type: ignore[no-untyped-call]
    validator: Validator = checker(schema(kind), registry=Registry())
    return validator


# --- keywords that jsonschema reads in another way, or reports in one piece ------------------------------------------


def _pattern(_: Validator, pattern: str, value: Any, __: Schema) -> Iterator[ValidationError]:
    """As other languages do: ``$`` is the very end, not also the place before a last line break."""
    from jsonschema.exceptions import ValidationError

    strict = re.sub(r"\$$", r"\\Z", pattern)
    if isinstance(value, str) and not re.search(strict, value):
        yield ValidationError("does not match")


def _required(_: Validator, required: list[str], value: Any, node: Schema) -> Iterator[ValidationError]:
    """One error for each key, with the key as its message; none for a key that is there, but misspelt."""
    from jsonschema.exceptions import ValidationError

    missing = [key for key in required if key not in value] if isinstance(value, dict) else []
    known = node.get("properties", {})
    for key in missing:
        if not misspelt(key, value, known):
            yield ValidationError(key)


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


# --- what an error means ---------------------------------------------------------------------------------------------


def _unfold(error: ValidationError, document: Document) -> Iterator[Finding]:
    """The findings that an error stands for: those of the branch that was meant, where there are branches."""
    path = tuple(error.absolute_path)
    if error.validator in ("oneOf", "anyOf"):
        yield from _in_branches(error, document, path)
    elif error.validator == "additionalProperties":
        yield (*path, error.message), _unknown_key(error), True
    elif error.validator == "required":
        yield path, f"required key {quote(error.message)} is missing", False
    else:
        yield path, _explain(error, document, path), False


def _unknown_key(error: ValidationError) -> str:
    known = sorted(error.schema.get("properties", {}))  # type: ignore[union-attr]
    near = did_you_mean(error.message, known)
    hint = near or (f"; allowed here: {', '.join(known)}" if known else "; none is allowed here")
    advice = f"; {ADVICE}" if names_secret(error.message) and not known else ""
    return f"unknown key {quote(error.message)}{hint}{advice}"


def _in_branches(error: ValidationError, document: Document, path: Path) -> Iterator[Finding]:
    branches = [_resolved(branch, document) for branch in error.schema[error.validator]]  # type: ignore[index]
    value = error.instance
    kinds = [
        branch["properties"]["kind"]["const"] for branch in branches if "kind" in branch.get("properties", {})
    ]
    meant: int | None
    if kinds and isinstance(value, dict):
        if value.get("kind") not in kinds:
            yield _wrong_kind(value, kinds, document, path)
            return
        meant = kinds.index(value["kind"])
    else:
        meant = _nearest(value, branches)
    if meant is None and any("fromEnv" in branch.get("properties", {}) for branch in branches):
        yield path, ADVICE, False
    elif meant is None and kinds:
        yield (
            path,
            f"expected a mapping with the keys kind and name, got {_shown(value, document, path)}",
            False,
        )
    elif meant is None:
        yield path, _expected(branches, value, document, path), False
    for inner in error.context or ():
        if inner.schema_path[0] == meant:
            yield from _unfold(inner, document)


def _resolved(branch: Schema, document: Document) -> Schema:
    if "$ref" not in branch:
        return branch
    definitions = schema(document.data["kind"])["$defs"]
    found: Schema = definitions[branch["$ref"].removeprefix("#/$defs/")]
    return found


def _wrong_kind(value: dict[str, Any], kinds: list[str], document: Document, path: Path) -> Finding:
    if "kind" not in value:
        return path, f'required key "kind" is missing; one of {", ".join(kinds)}', False
    kind = value["kind"]
    near = did_you_mean(kind, kinds) if isinstance(kind, str) else ""
    shown = quote(kind) if isinstance(kind, str) else _shown(kind, document, (*path, "kind"))
    return (*path, "kind"), f"unknown kind {shown}{near}; one of {', '.join(kinds)}", False


def _nearest(value: Any, branches: list[Schema]) -> int | None:
    """The branch of the value's own type; among mappings the one that shares most keys, if it shares any."""
    if isinstance(value, str) and (words := [i for i, branch in enumerate(branches) if "enum" in branch]):
        return words[0]
    if not isinstance(value, dict):
        return None
    mappings = [i for i, branch in enumerate(branches) if branch.get("type") == "object"]
    if len(mappings) == 1:
        return mappings[0]
    shared = {i: len(branches[i]["properties"].keys() & value.keys()) for i in mappings}
    best = max(shared, key=lambda i: shared[i], default=None)
    return best if best is not None and shared[best] else None


def _expected(branches: Iterable[Schema], value: Any, document: Document, path: Path) -> str:
    names = []
    for branch in branches:
        properties = branch.get("properties")
        if properties:
            names.append("{" + ", ".join(f"{key}: …" for key in branch.get("required") or properties) + "}")
        else:
            names.append(_TYPES.get(branch.get("type", ""), "another value"))
    return f"expected {' or '.join(names)}, got {_shown(value, document, path)}"


def _explain(error: ValidationError, document: Document, path: Path) -> str:
    explain = _EXPLAIN.get(str(error.validator))
    shown = _shown(error.instance, document, path)
    if explain is None:
        return f"this is not allowed here: {shown}"
    return explain(error.validator_value, error.instance, shown)


def _shown(value: Any, document: Document, path: Path) -> str:
    """A value as people wrote it, short; not at all where it may be a secret."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if hidden(path):
        return "another value"
    if isinstance(value, str):
        return f"the text {quote(value)}"
    source = document.sources.get(path, str(value))
    return source if isinstance(value, bool) else f"the number {source}"


def _type(wanted: Any, value: Any, shown: str) -> str:
    text = f"expected {_TYPES.get(str(wanted), str(wanted))}, got {shown}"
    if value is None:
        return f"{text}: give a value, or remove the key"
    if wanted == "string" and not isinstance(value, dict | list):
        source = shown.removeprefix("the number ")
        return f"{text}; quote it" + (f": {quote(source)}" if source != "another value" else "")
    if isinstance(value, str) and wanted in ("integer", "number") and re.fullmatch(r"-?[0-9]+", value):
        return f"{text}; remove the quotes"
    if wanted == "array" and isinstance(value, str):
        return (
            f"{text}; write a list, as [{value}]"
            if re.fullmatch(r"[\w.-]{1,40}", value)
            else f"{text}; write a list"
        )
    return text


def _enum(words: Any, value: Any, shown: str) -> str:
    near = did_you_mean(value, [str(word) for word in words]) if isinstance(value, str) else ""
    return f"expected {_one_of(words)}, got {shown}{near}"


def _one_of(words: list[Any]) -> str:
    texts = [str(word) for word in words]
    return texts[0] if len(texts) == 1 else f"one of {', '.join(texts)}"


_EXPLAIN: dict[str, Callable[[Any, Any, str], str]] = {
    "type": _type,
    "enum": _enum,
    "const": lambda word, value, shown: _enum([word], value, shown),
    "pattern": lambda pattern, _, shown: (
        f"expected {_PATTERNS.get(pattern, f'text that matches {pattern}')}, got {shown}"
    ),
    "minimum": lambda least, _, shown: f"expected at least {least}, got {shown}",
    "maximum": lambda most, _, shown: f"expected at most {most}, got {shown}",
    "minItems": lambda least, _, __: (
        f"the list needs at least {least} {'entry' if least == 1 else 'entries'}"
    ),
    "maxItems": lambda most, _, __: f"the list may have at most {most} entries",
    "minLength": lambda _, value, __: "the text is empty" if value == "" else "the text is too short",
    "maxLength": lambda most, _, __: f"the text is longer than {most} characters",
    "minProperties": lambda _, __, ___: "the mapping is empty",
}


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
