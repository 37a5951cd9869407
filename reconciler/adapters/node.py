"""Where this process runs: the name of the machine, and the container if it is in one."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

_MADE_BY_THE_ENGINE = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")


def name() -> str:
    """``RECONCILER_NODE`` where it is set (containers change their host name), else the host name; safe in a key."""
    text = os.environ.get("RECONCILER_NODE") or platform.node() or "node"
    return re.sub(r"[^a-z0-9.-]", "-", text.lower())[:63]


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
