"""``exec:`` hooks."""

from __future__ import annotations

from reconciler.errors import ReconcilerError
from reconciler.model import Hook
from reconciler.ports import HookCall


def where(hook: Hook, container: str) -> str:
    """The container in which it runs."""
    return (hook.exec.container or container) if hook.exec else ""


def run(hook: Hook, call: HookCall) -> None:
    """Do it."""
    raise ReconcilerError(f"exec hooks are not there yet ({hook.phase}, {call.timeout})")
