"""Kinds of notifier; one file, one kind, its name = the key in YAML. Each is a ``Teller`` or a ``Watcher``, as ``HEARS`` says.

Used by ``report``.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from reconciler.model.notifications import Transition

Hears = Literal["changes", "runs"]

PATIENCE = 10.0
"""Seconds after which nobody waits for a notifier any more: a run has to end, also while it is being stopped."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What changed in one run. ``worst`` of its changes; no text holds a secret."""

    title: str
    body: str
    worst: Transition


class Teller(Protocol):
    """What a module with ``HEARS = "changes"`` offers."""

    def tell(self, url: str, message: Message) -> None:
        """Deliver it. Raises ReconcilerError in words that never change by themselves and show no part of ``url``."""


class Watcher(Protocol):
    """What a module with ``HEARS = "runs"`` offers. Both raise ReconcilerError as ``Teller.tell`` does."""

    def begun(self, url: str) -> None:
        """A run begins that has something to do."""

    def ended(self, url: str, *, well: bool, log: str) -> None:
        """A run ended; ``log`` says what it did, the last words last."""
