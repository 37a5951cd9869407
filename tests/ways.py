"""A restore with no hooks around it, for the tests of what is below them."""

from reconciler.lifecycle.environment import Facts
from reconciler.lifecycle.hooks import Hooks
from reconciler.model import Action, Outcome, TargetId
from reconciler.ports import Sink, World
from reconciler.restore import Way


class Silent:
    """A Progress that nobody watches."""

    def started(self, action: Action) -> None: ...

    def advanced(self, target: TargetId, size: int) -> None: ...

    def said(self, who: str, line: str) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...


def way_to(sink: Sink, world: World) -> Way:
    """How a restore to ``sink`` goes, without hooks and keys."""
    facts = Facts(node="here", service="app", type="data", kind="path")
    return Way(sink, Hooks((), facts, world, Silent()), lambda _size: None)
