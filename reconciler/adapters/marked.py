"""Processes of this machine that carry a mark in their environment: found and ended, with all that descends from them.

Used by ``engine_execute`` and the hook kind ``script``. Children inherit the mark, also those that lead a session of
their own and those whose parent is gone; a child that was given another environment is found through its parent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

NAME = "RECONCILER_HOOK"
"""The variable that holds the mark."""

GRACE = 5.0
"""Seconds between the request to end and the kill."""

_POLL = 0.05


class _Process(NamedTuple):
    """A process that no later one is taken for: its number and the time of its start."""

    pid: int
    parent: int
    started: str


def new_mark() -> str:
    """A mark that no process has."""
    return uuid.uuid4().hex


def find(mark: str) -> tuple[_Process, ...]:
    """What runs with ``mark``, as far as this process may see it; empty where the processes are on another machine."""
    wanted = f"{NAME}={mark}".encode()
    running = tuple(_running())
    return _with_children(
        {process.pid for process in running if wanted in _environment(process.pid)}, running
    )


def _with_children(found: set[int], running: tuple[_Process, ...]) -> tuple[_Process, ...]:
    size = -1
    while size != len(found):
        size = len(found)
        found |= {process.pid for process in running if process.parent in found}
    return tuple(process for process in running if process.pid in found)


def end_descendants() -> None:
    """Kill what this process has started, and what that has; waits for none of it."""
    for _ in range(5):  # what forks while it is killed is found by the next look
        own = os.getpid()
        found = _with_children({own}, tuple(_running()))
        _signal(tuple(process for process in found if process.pid != own), signal.SIGKILL)


def end(mark: str, grace: float = GRACE) -> bool:
    """Ask everything with ``mark`` to end, and kill what is there after ``grace`` seconds. Whether all of it is gone."""
    _signal(find(mark), signal.SIGTERM)
    if _gone(mark, grace):
        return True
    for _ in range(20):  # what forks while it is killed is found by the next look
        _signal(find(mark), signal.SIGKILL)
        if _gone(mark, 0.2):
            return True
    return False


def _gone(mark: str, seconds: float) -> bool:
    pause = threading.Event()
    for _ in range(int(seconds / _POLL)):
        if not find(mark):
            return True
        pause.wait(_POLL)
    return not find(mark)


def _running() -> Iterator[_Process]:
    """Every process that has not ended."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                process, state = _read(int(folder.name))
                if state not in "ZX":
                    yield process


def _read(pid: int) -> tuple[_Process, str]:
    words = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return _Process(pid, int(words[1]), words[19]), words[0]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it ended, or is another user's
        return b""


def _signal(processes: tuple[_Process, ...], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(OSError):  # it ended meanwhile
            handle = os.pidfd_open(process.pid)
            try:
                if _read(process.pid)[0].started == process.started:
                    signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)
