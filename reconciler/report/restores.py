"""What became of Restore documents: remembered, so that none is carried out twice. Pure; used by assemble."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import get_args

from reconciler.model import Fleet, HookOutcome, Observation, Outcome, Restore, RestoreOrder
from reconciler.model.status import HookStatus, RestoreState, RestoreStatus, Status
from reconciler.report.text import clean

MOST = 500
"""How many are remembered; the oldest go first."""


def restores(
    fleet: Fleet, seen: Observation, outcomes: Sequence[Outcome], now: datetime, previous: Status | None
) -> tuple[RestoreStatus, ...]:
    """Those of before, those of this run, and those that only this machine remembers, oldest first."""
    known = {item.digest: item for item in (previous.restores if previous else ())}
    for outcome in outcomes:
        if isinstance(outcome.action, Restore):
            item = _of(fleet, outcome, outcome.action, now)
            known[item.digest] = item
    for order in fleet.restores:
        state = _remembered(seen, order)
        if state and order.digest not in known:
            known[order.digest] = RestoreStatus(
                name=order.name,
                digest=order.digest,
                target=str(order.target),
                key="",
                state=state,
                time=now,
            )
    return tuple(sorted(known.values(), key=lambda item: (item.time, item.digest)))[-MOST:]


def _remembered(seen: Observation, order: RestoreOrder) -> RestoreState | None:
    """How it ended before; withheld where nothing tells, and data would be replaced: later runs are to know of that."""
    state = seen.restores.get(order.digest, "")
    if not state and seen.memory.empty and order.overwrite:
        return "withheld"
    return next((known for known in get_args(RestoreState) if known == state), None)


def _of(fleet: Fleet, outcome: Outcome, action: Restore, now: datetime) -> RestoreStatus:
    digest = next((order.digest for order in fleet.restores if order.name == action.name), "")
    return RestoreStatus(
        name=action.name,
        digest=digest,
        target=str(action.target),
        key=action.key,
        state="done" if outcome.ok else "failed",
        time=now,
        error=clean(outcome.error),
    )


def hook_status(hook: HookOutcome) -> HookStatus:
    """One hook."""
    return HookStatus(
        phase=hook.phase,
        origin=clean(hook.origin),
        where=clean(hook.where),
        seconds=round(hook.seconds, 3),
        error=clean(hook.error),
        ignored=hook.ignored,
        output=clean(hook.output),
    )
