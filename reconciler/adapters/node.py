"""The name of this machine in intent records and in the status."""

from __future__ import annotations

import os
import platform
import re


def name() -> str:
    """``RECONCILER_NODE`` where it is set (containers change their host name), else the host name; safe in a key."""
    text = os.environ.get("RECONCILER_NODE") or platform.node() or "node"
    return re.sub(r"[^a-z0-9.-]", "-", text.lower())[:63]
