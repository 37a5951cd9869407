"""What is to be told: the difference between what a notifier believes and what is so. Pure; used by ``notify``.

Every trouble has a subject, which is the same in each run however the sentence about it reads. A notifier believes in some
subjects; those that are new are failures, and those that are gone are recoveries. So nothing is told twice, and what did not
arrive is told the next time, by the same comparison. Drift is put right in the run that sees it, so it is no trouble but
something that happened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec.structs import replace

from reconciler.model.status import (
    DestinationStatus,
    Event,
    Holding,
    OutcomeStatus,
    Status,
    TargetStatus,
    Told,
)
from reconciler.report.targets import cause, lacking
from reconciler.report.text import clean
from reconciler.wording import counted

_SPECS = "specs"
_STATUS = "status"
_DESTINATION = "destination "
_STALE = ": stale"
"""Ends the subject of a target that misses its maxAge: the topic of the plan's note."""
Troubles = dict[str, str]
"""Sentences by subject."""


def troubles(status: Status, unwritten: str = "") -> Troubles:
    """Everything that is wrong now: specs, destinations, targets, other errors, and actions that failed.

    ``unwritten`` says why the last status could not be written, where that is so.
    """
    found: Troubles = {_STATUS: f"it could not be written: {clean(unwritten)}"} if unwritten else {}
    ready = status.condition("Ready")
    if ready.status == "False" and ready.reason != "DestinationUnknown":
        found[_SPECS] = ready.message
    for place in status.destinations:
        if place.state == "unknown":
            found[f"{_DESTINATION}{place.name}"] = f"it cannot be looked at: {place.why}"
    for target in status.targets:
        found |= _of_target(target, status)
    found |= _other_errors(status)
    for outcome in _failed(status):
        if not _told_with_its_target(outcome, found):
            found[_subject(outcome)] = _why(outcome)
    return found


def _of_target(target: TargetStatus, status: Status) -> Troubles:
    """Apart from each other: the backup itself, each destination without the newest one, and each kind of other error.

    A trouble that lasts would hide another one that comes to it.
    """
    found: Troubles = {}
    told: set[str] = set()
    for holding in target.holdings:
        if sentences := _at(target, holding):
            found[f"{target.name} at {holding.destination}"] = "; ".join(sentences)
            told.update(sentences)
    for note in status.notes:
        if note.subject == target.name and note.topic != "target" and note.message in target.problems:
            key = f"{target.name}: {note.topic}"
            found[key] = f"{found[key]}; {note.message}" if key in found else note.message
            told.add(note.message)
    attempt = target.last_attempt
    if attempt and attempt.state == "partial":
        told.add(cause(attempt))
    rest = [problem for problem in target.problems if problem not in told]
    return {target.name: "; ".join(rest), **found} if rest else found


def _at(target: TargetStatus, holding: Holding) -> list[str]:
    """Why a destination lacks the newest backup, if that is a problem, and what went wrong there."""
    sentences = [
        sentence
        for sentence in (lacking(holding, target.last_success) if target.last_success else ())
        if sentence in target.problems
    ]
    attempt = target.last_attempt
    why = attempt.failures.get(holding.destination) if attempt else None
    return [*sentences, why] if sentences and why else sentences


def _other_errors(status: Status) -> Troubles:
    names = {target.name for target in status.targets}
    found: Troubles = {}
    for note in status.notes:
        if note.severity == "error" and note.subject not in names and note.topic != "destination":
            key = f"{note.topic} {note.subject}"
            found[key] = f"{found[key]}; {note.message}" if key in found else note.message
    return found


def of_this_run(status: Status, previous: Status | None) -> Status:
    """``status`` without a ``last_run`` that is one of before; what the other functions here are asked about."""
    same = previous is not None and previous.last_run == status.last_run
    return replace(status, last_run=None) if same else status


def _ended(status: Status) -> tuple[OutcomeStatus, ...]:
    return status.last_run.outcomes if status.last_run else ()


def _failed(status: Status) -> Iterator[OutcomeStatus]:
    """Actions that failed; a backup is told with its target, and a restore by an error that stays."""
    for outcome in _ended(status):
        if outcome.state != "done" and outcome.action not in ("create", "restore"):
            yield outcome


def _told_with_its_target(outcome: OutcomeStatus, found: Troubles) -> bool:
    return outcome.action == "replicate" and f"{outcome.target} at {outcome.destinations[0]}" in found


