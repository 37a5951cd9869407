"""What counts as a change of the status, and what changed in one line. Pure; used by ``publish``.

A clock that went on is no change: not ``time``, not what had changed before, not ``nextRun`` (it moves on without a run
where an unchanged image needs no new artifact), and not a failure that repeats word for word. A run that did anything at all
is one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec.structs import replace

from reconciler.model.status import (
    Attempt,
    ClockStatus,
    NoteStatus,
    OutcomeState,
    OutcomeStatus,
    Run,
    Status,
    TargetStatus,
)
from reconciler.report.text import few
from reconciler.wording import counted

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_FRUITLESS: tuple[OutcomeState, ...] = ("failed", "skipped")
_NAMED = 4  # parts of a summary


def unchanged(status: Status, previous: Status | None) -> bool:
    """Whether ``status`` says nothing that ``previous`` does not."""
    return previous is not None and _settled(status) == _settled(previous)


def _settled(status: Status) -> Status:
    return replace(
        status,
        time=_NEVER,
        targets=tuple(map(_settled_target, status.targets)),
        notes=tuple(map(_settled_note, status.notes)),
        clock=_settled_clock(status.clock),
        last_run=_settled_run(status.last_run) if status.last_run else None,
        changes=None,
    )


def _settled_target(target: TargetStatus) -> TargetStatus:
    attempt = target.last_attempt
    return replace(target, next_run=None, last_attempt=_settled_attempt(attempt) if attempt else None)


def _settled_attempt(attempt: Attempt) -> Attempt:
    return replace(attempt, time=_NEVER, seconds=None) if attempt.state in _FRUITLESS else attempt


def _settled_note(note: NoteStatus) -> NoteStatus:
    return replace(note, message="") if note.topic == "clock" else note  # it may name the present


def _settled_clock(clock: ClockStatus | None) -> ClockStatus:
    """A restart is no change, and neither is a second more or less; a doubt and each confirmation is."""
    return replace(clock or ClockStatus(), boot="", booted=None)


def _settled_run(run: Run) -> Run:
    if any(outcome.state not in _FRUITLESS for outcome in run.outcomes):
        return run
    same = tuple(replace(outcome, key="", reason="", size=0, seconds=0.0) for outcome in run.outcomes)
    return Run(time=_NEVER, outcomes=same)


def summary(status: Status, previous: Status | None) -> str:
    """What changed, in one line: what the run did with failures first, else which conditions changed, else which targets."""
    run = status.last_run
    if run and run.time == status.time:
        failed = [outcome for outcome in run.outcomes if outcome.state != "done"]
        done = [outcome for outcome in run.outcomes if outcome.state == "done"]
        parts = [*_told(failed), *_told(done)]
    else:
        parts = list(_conditions(status, previous)) or list(_problems(status, previous))
    return " ".join(few(parts, _NAMED).split()) or "what was seen changed"


def _told(outcomes: Iterable[OutcomeStatus]) -> Iterable[str]:
    """Each Create and Restore by its target, all else counted by destination."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for outcome in outcomes:
        if outcome.action == "create":
            yield f"{outcome.target}: {_created(outcome)}"
        elif outcome.action == "restore":
            yield f"{outcome.target}: {'restored' if outcome.state == 'done' else 'restore failed'}"
        else:
            counts[(outcome.destinations[0], outcome.action, outcome.state)] += 1
    for (destination, action, state), number in counts.items():
        yield f"{destination}: {_counted(action, state, number)}"


def _created(outcome: OutcomeStatus) -> str:
    if outcome.state == "partial":
        return f"backed up, but not at {', '.join(outcome.failures)}"
    return {"done": "backed up", "skipped": "skipped"}.get(outcome.state, "backup failed")


def _counted(action: str, state: str, number: int) -> str:
    done, word = {
        "replicate": ("replicated", "copy"),
        "prune": ("pruned", "copy"),
        "recover": ("removed", "leftover"),
        "adopt": ("written", "marker"),
    }[action]
    return f"{counted(number, word)} {'' if state == 'done' else 'not '}{done}"


def _conditions(status: Status, previous: Status | None) -> Iterable[str]:
    for condition in status.conditions:
        before = previous.condition(condition.type).status if previous else ""
        if condition.status != before:
            yield f"{condition.type}: {condition.status} ({condition.reason})"
    yield from _clock(status.clock, previous.clock if previous else None)
    if previous and status.spec_commit and status.spec_commit != previous.spec_commit:
        yield f"specs at {status.spec_commit[:12]}"
    if previous and status.told != previous.told:
        yield "notifications"


def _problems(status: Status, previous: Status | None) -> Iterable[str]:
    """What has come to be wrong with a target, while others were or are wrong, too; and that nothing is any more."""
    before = {target.name: target.problems for target in previous.targets} if previous else {}
    for target in status.targets:
        had = before.get(target.name, ())
        yield from (f"{target.name}: {problem}" for problem in target.problems if problem not in had)
        if had and not target.problems:
            yield f"{target.name}: well again"


def _clock(now: ClockStatus | None, before: ClockStatus | None) -> Iterable[str]:
    """That a doubt about the clock came, was confirmed once, or is over."""
    if now and now.jump:
        yield "one more run saw the same clock" if now.confirmations else now.jump
    elif before and before.jump:
        yield "the clock is believed again"
