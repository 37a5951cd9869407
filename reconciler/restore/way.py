"""What a restore is given on its way, and what comes of it. Used by the other modules of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from reconciler.lifecycle.hooks import Hooks
from reconciler.model import Fleet, HookOutcome, Manifest, TargetId
from reconciler.model.hooks import quiesce_of
from reconciler.pipeline.decrypt import NO_KEYS, Keys
from reconciler.ports import Sink


class Stopping(NamedTuple):
    """How containers that use the place are stopped: they get ``patience`` (a duration; None: their own) to end.

    ``forbidden`` says what forbids it, such as ``--no-stop``; empty where it may be done.
    """

    patience: str | None = None
    forbidden: str = ""


class Way(NamedTuple):
    """How a restore goes: where to, with which keys and hooks, and who watches.

    ``advanced`` gets stored bytes as they are read, ``said`` what is done to containers.
    """

    sink: Sink
    hooks: Hooks
    advanced: Callable[[int], None]
    keys: Keys = NO_KEYS
    stopping: Stopping = Stopping()
    said: Callable[[str], None] = lambda _text: None


class Restored(NamedTuple):
    """What was restored, from where, and which copies turned out to be bad on the way."""

    manifest: Manifest
    destination: str
    warnings: tuple[str, ...]
    hooks: tuple[HookOutcome, ...] = ()


def stopping(fleet: Fleet, target: TargetId, *, allowed: bool = True) -> Stopping:
    """As the specs have it for the target: ``quiesce: none`` forbids it, ``stopTimeout`` counts here, too."""
    if not allowed:
        return Stopping(forbidden="--no-stop")
    for backup in fleet.backups:
        for item in backup.targets:
            asked = quiesce_of(item.quiesce) or backup.quiesce
            if item.id == target and asked:
                return Stopping(asked.stop_timeout, "quiesce: none" if asked.mode == "none" else "")
    return Stopping()
