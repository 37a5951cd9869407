"""Schema errors in plain words. Used by structure.

A value is shown as people wrote it and short; one that may be a secret is never shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from reconciler import durations, sizes
from reconciler.model.timing import CLOCK_END, CLOCK_TIME, DATE_OR_TIME
from reconciler.spec.problems import Path, quote
from reconciler.spec.reader import Document
from reconciler.spec.schema import Schema
from reconciler.spec.secrecy import hidden
from reconciler.spec.suggest import did_you_mean

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}
_LOGIN = re.compile(r"://\S*@")  # a password may stand there
_PATTERNS = {
    r"^https?://[^\s]+$": "a URL that begins with http:// or https://",
    durations.PATTERN: "a duration such as 30s, 3m or 1h30m",
    sizes.PATTERN: "a size such as 500kB, 1MB or 10MiB",
    "^[a-z0-9][a-z0-9.-]{0,62}$": "lower-case letters, digits, dots and hyphens, beginning with a letter or digit, at most 63",
    "^[a-z0-9][a-z0-9-]{0,62}$": "lower-case letters, digits and hyphens, beginning with a letter or digit, at most 63",
    "^[A-Za-z_][A-Za-z0-9_]*$": "the name of an environment variable",
    r"^[^\x00]+$": "text that is not empty",
    CLOCK_TIME: "a time of day such as 22:00",
    CLOCK_END: "a time of day such as 06:00 or 24:00",
    DATE_OR_TIME: "a date such as 2026-12-24, or a time such as 2026-12-24T06:00:00Z",
    r"^[^\x00\n]*[^\x00\n/]/?$": "a pattern such as *.tmp, cache/ or app/logs/",
    "^[0-9a-f]{12}$": "the 12 characters that plan printed",
}


def expected(branches: Iterable[Schema], value: Any, document: Document, path: Path) -> str:
    """What a union would have taken."""
    names = []
    for branch in branches:
        properties = branch.get("properties")
        if properties:
            names.append("{" + ", ".join(f"{key}: …" for key in branch.get("required") or properties) + "}")
        else:
            names.append(_TYPES.get(branch.get("type", ""), "another value"))
    return f"expected {' or '.join(names)}, got {shown(value, document, path)}"


def explain(error: ValidationError, document: Document, path: Path) -> str:
    """What is wrong with a value, for every keyword but those that concern keys and unions."""
    words = _EXPLAIN.get(str(error.validator))
    value = shown(error.instance, document, path)
    pattern = error.schema.get("pattern") if isinstance(error.schema, dict) else None
    if (
        error.validator == "type"
        and error.instance is not None
        and pattern in (durations.PATTERN, sizes.PATTERN)
    ):
        return f"expected {_PATTERNS[pattern]}, got {value}"
    if words is None:
        return f"this is not allowed here: {value}"
    return words(error.validator_value, error.instance, value)


def shown(value: Any, document: Document, path: Path) -> str:
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
        return f"the text {quote(_LOGIN.sub('://…@', value))}"
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
    return f"expected {_alternatives(words)}, got {shown}{near}"


def _alternatives(words: list[Any]) -> str:
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
