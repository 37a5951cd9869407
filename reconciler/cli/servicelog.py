"""What the service says: lines on stderr, each with its time. What was said before is not said again until it has changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import click

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.secrets import redact
from reconciler.cli.output import safe
from reconciler.cli.show import applied_summary, line, summary
from reconciler.model import Action, Create, Outcome, Plan, Replicate, TargetId
from reconciler.service import Reason, Tick
from reconciler.wording import size_text

_WHY: dict[Reason, str] = {
    "start": "started",
    "slot": "a slot has come",
    "specs": "the specs have changed",
    "asked": "asked to look",
    "retry": "something had failed",
    "hourly": "an hour has passed",
}


class ServiceLog:
    """A ``Watcher`` that writes lines."""

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()
        self._commit: str | None = None
        self._reason: Reason = "start"

    def told(self, text: str) -> None:
        """Write a line. No backup waits for a log that cannot be written."""
        with suppress(OSError):
            click.echo(f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ} {safe(redact(text))}", err=True)

    def begins(self, reason: Reason) -> None:
        """Remember why."""
        self._reason = reason

    def planned(self, plan: Plan) -> None:
        """Say what is about to be done."""
        if plan.actions:
            self.told(f"{_WHY[self._reason]}: {summary(plan)}")

    def started(self, action: Action) -> None:
        """Say so where it may take long."""
        if isinstance(action, Create | Replicate):
            self.told(click.unstyle(line(action)))

    def advanced(self, target: TargetId, size: int) -> None:
        """Nothing: a log has no bars."""

    def said(self, who: str, line: str) -> None:
        """A line of a hook."""
        self.told(f"{who}: {line}")

    def finished(self, outcome: Outcome) -> None:
        """Say how an action ended."""
        for text in _ended(outcome):
            self.told(text)

    def away(self, why: str) -> None:
        """Nothing: the tick that follows says so."""

    def sleeps(self, seconds: float) -> None:
        """Nothing: it is what a service does."""

    def ended(self, tick: Tick) -> None:
        """Say what is new."""
        if tick.fleet and tick.fleet.commit and tick.fleet.commit != self._commit:
            self._commit = tick.fleet.commit
            self.told(f"commit {self._commit[:12]} is in force")
        now = tuple(dict.fromkeys(_remarks(tick)))
        for text in now:
            if text not in self._known:
                self.told(text)
        self._known = frozenset(now)
        if tick.applied and (tick.applied.outcomes or tick.reason in ("start", "specs", "asked")):
            self.told(_summary(tick))


def _summary(tick: Tick) -> str:
    assert tick.applied is not None
    outcomes = tick.applied.outcomes
    done = applied_summary(outcomes) if outcomes else f"{_WHY[tick.reason]}: {summary(tick.applied.plan)}"
    return f"{done} Next slot: {tick.next_slot:%Y-%m-%d %H:%M}Z." if tick.next_slot else done


def _remarks(tick: Tick) -> Iterator[str]:
    """What is wrong or worth knowing."""
    yield from (f"error: {error}" for error in tick.errors)
    yield from (str(problem) for problem in tick.warnings)
    if tick.fleet and (rejected := tick.fleet.rejected):
        stays = f"commit {rejected.in_force[:12]} stays in force"
        yield f"error: commit {rejected.commit[:12]} cannot be used; {stays}"
        yield from (f"error: {problem}" for problem in rejected.problems)
    if tick.unshared:
        yield f"warning: the status could not be pushed: {tick.unshared}"
    if done := tick.applied:
        notes = (
            note for note in done.plan.notes if note.topic != "rule321"
        )  # the specs' own warnings say that
        yield from (f"{note.severity}: {note.subject}: {note.message}" for note in notes)
        yield from (f"warning: {warning}" for warning in done.warnings)
        if done.report_error:
            yield f"error: the status could not be written: {done.report_error}"


def _ended(outcome: Outcome) -> Iterator[str]:
    text = click.unstyle(line(outcome.action))
    if outcome.ok:
        moved = isinstance(outcome.action, Create | Replicate)
        size = f", {size_text(outcome.size)} in {outcome.seconds:.1f} s" if moved else ""
        yield f"{text}: done{size}"
    elif outcome.skipped:
        yield f"{text}: skipped: {outcome.skipped}"
    else:
        yield f"{text}: failed: {outcome.error}" if outcome.error else f"{text}: done in part"
    yield from (f"  failed at {name}: {why}" for name, why in outcome.failures.items())
    yield from (f"  warning: {warning}" for warning in outcome.warnings)
