"""Reads the last status from the ledger and writes the new one. Called by the loop and by ``reconciler status``."""

from __future__ import annotations

import msgspec

from reconciler.adapters.ledger import Ledger
from reconciler.errors import Corrupt
from reconciler.model.status import Status
from reconciler.report.change import summary, unchanged
from reconciler.report.markdown import PICTURE, render
from reconciler.report.picture import picture

MACHINES = "status.json"
PEOPLE = "STATUS.md"


def read(ledger: Ledger) -> Status | None:
    """The last status; None before the first one. Raises Corrupt, and what the ledger raises."""
    data = ledger.read(MACHINES)
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(
            f"{MACHINES} on {ledger.place} is not a status that this version can read ({error}): it was edited, or written "
            "by a newer version. Nothing in it is needed to restore; delete it there to begin afresh"
        ) from None


def encode(status: Status) -> bytes:
    """``status.json``: indented, so that a diff of two commits reads well."""
    return msgspec.json.format(msgspec.json.encode(status), indent=2) + b"\n"


def publish(status: Status, previous: Status | None, ledger: Ledger) -> str | None:
    """Write the files if ``status`` says anything new. Returns the commit, or None where there is none."""
    if unchanged(status, previous):
        return None
    files = {
        PICTURE: picture(status).encode(),
        PEOPLE: render(status).encode(),
        MACHINES: encode(status),
    }
    return ledger.write(files, summary(status, previous), status.time)
