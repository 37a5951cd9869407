"""Calls to notifiers: all at once, in a bounded time, and none of their faults is one of the run.

Used by ``notify`` and ``watch``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait

from reconciler.adapters.secrets import redact
from reconciler.errors import ReconcilerError
from reconciler.notifiers import PATIENCE


def carried_out(jobs: Mapping[str, Callable[[], None] | None]) -> dict[str, str]:
    """Do all at once; why each failed, empty where it did not. None is nothing to do, and has no result."""
    return settled({name: launched(job) for name, job in jobs.items() if job is not None})


def launched(job: Callable[[], None]) -> Future[str]:
    """Do it in a thread that nothing waits for when the process ends."""
    result: Future[str] = Future()
    threading.Thread(target=lambda: result.set_result(_done(job)), daemon=True).start()
    return result


def _done(job: Callable[[], None]) -> str:
    try:
        job()
    except ReconcilerError as error:
        return redact(str(error))
    except Exception as error:  # noqa: BLE001 - no fault of a service or its library ends a run, and its words may hold a secret
        return f"it failed unexpectedly ({type(error).__name__})"
    return ""


def settled(running: Mapping[str, Future[str]]) -> dict[str, str]:
    """Why each failed, empty where it did not; what does not end in ``PATIENCE`` is left behind."""
    wait(running.values(), timeout=PATIENCE)
    late = f"it took longer than {PATIENCE:g} s"
    return {name: result.result() if result.done() else late for name, result in running.items()}
