"""What one action came to, before it is redacted and timed as an Outcome. Used inside this package alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from reconciler.model import HookOutcome


class Result(NamedTuple):
    """``error`` is empty on success; ``failures`` says why by destination; ``size`` is in stored bytes.

    ``verified`` names the destination whose copy was read whole and is as its manifest says.
    """

    error: str = ""
    failures: Mapping[str, str] = {}
    warnings: tuple[str, ...] = ()
    size: int = 0
    hooks: tuple[HookOutcome, ...] = ()
    verified: str = ""
