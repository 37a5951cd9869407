"""How the page says things: filters of the templates. Pure; used by ``pages``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from reconciler.model import Outcome
from reconciler.model.status import TargetStatus
from reconciler.wording import counted, size_text, time_text

_TONES = {
    "good": ("good", "known", "held", "done", "True"),
    "bad": ("bad", "failing", "failed", "missed", "False", "error", "running, with failures"),
    "work": ("running", "healing"),
    "dim": ("info", "suspended"),
}
_GLYPHS = {"good": "✓", "bad": "✕", "work": "◔", "warn": "!", "dim": "–"}
_SECONDS = (("d", 86400), ("h", 3600), ("min", 60))


def tone(state: str) -> str:
    """How a state is coloured: good, bad, work, dim, or warn for everything else."""
    return next((name for name, states in _TONES.items() if state in states), "warn")


def glyph(state: str) -> str:
    """A sign that differs as the colour does."""
    return _GLYPHS[tone(state)]


def apart(time: datetime, now: datetime) -> str:
    """``3 h ago`` or ``in 5 min``."""
    seconds = (now - time).total_seconds()
    if abs(seconds) < 60:
        return "just now" if seconds >= 0 else "in a moment"
    return f"{lasting(seconds)} ago" if seconds > 0 else f"in {lasting(-seconds)}"


def lasting(seconds: float) -> str:
    """A span in its largest unit."""
    for unit, length in _SECONDS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def held(target: TargetStatus, destination: str) -> list[str]:
    """What a destination holds of a target, in a few words each: a tier as held of wanted, and what is not as it should be."""
    holding = next((item for item in target.holdings if item.destination == destination), None)
    if holding is None:
        return ["–"]
    if not holding.known:
        return ["cannot be looked at"]
    tiers = [f"{item.tier} {item.held}/{item.wanted}" for item in holding.tiers]
    faults = [
        f"{len(items)} {word}"
        for items, word in ((holding.missing, "missing"), (holding.broken, "broken"))
        if items
    ]
    return [*(tiers or [counted(holding.copies, "copy")]), *faults]


def outcome(item: Outcome) -> str:
    """``done``, ``skipped``, ``failed`` or ``done in part``."""
    if item.skipped:
        return "skipped"
    if item.error:
        return "failed"
    return "done in part" if item.failures else "done"


def upper_first(text: str) -> str:
    """``text`` as a sentence begins."""
    return text[:1].upper() + text[1:]


FILTERS: Mapping[str, Callable[..., Any]] = {
    "tone": tone,
    "glyph": glyph,
    "apart": apart,
    "lasting": lasting,
    "held": held,
    "outcome": outcome,
    "upper_first": upper_first,
    "size": size_text,
    "moment": time_text,
}
