"""What is wrong with a spec, and where. Made by every module of this phase, shown by the command line as one line each."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import msgspec

from reconciler.model import Fleet

Path = tuple[str | int, ...]
"""Keys and list positions from a document's top."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PLAIN_KEY = re.compile(r"[\w.-]{1,64}")


class Mark(NamedTuple):
    """A place in a file; both count from 1, columns in characters."""

    line: int
    column: int


START = Mark(1, 1)


class Problem(msgspec.Struct, frozen=True, order=True):
    """One finding. ``path`` is the field, such as ``spec.targets[1].kind``; empty where no field is concerned."""

    file: str
    line: int
    column: int
    path: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        """``file:line:column: field.path: message``, always one line."""
        parts = [f"{self.file}:{self.line}:{self.column}"]
        parts += ["warning"] if self.severity == "warning" else []
        parts += [self.path] if self.path else []
        return one_line(": ".join([*parts, self.message]))


class Report(msgspec.Struct, frozen=True):
    """All findings of all files, sorted. ``fleet`` is None when one of them is an error; ``files`` counts files read."""

    fleet: Fleet | None
    problems: tuple[Problem, ...]
    files: int


def field(path: Path) -> str:
    """``spec.targets[1].kind`` for ``("spec", "targets", 1, "kind")``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if _PLAIN_KEY.fullmatch(step) else quote(step))
    return text


def quote(text: str) -> str:
    """``text`` in double quotes, on one line and not longer than a line bears."""
    shown = text if len(text) <= 60 else text[:57] + "…"
    return f'"{one_line(shown)}"'


def one_line(text: str) -> str:
    """``text`` without line breaks, terminal controls and what turns the reading direction around."""
    return _CONTROL.sub(
        lambda match: match[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text
    )
