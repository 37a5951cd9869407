"""How texts, times, sizes and counts are written, in ``status.json`` and for people. Used by the rest of this package."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from reconciler.adapters.secrets import redact

LONGEST = 2000
"""Characters of one text; an error may quote what a program printed."""

_LOGIN = re.compile(r"(?<=://)[^/?#]*@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)


def clean(text: str) -> str:
    """``text`` without secrets, encodable, and of bounded length. Every text from outside goes through here."""
    whole = redact(text).encode("utf-8", "backslashreplace").decode()
    return whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}… ({len(whole)} characters)"


def public_url(url: str) -> str:
    """``url`` without what may hold credentials: user, password, and (but for local paths) query and fragment."""
    if url.startswith("file://"):
        return clean(url)
    return clean(_QUERY.sub("", _LOGIN.sub("", url)))


def moment(time: datetime | None) -> str:
    """A time for people, in UTC, such as ``2026-01-20 03:00Z``."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%MZ}" if time else "never"


def size(count: int) -> str:
    """Bytes for people, such as ``1.5 GiB``."""
    number = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def counted(number: int, word: str) -> str:
    """``1 copy``, ``2 copies``, ``3 targets``."""
    if number == 1:
        return f"1 {word}"
    return f"{number} {word[:-1]}ies" if word.endswith("y") else f"{number} {word}s"


def few(texts: Sequence[str], most: int = 3, separator: str = "; ") -> str:
    """The first ``most`` texts and how many more there are."""
    more = f"{separator}and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more
