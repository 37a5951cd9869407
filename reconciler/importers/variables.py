"""Variables of compose files: ``${NAME:-default}`` and files of ``NAME=value`` lines. Pure; used by compose."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

MAX_LENGTH = 65_536
MAX_DEPTH = 8

_START = re.compile(r"\$(?:(?P<escaped>\$)|(?P<name>[A-Za-z_]\w*)|(?P<open>\{))", re.ASCII)
_BODY = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:(?P<rule>:?[-?+])(?P<word>.*))?", re.ASCII | re.DOTALL)
_ALONE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)(?::?\?[^}]*)?\}|(?P<plain>[A-Za-z_]\w*))", re.ASCII)
_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.-]*)[ \t]*[=:][ \t]*
        (?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<plain>[^\n]*))""",
    re.ASCII | re.VERBOSE | re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(r"(^|[ \t])#.*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


class Setting(NamedTuple):
    """The value of a variable, the text that it was made of, and ``file:line``. ``value`` may be secret."""

    value: str
    raw: str
    place: str

    @property
    def variable(self) -> str:
        """The variable that this is and nothing else; empty when it is more."""
        match = _ALONE.fullmatch(self.raw)
        return (match["braced"] or match["plain"]) if match else ""


def substitute(text: str, values: Mapping[str, str], depth: int = 0) -> str:
    """``text`` with its variables replaced; one that is not set is empty. Raises ValueError, which shows no value."""
    if depth > MAX_DEPTH:
        raise ValueError("variables are nested too deep")
    parts, position = [], 0
    while match := _START.search(text, position):
        parts.append(text[position : match.start()])
        position = match.end()
        if match["escaped"]:
            parts.append("$")
        elif match["name"]:
            parts.append(values.get(match["name"], ""))
        else:
            end = _closing(text, position)
            parts.append(_braced(text[position:end], values, depth))
            position = end + 1
    result = "".join([*parts, text[position:]])
    if len(result) > MAX_LENGTH:
        raise ValueError("variables make a value too long")
    return result


def _closing(text: str, position: int) -> int:
    """Where the brace that was opened before ``position`` is closed."""
    depth = 1
    for index in range(position, len(text)):
        depth += (text[index] == "{" and text[index - 1] == "$") - (text[index] == "}")
        if depth == 0:
            return index
    raise ValueError("${ is not closed: write $$ for a dollar sign")


def _braced(body: str, values: Mapping[str, str], depth: int) -> str:
    match = _BODY.fullmatch(body)
    if match is None:
        raise ValueError("${…} holds no name of a variable: write $$ for a dollar sign")
    name, rule, word = match["name"], match["rule"] or "", match["word"] or ""
    value = values.get(name)
    there = value is not None and (value != "" or not rule.startswith(":"))
    if rule.endswith("+"):
        return substitute(word, values, depth + 1) if there else ""
    if there or not rule:
        return value or ""
    if rule.endswith("?"):
        raise ValueError(f"the variable {name} is needed: set it, here or in .env")
    return substitute(word, values, depth + 1)


def assignments(text: str, file: str, values: Mapping[str, str]) -> dict[str, Setting]:
    """The settings of a ``.env`` file; ``values`` and earlier lines may be used in it. Raises ValueError with the line."""
    found: dict[str, Setting] = {}
    known = dict(values)
    for match in _LINE.finditer(text):
        place = f"{file}:{text.count(chr(10), 0, match.start('name')) + 1}"
        raw = _raw(match)
        try:
            value = raw if match["single"] is not None else substitute(raw, known)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        found[match["name"]] = Setting(value, raw, place)
        known.setdefault(match["name"], value)
    return found


def _raw(match: re.Match[str]) -> str:
    if match["single"] is not None:
        return match["single"]
    if match["double"] is not None:
        return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), match["double"])
    return _COMMENT.sub("", match["plain"]).strip()
