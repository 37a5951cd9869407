"""Tells the Policy's notifiers what changed. Called by the loop, when everything is done and before the status is published.

What each of them knows is kept in the status. A notifier that fails becomes a warning.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, cast

from msgspec.structs import replace

from reconciler import registry
from reconciler.adapters.secrets import redact, resolve
from reconciler.model import Notifier
from reconciler.model.notifications import TRANSITIONS, Transition
from reconciler.model.status import Event, Status, Told
from reconciler.notifiers import Message, Teller
from reconciler.report.headline import headline
from reconciler.report.memory import UNTOLD, Memory, untold
from reconciler.report.text import few, moment
from reconciler.report.together import carried_out
from reconciler.report.transitions import Troubles, believed, drift, news, of_this_run, troubles

MOST = 50
"""Events that one message tells, and that a notifier is owed."""

LONGEST = 500
"""Characters that are told of one event; the status has all of them."""

_LATEST = timedelta(hours=12)
"""The longest time between two tries."""


class Telling(NamedTuple):
    """The status with what every notifier knows now, and what could not be told."""

    status: Status
    warnings: tuple[str, ...]


def tell(notifiers: Sequence[Notifier], status: Status, previous: Status | None, memory: Memory) -> Telling:
    """Tell each notifier what it does not know yet; what did not reach it is told by a later run."""
    known = {item.notifier: item for item in memory.told}
    now = of_this_run(status, previous)
    found, drifted = troubles(now, memory.unwritten), drift(now, previous)
    before = [
        _owing(known.get(item.name, Told(notifier=item.name)), item, drifted) for item in _hearing(notifiers)
    ]
    jobs = _jobs(_hearing(notifiers), before, now, found)
    errors = carried_out(jobs)
    after = [_after(item, now, found, errors.get(item.notifier), item.notifier in jobs) for item in before]
    warnings = tuple(f"notifier {item.notifier}: {item.error}" for item in after if item.error)
    return Telling(
        replace(
            status,
            told=tuple(item for item in after if item != Told(notifier=item.notifier)),
            notes=(*(note for note in status.notes if note.topic != UNTOLD), *untold(after)),
        ),
        warnings,
    )


def _hearing(notifiers: Sequence[Notifier]) -> list[Notifier]:
    return [item for item in notifiers if registry.find("notifiers", item.kind).HEARS == "changes"]


def _owing(told: Told, notifier: Notifier, drifted: Sequence[Event]) -> Told:
    """What is known, and what happened in this run beside it."""
    wanted = [event for event in drifted if event.transition in notifier.tell]
    return replace(told, owed=(*told.owed, *wanted)[-MOST:]) if wanted else told


def _jobs(
    notifiers: Sequence[Notifier], before: Sequence[Told], status: Status, found: Troubles
) -> dict[str, Callable[[], None] | None]:
    """What to do for each notifier: None where it is not to be told now. Those that know all are left out."""
    jobs: dict[str, Callable[[], None] | None] = {}
    for notifier, told in zip(notifiers, before, strict=True):
        events = [event for event in news(told, status, found) if event.transition in notifier.tell]
        if events:
            ready = _may_try(told, status.time)
            jobs[notifier.name] = _delivery(notifier, message(notifier, events, status)) if ready else None
    return jobs


def _may_try(told: Told, now: datetime) -> bool:
    """At the next run, and then ever more seldom: one of several recipients may have got the message each time."""
    if told.tries <= 1 or told.tried is None or now < told.tried:
        return True
    return now - told.tried >= min(timedelta(minutes=2 ** min(told.tries, 10)), _LATEST)


def _delivery(notifier: Notifier, what: Message) -> Callable[[], None]:
    kind = cast(Teller, registry.find("notifiers", notifier.kind))
    return lambda: kind.tell(resolve(notifier.address), what)


def _after(told: Told, status: Status, found: Troubles, error: str | None, due: bool) -> Told:
    """What a notifier knows afterwards. ``error`` is None where it was not told now, and empty where that went well."""
    if error:
        return replace(told, tries=told.tries + 1, tried=status.time, error=error)
    if error is None and due:
        return told
    return Told(notifier=told.notifier, troubles=believed(told, status, found))


def message(notifier: Notifier, events: Sequence[Event], status: Status) -> Message:
    """The templates of a notifier, filled in; failures come first."""
    ordered = sorted(events, key=lambda event: TRANSITIONS.index(event.transition))
    texts = _texts(ordered, status)
    title = string.Template(notifier.title).safe_substitute(texts)
    body = string.Template(notifier.body).safe_substitute(texts)
    return Message(title=_one_line(redact(title)), body=redact(body).strip(), worst=ordered[0].transition)


def _one_line(text: str) -> str:
    """``text`` as a title, which may become the header of a mail."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _texts(events: Sequence[Event], status: Status) -> Mapping[str, str]:
    return {
        "COMMIT": status.spec_commit or "",
        "EVENTS": few([_line(event) for event in events], MOST, "\n"),
        "HEADLINE": headline(status),
        "NODE": status.node,
        "SUMMARY": _summary(events),
        "TIME": moment(status.time),
    }


def _line(event: Event) -> str:
    text = _one_line(event.text)
    return f"{event.transition}: {event.subject}: {text if len(text) <= LONGEST else f'{text[:LONGEST]}…'}"


def _summary(events: Sequence[Event]) -> str:
    """How many of what, and of what kind the first are: ``2 failures (shop/data, wiki/data), 1 recovery (mail/data)``."""
    parts = []
    for transition, number in Counter(event.transition for event in events).items():
        subjects = [event.subject for event in events if event.transition == transition]
        parts.append(f"{_counted(number, transition)} ({few(subjects, separator=', ')})")
    return ", ".join(parts)


_PLURALS = {"recovery": "recoveries", "stale": "stale"}


def _counted(number: int, transition: Transition) -> str:
    if number == 1:
        return f"1 {transition}"
    return f"{number} {_PLURALS.get(transition, f'{transition}s')}"
