"""``ping:`` notifiers: a dead man's switch in the manner of healthchecks, which raises the alarm when no ping comes."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit, urlunsplit

from reconciler.errors import ReconcilerError
from reconciler.notifiers import PATIENCE, Hears

HEARS: Final[Hears] = "runs"

LONGEST = 10_000
"""Bytes of the log that are sent: healthchecks keeps no more."""


def begun(url: str) -> None:
    """Ask ``url/start``. Raises ReconcilerError."""
    _ask(url, "/start", "")


def ended(url: str, *, well: bool, log: str) -> None:
    """Ask ``url``, or ``url/fail`` where it did not go well, with the end of the log. Raises ReconcilerError."""
    _ask(url, "" if well else "/fail", log)


def _ask(url: str, end: str, text: str) -> None:
    import requests

    body = text.encode(errors="replace")[-LONGEST:].decode(errors="ignore").encode()
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    try:
        with requests.post(
            _with(url, end), data=body, headers=headers, timeout=PATIENCE, allow_redirects=False, stream=True
        ) as answer:
            code = answer.status_code
    except (requests.RequestException, OSError, ValueError):
        # An exception of the library names the address, which is a secret as a whole.
        raise ReconcilerError("the service cannot be reached") from None
    if not 200 <= code < 300:
        raise ReconcilerError(f"the service did not take the ping: it answered with {code}")


def _with(url: str, end: str) -> str:
    """``url`` with ``end`` behind its path. Raises ReconcilerError."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ReconcilerError("its url is no http:// or https:// address")
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + end if end else parts.path))