def _subject(outcome: OutcomeStatus) -> str:
    of = f" {outcome.target}" if outcome.target else ""
    return f"{outcome.action}{of} at {', '.join(outcome.destinations)}"


def _why(outcome: OutcomeStatus) -> str:
    where = "; ".join(f"{name}: {why}" for name, why in outcome.failures.items())
    return f"it {'was skipped' if outcome.state == 'skipped' else 'failed'}: {outcome.error or outcome.skipped or where}"


def drift(status: Status, previous: Status | None) -> tuple[Event, ...]:
    """Copies that were there, were lost or damaged, and were made again by this run, or could not be.

    Copies that are wanted for another reason are none of it: a destination, a retention or an artifact that is new, or a copy
    that was missing before.
    """
    if previous is None:
        return ()
    made = {outcome.key for outcome in _ended(status) if outcome.action == "create"}
    counts: Counter[tuple[str, str, bool]] = Counter()
    for outcome in _ended(status):
        if outcome.action == "replicate" and outcome.key not in made:
            place = outcome.destinations[0]
            if _was_whole(outcome, _holding(previous, outcome.target, place), status, previous):
                counts[(outcome.target, place, outcome.state == "done")] += 1
    return tuple(
        Event(
            transition="drift",
            subject=f"{target} at {place}",
            text=f"{counted(number, 'copy')} lost or damaged there, {'made again' if done else 'and not made again yet'}",
        )
        for (target, place, done), number in counts.items()
    )


def _was_whole(outcome: OutcomeStatus, before: Holding | None, status: Status, previous: Status) -> bool:
    """Whether nothing but a loss explains why the copy was not there."""
    now = _holding(status, outcome.target, outcome.destinations[0])
    if before is None or now is None or not before.known:
        return False
    place = outcome.destinations[0]
    wanted = [tuple((tier.tier, tier.wanted) for tier in holding.tiers) for holding in (before, now)]
    return outcome.key not in before.missing and (
        _url(status.destinations, place) == _url(previous.destinations, place)
        and (wanted[0] == wanted[1] or not now.known)
    )


def _holding(status: Status, target: str, place: str) -> Holding | None:
    holdings = [item for found in status.targets if found.name == target for item in found.holdings]
    return next((item for item in holdings if item.destination == place), None)


def _url(destinations: tuple[DestinationStatus, ...], name: str) -> str:
    return next((item.url for item in destinations if item.name == name), "")


def news(told: Told, status: Status, found: Troubles) -> tuple[Event, ...]:
    """What a notifier does not know yet: failures, recoveries, and what it is owed."""
    failures = [
        Event(transition="stale" if subject.endswith(_STALE) else "failure", subject=subject, text=text)
        for subject, text in found.items()
        if subject not in told.troubles
    ]
    recoveries = [
        Event(transition="recovery", subject=subject, text=_over(subject, status))
        for subject in told.troubles
        if subject not in found and not _unclear(subject, status)
    ]
    return (*failures, *recoveries, *told.owed)


def believed(told: Told, status: Status, found: Troubles) -> tuple[str, ...]:
    """The subjects in which a notifier believes when it knows all the news."""
    kept = (subject for subject in told.troubles if subject not in found and _unclear(subject, status))
    return tuple(sorted({*found, *kept}))


def _unclear(subject: str, status: Status) -> bool:
    """Whether it cannot be told now if a trouble is over: a destination is unknown, or the action was not tried again."""
    for target in status.targets:
        for holding in target.holdings:
            if not holding.known and subject in (
                f"{target.name} at {holding.destination}",
                f"{target.name}: broken",
            ):
                return True
    verb = subject.partition(" ")[0]
    if verb not in ("replicate", "prune", "recover", "adopt"):
        return False
    done = any(_subject(outcome) == subject for outcome in _ended(status))
    return not done and status.condition("Converged").status != "True"


def _over(subject: str, status: Status) -> str:
    """How a trouble ended."""
    name = subject.partition(" ")[0].rstrip(":")
    target = next((item for item in status.targets if item.name == name), None)
    places = [f"{_DESTINATION}{item.name}" for item in status.destinations]
    gone = ("/" in name and target is None) or (name == _DESTINATION.strip() and subject not in places)
    if gone:
        return "no spec names it any more"
    if target is not None and target.state == "suspended":
        return "it is suspended now"
    if ended := {_DESTINATION.strip(): "it can be looked at again", _SPECS: "they can be used again"}.get(
        name
    ):
        return ended
    return "all is well again" if target is not None and target.state == "good" else "it is over"
