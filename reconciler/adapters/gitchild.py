"""A git command that runs: what it prints up to a bound, and its end. Used by ``git``."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from subprocess import TimeoutExpired
from typing import IO


def printed(output: IO[bytes], group: int, most: int, seconds: float) -> bytes:
    """What a command prints, until it is ended for printing more than ``most`` bytes. Raises TimeoutExpired."""
    too_late = threading.Event()

    def give_up() -> None:
        too_late.set()
        end(group)

    late = threading.Timer(seconds, give_up)
    late.start()
    try:
        begun = bytes(output.read(most + 1))
    finally:
        late.cancel()
    if too_late.is_set():
        raise TimeoutExpired("git", seconds)
    if len(begun) > most:
        end(group)
    return begun


def end(group: int) -> None:
    """End git and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
