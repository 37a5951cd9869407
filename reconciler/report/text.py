"""How texts and times are written, in ``status.json`` and for people. Used by the rest of this package."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from reconciler.adapters.secrets import redact
from reconciler.wording import time_text

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
    return time_text(time) if time else "never"


def few(texts: Sequence[str], most: int = 3, separator: str = "; ") -> str:
    """The first ``most`` texts and how many more there are."""
    more = f"{separator}and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more
