"""Sizes as people write them: ``1MB``, ``10MiB``. Pure; used by specs."""

from __future__ import annotations

import re

PATTERN = r"^[1-9][0-9]{0,14}(B|kB|KiB|MB|MiB|GB|GiB|TB|TiB)$"

_UNITS = {
    "B": 1,
    "kB": 10**3,
    "KiB": 2**10,
    "MB": 10**6,
    "MiB": 2**20,
    "GB": 10**9,
    "GiB": 2**30,
    "TB": 10**12,
    "TiB": 2**40,
}


def size_of(text: str) -> int:
    """The size in bytes. Raises ValueError for anything else than a size."""
    if not re.fullmatch(PATTERN.removeprefix("^").removesuffix("$"), text, re.ASCII):
        raise ValueError(f'"{text}" is not a size such as 500kB, 1MB or 10MiB')
    digits = text.rstrip("BkKMGTi")
    return int(digits) * _UNITS[text[len(digits) :]]
