"""Runs of a hold in a process of their own that kills itself at one of its calls to the Engine or the journal."""

import itertools
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, cast

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.docker import connect
from reconciler.adapters.journal import FileEntry, FileJournal
from reconciler.journal import Journal
from reconciler.lifecycle.hold import held
from reconciler.model import LabelStop, Quiesce, Uses
from reconciler.ports import Engine, Host, World
from tests.lifecycle.yard import _no_store

T = TypeVar("T")
When = Literal["before", "during", "after"]
MOMENT = 0.01  # seconds that the Engine is given while we die


class Scene(NamedTuple):
    """What is held, where, and at which call the process dies (-1: at none)."""

    url: str
    state: Path
    uses: Uses
    quiesce: Quiesce | None
    stops: tuple[LabelStop, ...] = ()
    at: int = -1
    when: When = "before"


class Calls:
    """Counts calls, and kills the process at the one that is meant."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self.names: list[str] = []

    def call(self, name: str, effect: Callable[[], T]) -> T:
        """Make the call, or die before, during or after it."""
        with self._lock:
            number = next(self._numbers)
            self.names.append(name)
        if number != self._scene.at:
            return effect()
        if self._scene.when == "during":
            threading.Thread(target=effect, daemon=True).start()
            threading.Event().wait(MOMENT)
        if self._scene.when == "after":
            effect()
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Counted:
    """Something whose methods are counted, and those of the entries that it gives."""

    def __init__(self, inner: object, calls: Calls) -> None:
        self._inner = inner
        self._calls = calls

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._inner, name)

        def counted(*arguments: object) -> object:
            found = self._calls.call(name, lambda: method(*arguments))
            return Counted(found, self._calls) if isinstance(found, FileEntry) else found

        return counted


def hold_once(scene: Scene, names: Any) -> None:
    """Hold, read nothing, let go. ``names`` is a list that gets the calls."""
    os.environ["DOCKER_HOST"] = scene.url
    calls = Calls(scene)
    engine = cast(Engine, Counted(connect(), calls))
    journal = cast(Journal, Counted(FileJournal(scene.state), calls))
    world = World(SystemClock(), Host(lambda: engine, Path("/")), _no_store, "node-1", journal)
    with held(scene.uses, scene.quiesce, scene.stops, world, "shop/data") as hold:
        hold.check()
        hold.release()
        hold.settle()
        assert not hold.trouble
    names.extend(calls.names)


def undisturbed(scene: Scene) -> list[str]:
    """The calls of a run that nobody disturbs, in order."""
    context = get_context("forkserver")
    with context.Manager() as manager:
        names = manager.list()
        assert _ran(scene, names) == 0
        return list(names)


def killed(scene: Scene) -> None:
    """A run that dies as the scene says."""
    assert _ran(scene, []) == -signal.SIGKILL, scene


def _ran(scene: Scene, names: Any) -> int | None:
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    child = context.Process(target=hold_once, args=(scene, names))
    child.start()
    child.join(60)
    return child.exitcode
