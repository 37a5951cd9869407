"""What a run and its workers say to each other: ``crew`` is the run's end of the pipe, ``reconciler.worker`` the other.

Pickled by ``multiprocessing.connection``: both ends are the same program.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from reconciler.model import Fleet, Outcome, Plan


class Begin(NamedTuple):
    """The first word to a worker, before the actions; None after the last of them. ``plan`` has no actions."""

    fleet: Fleet
    plan: Plan
    specs: Path


class Answer(NamedTuple):
    """What a worker had asked: seconds, nothing, or the error that it raises."""

    number: int
    said: float | Exception | None


class Advanced(NamedTuple):
    """Stored bytes went through."""

    size: int


class Said(NamedTuple):
    """A hook wrote a line."""

    who: str
    line: str


class MayWrite(NamedTuple):
    """Whether the lease at a destination is held."""

    destination: str
    deleting: bool


class Reserve(NamedTuple):
    """So many bytes of the bandwidth of a destination."""

    destination: str
    size: int


class Asked(NamedTuple):
    """A question, answered by its ``number``."""

    number: int
    question: MayWrite | Reserve


class Ended(NamedTuple):
    """The action was carried out."""

    outcome: Outcome
