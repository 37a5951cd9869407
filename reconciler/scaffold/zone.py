"""The time zone of this machine. Used by the command line for a Policy that is written once; nothing else depends on it."""

from __future__ import annotations

import os

from reconciler import schedule


def local_zone() -> str:
    """Its IANA name, by TZ or /etc/localtime; empty where it is UTC, or unknown."""
    name = (
        os.environ.get("TZ", "").lstrip(":") or os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    )
    try:
        found = schedule.parse("@daily", name).zone
    except ValueError:
        return ""
    return "" if found in ("", "UTC", "Etc/UTC", "Universal", "Zulu") else found
