"""Specs as YAML text with comments. Pure; used by convert. Plain data in, dictionaries in the order they are in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.spec.problems import one_line
from reconciler.spec.scalars import Ambiguous, resolve

WIDTH = 110
_PLAIN = re.compile(r"[A-Za-z_./~][\w./@+~-]*( [\w./@+~-]+)*", re.ASCII)
_PLAIN_URL = re.compile(r"[a-z0-9]+://[\w./@:~+-]*[\w/]", re.ASCII)


class Noted(NamedTuple):
    """A value with the comment that stands beside it."""

    value: Any
    why: str


class Off(NamedTuple):
    """A key or an item that is only proposed: it is written as a comment."""

    value: Any
    why: str


def document(kind: str, name: str, spec: Mapping[str, Any]) -> str:
    """One document of the specs."""
    head = ["apiVersion: reconciler/v1", f"kind: {kind}", f"metadata: {_flow({'name': name})}", "spec:"]
    return "\n".join([*head, *_indented(_mapping(spec))]) + "\n"


def comment(text: str) -> str:
    """``text`` as comment lines; each line of it is one."""
    return "".join(f"# {one_line(line)}".rstrip() + "\n" for line in text.split("\n"))


def _mapping(values: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for key, entry in values.items():
        value, why = (entry.value, entry.why) if isinstance(entry, Noted | Off) else (entry, "")
        if isinstance(value, Mapping | list) and (key == "targets" or _is_long(value, key)):
            found = [f"{_scalar(key, inside=True)}:", *_indented(_block(value))]
        else:
            found = [f"{_scalar(key, inside=True)}: {_flow(value, inside=False)}"]
        lines += _with_comment(found, why, off=isinstance(entry, Off))
    return lines


def _block(value: Mapping[str, Any] | list[Any]) -> list[str]:
    if isinstance(value, Mapping):
        return _mapping(value)
    lines: list[str] = []
    for entry in value:
        item, why = (entry.value, entry.why) if isinstance(entry, Noted | Off) else (entry, "")
        if isinstance(item, Mapping) and _is_long(item):
            first, *rest = _mapping(item)
            found = [f"- {first}", *_indented(rest)]
        else:
            found = [f"- {_flow(item)}"]
        lines += _with_comment(found, why, off=isinstance(entry, Off))
    return lines


def _with_comment(lines: list[str], why: str, *, off: bool) -> list[str]:
    """The comment behind a single short line, else above; all of it as comments when it is only proposed."""
    beside = bool(why) and not off and len(lines) == 1 and len(lines[0]) + len(why) < WIDTH
    above = [] if beside or not why else [f"# {one_line(why)}"]
    written = [f"# {line}" for line in lines] if off else lines
    return [*above, f"{written[0]} # {one_line(why)}" if beside else written[0], *written[1:]]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _is_long(value: Any, key: str = "") -> bool:
    """Whether one line cannot hold it."""
    return _has_notes(value) or len(_flow(value)) + len(key) > WIDTH - 12


def _has_notes(value: Any) -> bool:
    """Whether there are comments in it."""
    if isinstance(value, Noted | Off):
        return True
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(_has_notes(entry) for entry in inside)


def _flow(value: Any, *, inside: bool = True) -> str:
    """The value on one line."""
    if isinstance(value, Mapping):
        return (
            "{"
            + ", ".join(f"{_scalar(key, inside=True)}: {_flow(entry)}" for key, entry in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(_flow(entry) for entry in value) + "]"
    if isinstance(value, Noted | Off):
        return _flow(value.value)
    return _scalar(value, inside=inside)


def _scalar(value: str | int | bool, *, inside: bool) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) or (not inside and _PLAIN_URL.fullmatch(value)):
        try:
            if resolve(value) == value:
                return value
        except Ambiguous:
            pass
    if value.isprintable() and "'" not in value and ('"' in value or "\\" in value):
        return f"'{value}'"
    return "".join(
        char if char.isprintable() else f"\\U{ord(char):08x}"
        for char in json.dumps(value, ensure_ascii=False)
    )
