"""Who may look. Without a token: whoever is on this machine, by a name that means this machine. With one: who has it."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from email.message import Message
from typing import NamedTuple

from reconciler.errors import ReconcilerError
from reconciler.web.address import Address, host_of, is_loopback

COOKIE = "reconciler"
SHORTEST = 16
"""Characters of a token or a webhook's secret."""
_DAYS_30 = 30 * 86400


class Access(NamedTuple):
    """The rule. ``token`` is empty where none is asked for."""

    token: str = ""

    @classmethod
    def to(cls, address: Address, token: str) -> Access:
        """The rule for a page at ``address``. Raises ReconcilerError where it would be open to others."""
        if not token and not address.is_loopback:
            raise ReconcilerError(
                f"{address} can be reached from other machines, so the page needs a token: "
                "--listen-token-from-env NAME or --listen-token-file FILE"
            )
        return cls(strong(token, "the token of the page") if token else "")

    def means_us(self, host: str) -> bool:
        """Whether the ``Host`` header names this machine. A page elsewhere whose name was turned to 127.0.0.1 does not.

        With a token any name may stand there: such a page does not have it.
        """
        return bool(self.token) or is_loopback(host_of(host))

    def allows(self, headers: Message) -> bool:
        """Whether a request may look: it bears the token, or the cookie of a browser that did."""
        if not self.token:
            return True
        scheme, _, told = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and same(told.strip(), self.token):
            return True
        return any(same(found, self._pass()) for found in _cookies(headers.get("Cookie", "")))

    def cookie(self, *, secure: bool) -> str:
        """The ``Set-Cookie`` for a browser that gave the token; it does not hold the token itself."""
        rest = f"Max-Age={_DAYS_30}; Path=/; HttpOnly; SameSite=Strict"
        return f"{COOKIE}={self._pass()}; {rest}{'; Secure' if secure else ''}"

    def _pass(self) -> str:
        return hmac.digest(self.token.encode(), b"a browser that gave the token", "sha256").hex()


def strong(secret: str, what: str) -> str:
    """``secret`` itself. Raises ReconcilerError when it is too short; ``what`` says what it is."""
    if len(secret) < SHORTEST:
        raise ReconcilerError(
            f"{what} has {len(secret)} characters and could be guessed: it needs {SHORTEST} or more, "
            "as `openssl rand -hex 32` makes them"
        )
    return secret


def same(one: str, other: str) -> bool:
    """Whether they are equal, in a time that tells nothing."""
    return hmac.compare_digest(
        one.encode("utf-8", "backslashreplace"), other.encode("utf-8", "backslashreplace")
    )


def _cookies(header: str) -> Iterator[str]:
    """The values of ours in a ``Cookie`` header. Python's own parser needs seconds for one that was made for that."""
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            yield value
