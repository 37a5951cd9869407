"""One apply at a time on the same specs: a lock that the kernel drops when its holder dies. Used by the loop."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.errors import Locked


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
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(f"another run works on {specs} right now; wait for it, and run this again") from None
        yield
    finally:
        os.close(descriptor)
