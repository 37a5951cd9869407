"""What the page shows of a moment, as frozen data: made by ``live``, read by everything else here."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from reconciler.model import Action, Outcome, Plan
from reconciler.model.status import Status

Phase = Literal["starting", "ticking", "sleeping"]


class Line(msgspec.Struct, frozen=True):
    """One line of a run's log. ``who`` is a hook, or empty where it is the run itself."""

    time: datetime
    who: str
    text: str


class Moving(msgspec.Struct, frozen=True, kw_only=True):
    """An action that is being carried out: ``size`` stored bytes in ``seconds``; ``rate`` is bytes a second of late.

    ``total`` is what its size is expected to be, 0 where nobody knows; ``last`` is the hook that spoke last.
    """

    action: Action
    began: datetime
    seconds: float
    size: int
    total: int
    rate: float
    last: str = ""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run that had something to do. ``ended`` is None while it goes on; ``broke_off``: not every action was tried."""

    id: str
    began: datetime
    ended: datetime | None
    planned: int
    moving: tuple[Moving, ...]
    outcomes: tuple[Outcome, ...]
    broke_off: bool

    @property
    def state(self) -> str:
        """``running``, ``done``, or ``failed`` when something was not done as it should be."""
        if self.broke_off or any(not outcome.ok for outcome in self.outcomes):
            return "failed" if self.ended else "running, with failures"
        return "done" if self.ended else "running"


class Log(msgspec.Struct, frozen=True):
    """The end of what a run said; ``left_out`` lines before it are gone."""

    lines: tuple[Line, ...]
    left_out: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at one moment. ``problem`` says why the last tick came to nothing; ``ticks`` have ended so far.

    ``silent`` is how many seconds ago the loop last gave a sign of life, ``overdue`` how many it is late with the next.
    """

    now: datetime
    phase: Phase
    status: Status | None
    plan: Plan | None
    runs: tuple[Run, ...]
    problem: str
    ticks: int
    ticked: datetime | None
    next_look: datetime | None
    silent: float
    overdue: float
