"""Markdown from parts: text that shows as it is, sections, tables. Used by ``markdown``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

LONGEST = 400
"""Characters of one text here; ``status.json`` has the whole."""

_SPECIAL = re.compile(r"[\\`*\[\]<>|~#&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def escape(text: str) -> str:
    """``text`` as Markdown that shows exactly it, on one line, also in a table; shortened when it is long."""
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    shown = visible(re.sub(r"\s*\n\s*", " ⏎ ", shown.strip()))
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", shown)


def visible(text: str) -> str:
    """``text`` with control characters, and others that cannot be seen, as escapes."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def section(title: str, lines: Iterable[str]) -> str:
    """A section; empty when it has no lines."""
    body = "\n".join(lines)
    return f"## {title}\n\n{body}" if body else ""


def contents(titles: Iterable[str]) -> str:
    """Links to the sections of these titles, named as forges name them."""
    return " · ".join(f"[{title}](#{title.lower().replace(' ', '-')})" for title in titles)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """The lines of a table of escaped cells; none when there are no rows."""
    if rows:
        yield f"| {' | '.join(head)} |"
        yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
