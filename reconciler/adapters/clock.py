"""The clock: the only module that reads the time. ``RECONCILER_NOW`` sets it, for demonstrations and tests."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
        """Seconds since some fixed moment; runs even where ``now`` stands still, and while the machine sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot() -> tuple[str, datetime | None]:
    """Which running of this machine it is, and when that began as the clock has it, in UTC; nothing where that cannot be told.

    The name is the same until the machine is switched off, and says nothing about it.
    """
    if os.environ.get("RECONCILER_NOW"):
        return "", None
    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        running = time.clock_gettime(time.CLOCK_BOOTTIME)
    except (OSError, AttributeError):  # no Linux
        return "", None
    began = datetime.now(UTC) - timedelta(seconds=running)
    return hashlib.sha256(name).hexdigest()[:12], began.replace(microsecond=0)


def parse(text: str) -> datetime:
    """An ISO 8601 time such as ``2026-01-20T03:00:00Z``, in UTC; without a zone it is UTC. Raises ReconcilerError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ReconcilerError(f"{text!r} is not a time; write it as 2026-01-20T03:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
