"""Reads the last status from the ledger and writes the new one. Called by the loop and by ``reconciler status``."""

from __future__ import annotations

from reconciler.adapters.ledger import Ledger
from reconciler.errors import Corrupt
from reconciler.model.status import Status
from reconciler.report.change import summary, unchanged
from reconciler.report.nodes import MACHINES, encode, files, newcomer
from reconciler.report.stored import decode


def read(ledger: Ledger, node: str = "") -> Status | None:
    """The last status of the machine ``node``; None before the first one. Raises Corrupt, and what the ledger raises.

    Where only other machines have written, it is what they say of what is everybody's.
    """
    data = ledger.read(MACHINES)
    if data is None:
        return None
    try:
        status = decode(data)
    except ValueError as error:
        raise Corrupt(
            f"{MACHINES} on {ledger.place} is not a status that this version can read ({error}): it was edited, or written "
            "by a newer version. Nothing in it is needed to restore; delete it there to begin afresh"
        ) from None
    theirs = status.nodes or (ledger.shared and status.node != node)
    return newcomer(status, node) if theirs else status


def publish(status: Status, previous: Status | None, ledger: Ledger) -> str | None:
    """Write the files if ``status`` says anything new. Returns the commit, or None where there is none."""
    if unchanged(status, previous):
        return None
    return ledger.write(files(status, encode(status)), summary(status, previous), status.time)
