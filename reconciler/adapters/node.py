"""Where this process runs: the name of the machine, the container if it is in one, and which process it is."""

from __future__ import annotations

import os
import platform
import re
import uuid
from functools import cache
from pathlib import Path

_PID = re.compile("[1-9][0-9]{0,8}", re.ASCII)
_MADE_BY_THE_ENGINE = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")


def name() -> str:
    """``RECONCILER_NODE`` where it is set (containers change their host name), else the host name; safe in a key."""
    text = os.environ.get("RECONCILER_NODE") or platform.node() or "node"
    return re.sub(r"[^a-z0-9.-]", "-", text.lower())[:63]


def process() -> str:
    """This process among all that ever ran on this machine: the machine's boot, the namespace of pids, the pid, its start."""
    return f"{_machine()} {os.getpid()} {_started(os.getpid())}"


def is_gone(other: str) -> bool:
    """Whether the process ``other`` has surely ended. Of another machine, boot or container nobody can tell."""
    machine, _, rest = other.partition(" ")
    pid, _, started = rest.partition(" ")
    if machine != _machine() or not _PID.fullmatch(pid):
        return False
    if now := _started(int(pid)):
        return now != started
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's, which /proc may hide
        return False
    return False


@cache
def _machine() -> str:
    """This boot of this machine, and the namespace of pids; something of our own where the kernel does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return uuid.uuid4().hex


def _started(pid: int) -> str:
    """When the process began, in ticks since boot; ``dead`` until it is buried; empty where nothing is seen."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "dead" if fields[0] in "ZX" else fields[19]


def own_container(mounts: str | None = None) -> str:
    """The id of the container that this process runs in, or its beginning; empty outside of one.

    ``mounts``: the text of ``/proc/self/mountinfo``. The Engine mounts some files below ``/etc`` from a folder with the id.
    """
    if mounts is None:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    for line in mounts.splitlines():
        root, place = line.split()[3:5]
        found = re.search(r"/containers/([0-9a-f]{64})/", root)
        if found and place in _MADE_BY_THE_ENGINE:
            return found[1]
    name = platform.node()
    return name if re.fullmatch("[0-9a-f]{12}", name) else ""
