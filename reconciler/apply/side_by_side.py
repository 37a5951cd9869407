"""Carries out what moves artifacts, several targets at a time. Used by ``run``, with ``--jobs``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from reconciler.apply.crew import Crew, Desk
from reconciler.apply.lanes import Lanes, Moving
from reconciler.apply.messages import Begin
from reconciler.errors import ReconcilerError
from reconciler.lifecycle.recovery import recover
from reconciler.model import Fleet, Outcome, Plan
from reconciler.ports import Progress, World


class Jobs(NamedTuple):
    """How many targets at a time, and whom their workers ask."""

    number: int
    desk: Desk


class SideBySide:
    """Actions that are going on, and those that wait for their turn."""

    def __init__(
        self,
        jobs: Jobs,
        plan: Plan,
        fleet: Fleet,
        world: World,
        progress: Progress,
    ) -> None:
        self._jobs = jobs
        self._begin = Begin(fleet, msgspec.structs.replace(plan, actions=(), notes=()), world.host.base)
        self._world = world
        self._progress = progress
        self._lanes = Lanes(fleet)

    def run(
        self,
        actions: Sequence[Moving],
        skipped: Callable[[Moving], Outcome | None],
        ended: Callable[[Outcome], None],
    ) -> list[Outcome]:
        """Do all of them; their outcomes in the order of ``actions``. ``ended`` hears of each at once.

        ``skipped`` says of one whose turn has come why it is not done after all. An interrupt ends every one with nothing half
        made, and propagates.
        """
        waiting, going = list(actions), dict[Moving, float]()
        outcomes: dict[int, Outcome] = {}

        def over(action: Moving, outcome: Outcome) -> None:
            outcomes[actions.index(action)] = outcome
            ended(outcome)

        with Crew(self._jobs.number, self._begin, self._jobs.desk, self._progress) as crew:
            while waiting or going:
                while len(going) < crew.size and (action := self._lanes.next(waiting, going)):
                    waiting.remove(action)
                    self._progress.started(action)
                    if failed := skipped(action) or _given(crew, action):
                        over(action, failed)
                    else:
                        going[action] = self._world.clock.monotonic()
                if going:
                    over(*self._taken(crew, going))
        return [outcomes[index] for index in sorted(outcomes)]

    def _taken(self, crew: Crew, going: dict[Moving, float]) -> tuple[Moving, Outcome]:
        """The next that has ended, and what it took. What a worker held that died comes back at once."""
        done = crew.take()
        begun = going.pop(done.action)
        told = recover(self._world).told if done.died else ()
        return done.action, msgspec.structs.replace(
            done.outcome,
            seconds=self._world.clock.monotonic() - begun,
            warnings=(*done.outcome.warnings, *told),
        )


def _given(crew: Crew, action: Moving) -> Outcome | None:
    try:
        crew.give(action)
    except ReconcilerError as error:
        return Outcome(action, error=str(error))
    return None
