"""``POST /hooks/git``: a forge says that something was pushed. It is believed no more than that: the loop looks earlier."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable
from email.message import Message
from typing import Literal

from reconciler.web.access import same

LARGEST = 1 << 20
"""Bytes of a body."""
BURST = 10
"""As many triggers are taken at once …"""
REFILL = 6.0
"""… and then one in so many seconds."""

Answer = Literal["taken", "unsigned", "too often"]


class Webhook:
    """Takes signed requests and calls ``wake``, at a bounded rate. ``monotonic`` is a clock in seconds."""

    def __init__(self, secret: str, wake: Callable[[], None], monotonic: Callable[[], float]) -> None:
        self._secret = secret
        self._wake = wake
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._left = float(BURST)
        self._asked = monotonic()

    def take(self, headers: Message, body: bytes) -> Answer:
        """Wake the loop if the request is signed, and there were not too many of late."""
        if not self._signed(headers, body):
            return "unsigned"
        if not self._room():
            return "too often"
        self._wake()
        return "taken"

    def _signed(self, headers: Message, body: bytes) -> bool:
        """As GitHub, Gitea and Forgejo sign the body, or with the secret itself, as GitLab sends it."""
        if (token := headers.get("X-Gitlab-Token")) is not None:
            return same(token, self._secret)
        told = headers.get("X-Hub-Signature-256", "").removeprefix("sha256=") or headers.get(
            "X-Gitea-Signature", ""
        )
        return same(told.lower(), hmac.digest(self._secret.encode(), body, "sha256").hex())

    def _room(self) -> bool:
        with self._lock:
            now = self._monotonic()
            self._left = min(BURST, self._left + (now - self._asked) / REFILL)
            self._asked = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
