"""Hooks around the deletions of a target: once before its first in a run, and once after its last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from reconciler.adapters.secrets import redact
from reconciler.apply.result import Result
from reconciler.errors import ReconcilerError
from reconciler.lifecycle.environment import Facts
from reconciler.lifecycle.hooks import HookFailed, Hooks, hooks_of
from reconciler.model import Fleet, Plan, Prune, TargetId
from reconciler.ports import Progress, World


class PruneHooks:
    """Knows from the plan how many deletions each target has left."""

    def __init__(self, plan: Plan, fleet: Fleet, world: World, progress: Progress) -> None:
        self._left = Counter(action.target for action in plan.actions if isinstance(action, Prune))
        self._fleet = fleet
        self._world = world
        self._progress = progress
        self._hooks: dict[TargetId, Hooks] = {}
        self._told: Counter[TargetId] = Counter()

    def around(self, action: Prune, delete: Callable[[], Result]) -> Result:
        """Delete, with the hooks that stand before or after it; nothing is deleted where one before it fails.

        What fails ends the deletions of its target in this run, so what stands after the last one has its turn then.
        """
        target = action.target
        first = target not in self._hooks
        if first:
            self._hooks[target] = self._make(action)
        hooks = self._hooks[target]
        self._left[target] -= 1
        try:
            if first:
                hooks.run("prune-pre")
            result = delete()
        except ReconcilerError as error:
            hooks.failed = True
            hooks.learn(error=redact(str(error)))
            result = Result(error=str(error))
        if result.error or not self._left[target]:
            result = _ended(hooks, result)
        fresh = tuple(hooks.outcomes[self._told[target] :])
        self._told[target] = len(hooks.outcomes)
        return result._replace(hooks=fresh, warnings=(*result.warnings, *(hooks.warnings if fresh else ())))

    def _make(self, action: Prune) -> Hooks:
        target = action.target
        facts = Facts(
            node=self._world.node, service=target.service, type=target.type, kind="", key=action.key
        )
        container = self._fleet.live.containers.get(target, "")
        return Hooks(hooks_of(self._fleet, target), facts, self._world, self._progress, container)


def _ended(hooks: Hooks, result: Result) -> Result:
    try:
        hooks.run("prune-post")
    except HookFailed as error:
        return result._replace(error="; ".join(filter(None, (result.error, str(error)))))
    return result
