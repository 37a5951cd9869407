"""What the notifiers know, kept on this machine while the status, which remembers it else, cannot be written.

Called by the loop, and by assemble and notify for the notes about it.

Without it every run would tell the same once more. A memory that fails, too, is no failure of the run: then it does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from reconciler.errors import ReconcilerError
from reconciler.journal import Journal
from reconciler.model.status import NoteStatus, Status, StatusModel, Told

UNTOLD = "notification"
"""Topic of the notes about notifiers that could not be told."""


class Memory(StatusModel, frozen=True, kw_only=True):
    """What notifiers know, and why the last status could not be written; empty where it was."""

    told: tuple[Told, ...] = ()
    unwritten: str = ""


def untold(told: Iterable[Told]) -> tuple[NoteStatus, ...]:
    """A note for each notifier that the last message did not reach."""
    return tuple(
        NoteStatus(
            severity="warning",
            topic=UNTOLD,
            subject=item.notifier,
            message=f"{item.error}; what it does not know yet is told by a later run",
        )
        for item in told
        if item.error
    )


def recall(journal: Journal, specs: Path, previous: Status | None) -> Memory:
    """What the notifiers know before this run."""
    with suppress(ReconcilerError, msgspec.DecodeError):
        if note := journal.recall(_name(specs)):
            return msgspec.json.decode(note, type=Memory)
    return Memory(told=previous.told if previous else ())


def remember(journal: Journal, specs: Path, status: Status, unwritten: str) -> None:
    """Keep what they know after this run where the status was not written, and else nothing."""
    with suppress(ReconcilerError):
        name = _name(specs)
        if unwritten:
            journal.remember(name, msgspec.json.encode(Memory(told=status.told, unwritten=unwritten)))
        elif journal.recall(name):
            journal.remember(name, b"")


def _name(specs: Path) -> str:
    return f"told-{hashlib.sha256(str(specs.absolute()).encode()).hexdigest()[:16]}"
