"""One run as it goes on: its actions, their bytes, and the end of its log. Used by ``live``, under its lock."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from reconciler.model import Action, Create, Outcome, Replicate, Restore, TargetId
from reconciler.ports import Clock
from reconciler.report.actions import details, subject, verb
from reconciler.report.text import clean
from reconciler.web.seen import Line, Log, Moving, Run
from reconciler.wording import size_text

MOST_LINES = 500
"""Of each run's log."""
LONGEST = 1000
"""Characters of a line."""
SAMPLES = 20
EVERY = 0.5
"""Seconds between two samples of a rate, which is that of the last ten seconds."""


class Record:
    """One run. Not safe from several threads by itself: ``Live`` holds a lock."""

    def __init__(self, name: str, clock: Clock, planned: int) -> None:
        self.id = name
        self._clock = clock
        self._began = clock.now()
        self._ended: datetime | None = None
        self._planned = planned
        self._moving: list[Move] = []
        self._outcomes: list[Outcome] = []
        self._lines: deque[Line] = deque(maxlen=MOST_LINES)
        self._told = 0
        self._broke_off = False

    def started(self, action: Action) -> None:
        """An action begins."""
        self._moving.append(Move(action, self._clock))
        self._tell("", f"{verb(action)} {subject(action)} {details(action)}: {action.reason}")

    def advanced(self, target: TargetId, size: int) -> None:
        """Bytes of the action at work on that target."""
        for move in self._moving:
            if getattr(move.action, "target", None) == target:
                move.advanced(size)

    def said(self, who: str, line: str) -> None:
        """A hook wrote a line."""
        if len(self._moving) == 1:  # of several at work it is not known whose hook it is
            self._moving[0].last = clean(who)
        self._tell(who, line)

    def finished(self, outcome: Outcome) -> None:
        """An action ended."""
        self._moving = [move for move in self._moving if move.action != outcome.action]
        self._outcomes.append(outcome)
        self._tell("", f"{verb(outcome.action)} {subject(outcome.action)}: {_verdict(outcome)}")
        for name, why in outcome.failures.items():
            self._tell("", f"failed at {name}: {why}")
        for warning in outcome.warnings:
            self._tell("", f"warning: {warning}")

    def end(self, problem: str) -> None:
        """The run is over, whatever was still under way; ``problem`` says why it broke off."""
        if problem:
            self._broke_off = True
            self._tell("", f"broke off: {problem}")
        self._ended = self._clock.now()
        self._moving = []

    def seen(self) -> Run:
        """As it is now, but for the log."""
        return Run(
            id=self.id,
            began=self._began,
            ended=self._ended,
            planned=self._planned,
            moving=tuple(move.seen() for move in self._moving),
            outcomes=tuple(self._outcomes),
            broke_off=self._broke_off,
        )

    def log(self) -> Log:
        """The end of what it said."""
        return Log(tuple(self._lines), self._told - len(self._lines))

    def _tell(self, who: str, text: str) -> None:
        shown = clean(text)
        cut = shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
        self._lines.append(Line(self._clock.now(), clean(who), cut))
        self._told += 1


class Move:
    """One action as it goes on."""

    def __init__(self, action: Action, clock: Clock) -> None:
        self.action = action
        self.last = ""
        self._clock = clock
        self._began = clock.now()
        self._start = clock.monotonic()
        self._size = 0
        self._samples: deque[tuple[float, int]] = deque([(self._start, 0)], maxlen=SAMPLES)

    def advanced(self, size: int) -> None:
        """More stored bytes."""
        self._size += size
        now = self._clock.monotonic()
        if now - self._samples[-1][0] >= EVERY:
            self._samples.append((now, self._size))

    def seen(self) -> Moving:
        """As it is now."""
        now = self._clock.monotonic()
        since, before = self._samples[0]
        return Moving(
            action=self.action,
            began=self._began,
            seconds=now - self._start,
            size=self._size,
            total=_total(self.action),
            rate=(self._size - before) / max(now - since, EVERY),
            last=self.last,
        )


def _total(action: Action) -> int:
    match action:
        case Create():
            return action.estimate
        case Replicate() | Restore():
            return action.size
        case _:
            return 0


def _verdict(outcome: Outcome) -> str:
    if outcome.skipped:
        return f"skipped: {outcome.skipped}"
    if outcome.error:
        return f"failed: {outcome.error}"
    if outcome.failures:
        return "done in part"
    return f"done, {size_text(outcome.size)} in {outcome.seconds:.1f} s" if outcome.size else "done"
