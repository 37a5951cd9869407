"""The status as metrics: a pure function. Called by ``apply --metrics`` and ``status --output prometheus``.

There are no ages: in a file that nobody writes any more an age would stand still. There are times, and who watches
computes ``time() - …``. What is not known has no sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import get_args

from reconciler import __version__
from reconciler.model import Action
from reconciler.model.metrics import Family, gauge
from reconciler.model.status import DestinationStatus, OutcomeStatus, Run, Status, Truth
from reconciler.report.metrics_targets import TARGET, copies, targets

_ACTIONS = tuple(sorted(action.__name__.lower() for action in get_args(Action)))
_PLACE = ("destination",)
_EACH: tuple[tuple[str, str, Callable[[DestinationStatus], float | None]], ...] = (
    (
        "destination_known",
        "1 when the destination could be looked at, else 0 and no other number about it.",
        lambda item: item.state == "known",
    ),
    ("destination_copies", "How many copies lie there.", lambda item: item.copies),
    ("destination_size_bytes", "Stored bytes of all copies there.", lambda item: item.size),
    ("destination_foreign_files", "How many files there are not ours.", lambda item: item.foreign),
    (
        "destination_leftovers",
        "How many half-made uploads of runs that died lie there.",
        lambda item: item.leftovers,
    ),
)
"""Name, help and value of those with one number for each destination."""


def families(status: Status) -> tuple[Family, ...]:
    """Every metric of ``status``; docs/monitoring.md lists them."""
    return (*_whole(status), *targets(status), *copies(status), *_destinations(status), *_last_run(status))


def _whole(status: Status) -> Iterator[Family]:
    yield gauge(
        "info",
        "Always 1: which machine, which version, and the commit of its specs.",
        ("node", "version", "commit"),
        [((status.node, __version__, status.spec_commit or ""), 1)],
    )
    yield gauge(
        "status_timestamp_seconds",
        "When all of this was looked at.",
        (),
        [((), status.time.timestamp())],
    )
    yield gauge(
        "condition",
        "1 for the status that the condition Ready, Converged or Healthy has, else 0.",
        ("condition", "status"),
        [
            ((item.type, truth), item.status == truth)
            for item in status.conditions
            for truth in get_args(Truth)
        ],
    )
    yield gauge(
        "condition_reason",
        "Always 1: why the condition has its status, in one word.",
        ("condition", "reason"),
        [((item.type, item.reason), 1) for item in status.conditions],
    )
    yield gauge(
        "pending_actions",
        "How many actions of the plan were still to do afterwards.",
        ("action",),
        [((action,), status.pending.get(action, 0)) for action in _ACTIONS],
    )
    yield from _findings(status)


def _findings(status: Status) -> Iterator[Family]:
    told = Counter((note.severity, note.topic) for note in status.notes)
    yield gauge(
        "notes",
        "How many remarks the plan makes, by topic.",
        ("severity", "topic"),
        sorted(told.items()),
    )
    broken = Counter(finding.backup for finding in status.rule321)
    backups = sorted({target.backup for target in status.targets} | set(broken))
    yield gauge(
        "rule321_violations",
        "How often a Backup breaks the 3-2-1 rule: 0 is fine, or not asked for (rule321: off).",
        ("backup",),
        [((backup,), broken[backup]) for backup in backups],
    )
    yield gauge(
        "orphans",
        "How many targets have copies and are named by no spec.",
        (),
        [((), len(status.orphans))],
    )
    yield gauge(
        "orphans_size_bytes",
        "Stored bytes of the copies of orphans.",
        (),
        [((), sum(orphan.size for orphan in status.orphans))],
    )


def _destinations(status: Status) -> Iterator[Family]:
    all_ = status.destinations
    yield gauge(
        "destination_info",
        "Always 1: what kind of place a destination is.",
        (*_PLACE, "media", "offsite"),
        [((item.name, item.media, str(item.offsite).lower()), 1) for item in all_],
    )
    for name, help_, value in _EACH:
        yield gauge(name, help_, _PLACE, [((item.name,), value(item)) for item in all_])


def _last_run(status: Status) -> Iterator[Family]:
    run = status.last_run
    outcomes = run.outcomes if run else ()
    done = Counter((outcome.action, outcome.state) for outcome in outcomes)
    failed = Counter(failure for outcome in outcomes for failure in _failures(outcome))
    yield gauge(
        "last_run_timestamp_seconds",
        "When the last run began that had something to do.",
        (),
        [((), run.time.timestamp() if run else None)],
    )
    yield gauge(
        "last_run_duration_seconds",
        "How long its actions took together.",
        (),
        [((), _seconds(run) if run else None)],
    )
    yield gauge(
        "last_run_actions",
        "How many actions it carried out, by how they ended.",
        ("action", "state"),
        sorted(done.items()),
    )
    yield gauge(
        "last_run_failures",
        "What failed in it: a destination, a hook, the action itself (error), or what it waited for (skipped).",
        ("action", *TARGET, "destination", "reason"),
        sorted(failed.items()),
    )


def _seconds(run: Run) -> float:
    return round(sum(outcome.seconds for outcome in run.outcomes), 3)


def _failures(outcome: OutcomeStatus) -> Iterator[tuple[str, ...]]:
    """Labels of what failed in one outcome: each failure once, by its cause."""
    service, _, type_ = outcome.target.partition("/")
    about = (outcome.action, service, type_)
    for destination in outcome.failures:
        yield (*about, destination, "destination")
    if outcome.skipped:
        yield (*about, _single(outcome), "skipped")
    elif any(hook.error and not hook.ignored for hook in outcome.hooks):
        yield (*about, _single(outcome), "hook")
    elif outcome.error:
        yield (*about, _single(outcome), "error")


def _single(outcome: OutcomeStatus) -> str:
    """The destination of an action that has just one; a backup and a restore have many."""
    return outcome.destinations[0] if outcome.action not in ("create", "restore") else ""
