"""Where this reconciler was installed from, so that CI and pre-commit can install the same. Reads the installer's own record."""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, distribution
from typing import NamedTuple

_ADDRESS = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]+)?/[\w./~-]+", re.ASCII)
_TAG = re.compile(r"v?[0-9]+(\.[0-9]+)+[\w.-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


class Source(NamedTuple):
    """A git repository without credentials, and the tag or commit."""

    url: str
    revision: str


def source() -> Source | None:
    """The repository and revision; None where it was installed from a folder or an index."""
    try:
        recorded = distribution("reconciler").read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    return parsed(recorded or "")


def parsed(recorded: str) -> Source | None:
    """What ``direct_url.json`` says; None for everything but git over https."""
    try:
        found = json.loads(recorded)
        url, about = found["url"], found["vcs_info"]
        asked, commit = about.get("requested_revision") or "", about["commit_id"]
        usable = about["vcs"] == "git" and _ADDRESS.fullmatch(url) and _COMMIT.fullmatch(commit)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if not usable:
        return None
    return Source(url, asked if _TAG.fullmatch(asked) else commit)
