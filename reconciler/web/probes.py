"""``/healthz`` and ``/readyz``: whether the process turns, and whether it does what it is for. Pure; used by ``site``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from reconciler.web.seen import Seen
from reconciler.wording import time_text


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    good: bool
    words: str

    def __str__(self) -> str:
        """A line of the answer."""
        return f"{'ok  ' if self.good else 'FAIL'} {self.name}: {self.words}"


def healthy(seen: Seen) -> Check:
    """Whether the loop turns: it shows itself when it said it would. A restart is worth it where it does not."""
    if seen.overdue:
        words = f"no sign of life for {seen.silent:.0f} s, {seen.overdue:.0f} s more than there should be"
        return Check("loop", good=False, words=words)
    return Check("loop", good=True, words=f"{seen.phase}; a sign of life {seen.silent:.0f} s ago")


def ready(seen: Seen) -> tuple[Check, ...]:
    """Whether backups are being made as the specs want: specs read, a tick ended, destinations reachable."""
    return (healthy(seen), _tick(seen), *_specs(seen), *_destinations(seen))


def _tick(seen: Seen) -> Check:
    if not seen.ticks:
        return Check("tick", good=False, words="none has ended since the start")
    if seen.problem:
        return Check("tick", good=False, words=" ".join(seen.problem.split()))
    return Check("tick", good=True, words=f"ended {time_text(seen.ticked) if seen.ticked else 'before'}")


def _specs(seen: Seen) -> Iterator[Check]:
    if seen.status:
        ready = seen.status.condition("Ready")
        told = ready.message if ready.reason in ("SpecsInvalid", "RevisionRejected") else "in force"
        yield Check(
            "specs", good=ready.reason != "SpecsInvalid", words=told
        )  # a rejected commit stops nothing


def _destinations(seen: Seen) -> Iterator[Check]:
    for item in seen.status.destinations if seen.status else ():
        known = item.state == "known"
        yield Check(f"destination {item.name}", good=known, words="reachable" if known else item.why)
