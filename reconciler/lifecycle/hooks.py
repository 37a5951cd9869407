"""Runs the hooks of a phase in their order, and keeps what each did. Used by apply and restore.

The order in a phase is Policy, Backup, target, then labels by container name. A hook that fails ends its phase; the rest
of it, and later phases, run only those that say ``always``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import msgspec

from reconciler import registry
from reconciler.adapters.ending import patience
from reconciler.adapters.secrets import redact
from reconciler.durations import seconds
from reconciler.errors import ReconcilerError
from reconciler.hooks import HookCall, HookKind
from reconciler.lifecycle.environment import Facts, environment
from reconciler.lifecycle.waiting import wait_until
from reconciler.model import Fleet, HookOutcome, Phase, Placed, TargetId
from reconciler.ports import Progress, World
from reconciler.tail import Tail

_BACKUP: tuple[Phase, ...] = (
    "archive-pre",
    "archive-post",
    "process-pre",
    "process-post",
    "copy-pre",
    "copy-post",
)
_FAILURE: tuple[Phase, ...] = ("failure",)


class HookFailed(ReconcilerError):
    """A hook with onError Fail failed."""


def hooks_of(fleet: Fleet, target: TargetId) -> tuple[Placed, ...]:
    """Every hook that concerns ``target``, in order."""
    placed = [Placed("policy", hook) for hook in fleet.policy.hooks]
    for backup in fleet.backups:
        for item in backup.targets:
            if item.id == target:
                placed += [Placed(f"backup {backup.name}", hook) for hook in backup.hooks]
                placed += [Placed(f"target {target}", hook) for hook in item.hooks]
    return (*placed, *fleet.live.hooks.get(target, ()))


class Hooks:
    """The hooks around one artifact, prune or restore. ``facts`` grow while it goes on; ``failed`` says that something did."""

    def __init__(
        self, placed: Iterable[Placed], facts: Facts, world: World, progress: Progress, container: str = ""
    ) -> None:
        self._placed = tuple(placed)
        self._world = world
        self._progress = progress
        self._container = container
        self.facts = facts
        self.failed = False
        self._begun: set[str] = set()
        self._passed: set[str] = set()
        self.outcomes: list[HookOutcome] = []

    def learn(self, **facts: object) -> None:
        """Hooks from now on know more."""
        self.facts = msgspec.structs.replace(self.facts, **facts)

    def fail(self, error: str) -> tuple[str, ...]:
        """Something failed: of later phases what says ``always``, or is owed, runs; then ``failure``. What failed of these."""
        self.failed = True
        self.learn(error=redact(error))
        later = tuple(phase for phase in _BACKUP if phase not in self._begun)
        return tuple(filter(None, (self._attempt(phase) for phase in (*later, *_FAILURE))))

    def end(self) -> tuple[str, ...]:
        """Run ``finally``; what failed of it."""
        return tuple(filter(None, (self._attempt("finally"),)))

    def _attempt(self, phase: Phase) -> str:
        try:
            self.run(phase)
        except HookFailed as error:
            return str(error)
        return ""

    def run(self, phase: Phase) -> None:
        """Run the phase; after a failure only what says ``always``. Raises HookFailed, after those, where one failed."""
        first: HookFailed | None = None
        self._begun.add(phase)
        for placed in self._placed:
            hook = placed.hook
            told = phase in ("failure", "finally")  # these are for failures too
            if hook.phase != phase:
                continue
            if ((self.failed and not told) or first) and not (hook.always or self._is_owed(placed)):
                continue
            outcome = self._one(placed)
            self.outcomes.append(outcome)
            if outcome.error and hook.fails:
                first = first or HookFailed(f"{_name(placed, outcome.where)} failed: {outcome.error}")
        if first:
            self.failed = True
            raise first
        if not self.failed:
            self._passed.add(phase)

    def _is_owed(self, placed: Placed) -> bool:
        """Whether the ``-pre`` that it undoes has run well: its own, or where it has none, all of that phase."""
        before = placed.hook.phase.replace("-post", "-pre")
        own = [item for item in self.outcomes if item.origin == placed.origin and item.phase == before]
        sound = all(item.ignored or not item.error for item in own)
        return placed.paired and sound and (bool(own) or before in self._passed)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Failures that do not count, as sentences."""
        return tuple(
            f"{item.phase} hook of {item.origin} failed: {item.error}"
            for item in self.outcomes
            if item.error and item.ignored
        )

    def _one(self, placed: Placed) -> HookOutcome:
        hook = placed.hook
        kind = cast(HookKind, registry.find("hooks", hook.kind))
        where = kind.where(hook, self._container)
        who = _name(placed, where)
        heard = Tail(4096)
        begun = self._world.clock.monotonic()

        def said(line: str) -> None:
            clean = redact(line)
            heard.add(clean.encode() + b"\n")
            self._progress.said(who, clean)

        variables = environment(hook.phase, self.facts)
        call = HookCall(
            environment=variables,
            timeout=patience(hook.seconds),
            said=said,
            host=self._world.host,
            container=self._container,
        )
        error = ""
        try:
            if hook.wait_for_ready and where:
                self._await_ready(where, seconds(hook.wait_timeout))
            kind.run(hook, call)
        except ReconcilerError as failed:
            error = redact(str(failed))
        return HookOutcome(
            phase=hook.phase,
            origin=placed.origin,
            kind=hook.kind,
            where=where,
            seconds=self._world.clock.monotonic() - begun,
            output=heard.text(),
            error=error,
            ignored=bool(error) and not hook.fails,
        )

    def _await_ready(self, container: str, patience: float) -> None:
        """Until it runs and, with a health check, is healthy. Raises ReconcilerError when it does not get so."""
        engine = self._world.host.engine()

        def ready() -> bool:
            found = engine.container(container)
            return found is not None and found.state == "running" and found.health in ("", "healthy")

        if not wait_until(ready, self._world.clock, patience):
            raise ReconcilerError(f"container {container} was not ready after {patience:g} s")


def _name(placed: Placed, where: str) -> str:
    return f"{placed.hook.phase} hook of {placed.origin}" + (f" in {where}" if where else "")
