"""The clock: the only module that reads the time. ``RECONCILER_NOW`` sets it, for demonstrations and tests."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from reconciler.errors import ReconcilerError


class SystemClock:
    """The machine's clock, or a clock that stands still at ``RECONCILER_NOW``."""

    def __init__(self) -> None:
        text = os.environ.get("RECONCILER_NOW", "")
        self._fixed = parse(text) if text else None

    def now(self) -> datetime:
        """The present, in UTC, whole seconds."""
        return self._fixed or datetime.now(UTC).replace(microsecond=0)

    def monotonic(self) -> float:
        """Seconds since some fixed moment; runs even where ``now`` stands still."""
        return time.monotonic()


def parse(text: str) -> datetime:
    """An ISO 8601 time such as ``2026-01-20T03:00:00Z``, in UTC; without a zone it is UTC. Raises ReconcilerError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ReconcilerError(f"{text!r} is not a time; write it as 2026-01-20T03:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
