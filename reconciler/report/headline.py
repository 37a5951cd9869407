"""The state of everything in one line. Pure; used by the page and its picture."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.status import Status
from reconciler.report.text import few
from reconciler.wording import counted


def headline(status: Status) -> str:
    """The state of everything in words."""
    if status.condition("Ready").reason == "SpecsInvalid":
        return "the newest specs cannot be used"
    parts = list(_troubles(status))
    if not parts and status.condition("Converged").status != "True":
        parts.append("not everything is done")
    if not parts and status.condition("Healthy").status != "True":
        parts.append("something is wrong")
    if not parts:
        parts.append(f"all is well with {counted(len(status.targets), 'target')}")
    return "; ".join(parts)


def _troubles(status: Status) -> Iterable[str]:
    if status.condition("Ready").reason == "RevisionRejected":
        yield "the newest commit cannot be used"
    failing = sum(target.state == "failing" for target in status.targets)
    if failing:
        verb = "needs" if failing == 1 else "need"
        yield f"{failing} of {counted(len(status.targets), 'target')} {verb} attention"
    unknown = [item.name for item in status.destinations if item.state == "unknown"]
    if unknown:
        yield f"{few(unknown, separator=', ')} cannot be looked at"
    silent = [item.node for item in status.nodes if item.overdue or not item.time]
    if silent:
        yield f"{few(silent, separator=', ')} {'has' if len(silent) == 1 else 'have'} not reported"
    if not status.targets:
        yield "the specs ask for none"
