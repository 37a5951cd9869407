"""The options of ``run --listen``, and a watcher of the service that tells the page as well as the log."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from reconciler.cli.output import PATH, Command
from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from reconciler.model import Action, Outcome, Plan, TargetId
    from reconciler.model.status import Status
    from reconciler.service import Reason, Tick, Watcher
    from reconciler.sources import Source
    from reconciler.web import Address, Live


def listen_options(command: Command) -> Command:
    """The options of the page; the command gets them as keywords that ``Page`` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--listen",
        metavar="HOST:PORT",
        help="Serve a page with what goes on, as 127.0.0.1:8080; metrics and probes, too.",
    ),
    click.option(
        "--listen-token-from-env",
        metavar="NAME",
        help="The variable with the token that the page asks for; anything but a loopback address needs one.",
    ),
    click.option("--listen-token-file", type=PATH, metavar="FILE", help="The file with that token."),
    click.option(
        "--webhook-secret-from-env",
        metavar="NAME",
        help="The variable with the secret of POST /hooks/git, by which a forge makes it look at once.",
    ),
    click.option("--webhook-secret-file", type=PATH, metavar="FILE", help="The file with that secret."),
)


class Page(NamedTuple):
    """The options, as they were given."""

    listen: str | None = None
    listen_token_from_env: str | None = None
    listen_token_file: Path | None = None
    webhook_secret_from_env: str | None = None
    webhook_secret_file: Path | None = None

    def live(self, source: Source) -> Live | None:
        """What the page shows, with the status that an earlier process left; None without ``--listen``. Raises UsageError."""
        if self.listen is None:
            if any(self[1:]):
                raise click.UsageError("a token for the page and a webhook's secret go with --listen")
            return None
        from reconciler.adapters.clock import SystemClock
        from reconciler.web import Live

        return Live(SystemClock(), _last(source))

    @contextmanager
    def served(self, live: Live | None, wake: Callable[[], None]) -> Iterator[Address | None]:
        """Serve ``live`` during the block; where. ``wake`` has the service ask for the specs.

        Raises UsageError, SecretError, and ReconcilerError where the address cannot be had.
        """
        if live is None or self.listen is None:
            yield None
            return
        from reconciler.web import Address, Listening, serving

        token = _secret("--listen-token", self.listen_token_from_env, self.listen_token_file)
        secret = _secret("--webhook-secret", self.webhook_secret_from_env, self.webhook_secret_file)
        with serving(Listening(Address.parse(self.listen), token, secret), live, wake) as address:
            yield address


def _secret(option: str, name: str | None, file: Path | None) -> str:
    """The value that an option refers to; empty without one. Raises UsageError, SecretError."""
    from reconciler.adapters.secrets import resolve
    from reconciler.model import FromEnv, FromFile

    if name and file:
        raise click.UsageError(f"{option}-from-env and {option}-file are two places of one secret; give one")
    if name and not os.environ.get(name):
        raise click.UsageError(f"{option}-from-env: the variable {name} is not set")
    if name:
        return resolve(FromEnv(from_env=name)).strip()
    return resolve(FromFile(from_file=str(file))).strip() if file else ""


def _last(source: Source) -> Status | None:
    """What an earlier process left; nothing where that cannot be read: the first tick says why."""
    from reconciler.report import read

    try:
        book = source.ledger()
        return read(book) if book else None
    except (ReconcilerError, OSError):
        return None


class Watched:
    """A ``Watcher`` that tells two: the log, and the page."""

    def __init__(self, log: Watcher, live: Live) -> None:
        self._log = log
        self._live = live

    def begins(self, reason: Reason) -> None:
        """A tick begins."""
        self._live.began()
        self._log.begins(reason)

    def planned(self, plan: Plan) -> None:
        """It is known what it will do."""
        self._live.planned(plan)
        self._log.planned(plan)

    def started(self, action: Action) -> None:
        """An action begins."""
        self._live.started(action)
        self._log.started(action)

    def advanced(self, target: TargetId, size: int) -> None:
        """Bytes went through."""
        self._live.advanced(target, size)
        self._log.advanced(target, size)

    def said(self, who: str, line: str) -> None:
        """A hook wrote a line."""
        self._live.said(who, line)
        self._log.said(who, line)

    def finished(self, outcome: Outcome) -> None:
        """The action ended."""
        self._live.finished(outcome)
        self._log.finished(outcome)

    def ended(self, tick: Tick) -> None:
        """The tick has ended, well or not."""
        self._live.ended(tick.applied.status if tick.applied else None, "\n".join(tick.errors))
        self._log.ended(tick)

    def away(self, why: str) -> None:
        """The specs cannot be asked for."""
        self._log.away(why)

    def sleeps(self, seconds: float) -> None:
        """The service waits."""
        self._live.waiting(seconds)
        self._log.sleeps(seconds)
