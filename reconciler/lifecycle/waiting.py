"""Waiting with a deadline. Used by the modules beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from reconciler.ports import Clock

HEALTHY_SECONDS = 300.0
"""How long a container may take to become healthy."""
RUNNING_SECONDS = 60.0
"""How long a container or service may take to run again, or to be gone."""

_POLL = 0.1


def wait_until(ready: Callable[[], bool], clock: Clock, seconds: float) -> bool:
    """Whether ``ready`` became true within so many seconds."""
    deadline = clock.monotonic() + seconds
    pause = threading.Event()
    while not ready():
        if clock.monotonic() > deadline:
            return False
        pause.wait(_POLL)
    return True
