"""Kinds of hook; one file, one kind, its name = the key in YAML. What each offers is ``HookKind``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from reconciler.model import Hook
from reconciler.ports import Host


class HookCall(msgspec.Struct, frozen=True, kw_only=True):
    """What a hook gets: its environment, the seconds it may take, and where its lines of output go.

    ``container`` is the target's own, for an exec that names none.
    """

    environment: Mapping[str, str]
    timeout: float
    said: Callable[[str], None]
    host: Host
    container: str = ""


class HookKind(Protocol):
    """What a module in ``hooks/`` offers; its name is the key in YAML."""

    def run(self, hook: Hook, call: HookCall) -> None:
        """Do it, within the timeout. Raises ReconcilerError, saying what failed and how."""

    def where(self, hook: Hook, container: str) -> str:
        """The container in which it runs, ``container`` being the target's; empty for none."""
