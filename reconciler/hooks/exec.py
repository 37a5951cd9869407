"""``exec:`` hooks: a command in a running container."""

from __future__ import annotations

import shlex

from reconciler.adapters.secrets import resolve
from reconciler.errors import ReconcilerError
from reconciler.hooks import HookCall
from reconciler.model import ExecHook, Hook, SecretRef
from reconciler.ports import Execution


def where(hook: Hook, container: str) -> str:
    """The container that it names, else the target's own."""
    return (hook.exec.container or container) if hook.exec else ""


def run(hook: Hook, call: HookCall) -> None:
    """Run it to its end. Raises ReconcilerError unless it ends with exit code 0."""
    assert hook.exec is not None
    container = where(hook, call.container)
    if not container:
        raise ReconcilerError("it names no container, and its target has none of its own: add exec.container")
    last: list[str] = []

    def said(line: str) -> None:
        last[:] = [*last[-4:], line]
        call.said(line)

    how = Execution(
        timeout=call.timeout,
        said=said,
        user=hook.exec.user or "",
        environment={**call.environment, **_own(hook.exec)},
        workdir=hook.exec.workdir or "",
    )
    code = call.host.engine().execute(container, words(hook.exec), how)
    if code:
        raise ReconcilerError(f"it ended with {_ended(code)}: {'; '.join(last) or 'it said nothing'}")


def words(hook: ExecHook) -> tuple[str, ...]:
    """The command as a list. Raises ReconcilerError where its text cannot be split."""
    if not isinstance(hook.command, str):
        return hook.command
    try:
        return tuple(shlex.split(hook.command))
    except ValueError as error:
        raise ReconcilerError(f"its command cannot be split into words: {error}") from None


def _own(hook: ExecHook) -> dict[str, str]:
    return {
        name: resolve(value) if isinstance(value, SecretRef) else value for name, value in hook.env.items()
    }


def _ended(code: int) -> str:
    """An exit code above 128 is how a shell, and the Engine, tell of a signal."""
    return f"exit code {code} (signal {code - 128}: it was killed)" if code > 128 else f"exit code {code}"
