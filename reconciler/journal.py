"""The journal as a port: what must be put right after a kill is written here first. ``adapters.journal`` keeps it in files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class Entry(Protocol):
    """One record in the journal, held by this process until it is cleared; a process that dies lets go of it."""

    def write(self, content: bytes) -> None:
        """Replace the content, atomically and durably (synced). Raises ReconcilerError."""

    def clear(self) -> None:
        """Remove the record, durably. Raises ReconcilerError."""

    def let_go(self) -> None:
        """Leave the record to whoever comes next. Safe after ``clear``."""


class Journal(Protocol):
    """Local records of what is stopped, paused or half restored: written and synced before anything is touched."""

    def begin(self, content: bytes) -> Entry:
        """A new record with that content. Raises ReconcilerError."""

    def abandoned(self) -> Iterator[tuple[bytes, Entry]]:
        """The records whose process has died, each held by this process from now on, oldest first."""

    def recall(self, name: str) -> bytes | None:
        """A lasting note that ``remember`` wrote; None without one."""

    def remember(self, name: str, content: bytes) -> None:
        """Keep a lasting note, durably: that a Restore document was begun or is done. Raises ReconcilerError."""
