"""What stops all deletions: a clock in doubt, and the cap: a typing error in a retention must not empty a destination."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from reconciler import clockjump
from reconciler.model import Fleet, Note, Prune
from reconciler.model.status import ClockStatus
from reconciler.plan.target import Wish

FLOOR = 20
"""The cap is never lower than this unless the Policy says so."""


def cap(fleet: Fleet) -> int:
    """Most deletions in one run: the Policy's, else two for each target at each destination and at least 20."""
    if fleet.policy.deletions.max_per_run is not None:
        return fleet.policy.deletions.max_per_run
    pairs = sum(len(backup.targets) * len(backup.destinations) for backup in fleet.backups)
    return max(FLOOR, 2 * pairs)


def approval(prunes: Sequence[Prune]) -> str:
    """The code that approves exactly these deletions."""
    text = "\n".join(sorted(f"{prune.destination}/{prune.key}" for prune in prunes))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def withhold(
    fleet: Fleet, wishes: Sequence[Wish], clock: ClockStatus
) -> tuple[tuple[Prune, ...], tuple[Note, ...]]:
    """The deletions that may run. None, and a note, while the clock is in doubt or when nobody approved that many."""
    if doubt := clockjump.warning(clock):
        return (), (Note("warning", "clock", "clock", doubt),)
    prunes = sorted(
        (prune for wish in wishes for prune in wish.prunes),
        key=lambda prune: (prune.target, prune.key, prune.destination),
    )
    limit = cap(fleet)
    code = approval(prunes)
    if len(prunes) <= limit or fleet.policy.deletions.approved == code:
        return tuple(prunes), ()
    message = (
        f"deletions wanted: {len(prunes)}, more than {limit} (Policy deletions.maxPerRun): none is made. "
        f"If all of them are right, commit `deletions: {{approved: {code}}}` in the Policy"
    )
    return (), (Note("warning", "deletions", "policy", message),)
