"""One apply at a time on the same specs: a lock that the kernel drops when its holder dies. Used by the loop and ``journal``."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.errors import Locked

_TRIES = 50
"""For a second. A process that has been killed keeps its locks while a child of it has not begun its own program yet."""
_BETWEEN = 0.02


def take(descriptor: int, tries: int) -> bool:
    """Lock an open file; False when somebody else has it at so many tries, which are 20 ms apart. Raises OSError."""
    pause = threading.Event()
    for _ in range(tries):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pause.wait(_BETWEEN)
        else:
            return True
    return False


@contextmanager
def hold(specs: Path) -> Iterator[None]:
    """Lock the folder of the specs while the block runs. Raises Locked when somebody else has it.

    A single file of specs locks its folder: the whole folder may be at work on the same targets.

    Specs that cannot be opened are not locked: loading them says what is wrong.
    """
    try:
        descriptor = os.open(specs.resolve().parent if specs.is_file() else specs, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        if not take(descriptor, _TRIES):
            raise Locked(f"another run works on {specs} right now; wait for it, and run this again")
        yield
    finally:
        os.close(descriptor)
