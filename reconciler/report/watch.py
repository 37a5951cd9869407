"""Pings those of the Policy's notifiers that watch the runs. Called by the loop.

A ping that fails becomes a warning, and no backup waits for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast

from reconciler import registry
from reconciler.adapters.secrets import redact, resolve
from reconciler.errors import SecretError
from reconciler.model import Notifier
from reconciler.model.status import OutcomeStatus, Status
from reconciler.notifiers import Watcher
from reconciler.report.headline import headline
from reconciler.report.together import carried_out, launched, settled
from reconciler.report.transitions import of_this_run, troubles


class Watch:
    """The pings of one run: the first is sent while the run works, and the last not before it."""

    def __init__(self, notifiers: Sequence[Notifier], *, busy: bool) -> None:
        for item in notifiers:
            # Now, so that nothing that the run says shows it; who needs it says why it cannot be had.
            with suppress(SecretError):
                resolve(item.address)
        self._watching = [item for item in notifiers if registry.find("notifiers", item.kind).HEARS == "runs"]
        jobs = {item.name: _begin(item) for item in self._watching} if busy else {}
        self._begun = {name: launched(job) for name, job in jobs.items()}

    def end(
        self, status: Status, previous: Status | None, *, well: bool, trouble: str = ""
    ) -> tuple[str, ...]:
        """Say how it ended; ``trouble`` is what the status does not say. Returns warnings."""
        errors = settled(self._begun)
        log = run_log(of_this_run(status, previous), trouble)
        ended = carried_out({item.name: _end(item, well, log) for item in self._watching})
        errors |= {name: error for name, error in ended.items() if error}
        return tuple(f"notifier {name}: {error}" for name, error in errors.items() if error)


def _begin(notifier: Notifier) -> Callable[[], None]:
    kind = cast(Watcher, registry.find("notifiers", notifier.kind))
    return lambda: kind.begun(resolve(notifier.address))


def _end(notifier: Notifier, well: bool, log: str) -> Callable[[], None]:
    kind = cast(Watcher, registry.find("notifiers", notifier.kind))
    return lambda: kind.ended(resolve(notifier.address), well=well, log=log)


def run_log(status: Status, trouble: str = "") -> str:
    """What a run did, one line each, and at last what is wrong: the end of a log counts most."""
    run = status.last_run
    lines = [line for outcome in (run.outcomes if run else ()) for line in _outcome_lines(outcome)]
    lines += [f"{subject}: {text}" for subject, text in troubles(status).items()]
    lines += [trouble] if trouble else []
    return redact("\n".join([*lines, headline(status)]))


def _outcome_lines(outcome: OutcomeStatus) -> list[str]:
    what = " ".join(part for part in (outcome.action, outcome.target, outcome.key) if part)
    where = ", ".join(outcome.destinations)
    why = outcome.error or outcome.skipped or "; ".join(f"{k}: {v}" for k, v in outcome.failures.items())
    first = f"{what} at {where}: {outcome.state}{f': {why}' if why else ''}"
    said = [f"  {hook.phase} {hook.origin}: {hook.error or hook.output}" for hook in outcome.hooks]
    return [first, *said, *(f"  warning: {text}" for text in outcome.warnings)]
