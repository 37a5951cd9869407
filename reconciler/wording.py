"""Sizes, times and counts in words for people. Pure; used by the command line and the status page, so that both say the same."""

from __future__ import annotations

from datetime import UTC, datetime


def size_text(size: int) -> str:
    """Bytes for people, in powers of 1,024, such as ``1.5 GiB``."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def growth_text(size: int, before: int) -> str:
    """How much more or less bytes than before, such as ``+1.5 GiB`` or ``-20 B``."""
    return f"{'-' if size < before else '+'}{size_text(abs(size - before))}"


def time_text(moment: datetime) -> str:
    """A time in UTC to the minute, such as ``2026-01-20 03:00Z``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def counted(number: int, word: str) -> str:
    """``1 copy``, ``2 copies``, ``3 targets``, ``4 days``."""
    if number == 1:
        return f"1 {word}"
    return (
        f"{number} {word[:-1]}ies" if word.endswith("y") and word[-2] not in "aeiou" else f"{number} {word}s"
    )
