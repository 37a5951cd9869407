"""Lengths of time as people write them: ``30s``, ``3m``, ``1h30m``. Pure; used by spec, observe and lifecycle."""

from __future__ import annotations

import re

PATTERN = r"^([1-9][0-9]{0,8}(ms|s|m|h|d))+$"
"""What a duration looks like: units may follow each other; zero is none."""

_PART = re.compile(r"([0-9]+)(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    """The duration in seconds. Raises ValueError for anything else than a duration."""
    if not re.fullmatch(PATTERN.removeprefix("^").removesuffix("$"), text, re.ASCII):
        raise ValueError(f'"{text}" is not a duration such as 30s, 3m or 1h30m')
    return sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(text))


def words(length: float) -> str:
    """``length`` in seconds as people read it: ``90 s`` or ``5 min``."""
    return f"{length / 60:g} min" if length >= 120 and length % 60 == 0 else f"{length:g} s"
