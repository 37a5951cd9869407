"""``reconciler run``: the service, or one tick of it."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from reconciler.cli.credentials import Credentials, credential_options
from reconciler.cli.listen import Page, Watched, listen_options
from reconciler.cli.output import PATH, jobs_option

if TYPE_CHECKING:
    from reconciler.sources import Source

_LEAST = 1.0
"""Seconds of an interval at least."""


@click.command(short_help="Keep the backups what the specs want: a service.")
@click.argument("path", type=PATH, required=False)
@click.option("--repo", metavar="URL", help="Follow a branch of this repository: a path, https:// or ssh://.")
@click.option("--branch", default="main", show_default=True, help="With --repo: the branch.")
@click.option(
    "--path",
    "folder",
    metavar="FOLDER",
    default="backup.d",
    show_default=True,
    help="With --repo: the folder of the specs in it.",
)
@credential_options
@click.option(
    "--verify-signatures",
    "signers",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Accept only commits signed by a key in it: SSH allowed signers, or armored OpenPGP keys; may be given several times.",
)
@click.option(
    "--interval",
    default="1m",
    show_default=True,
    metavar="DURATION",
    help="How often to look for other specs.",
)
@click.option(
    "--state-dir",
    type=PATH,
    metavar="FOLDER",
    envvar="RECONCILER_STATE_DIR",
    show_envvar=True,
    help="Where clones and the journal are kept; else /var/lib/reconciler for root, ~/.local/state/reconciler for others.",
)
@jobs_option
@listen_options
@click.option("--once", is_flag=True, help="One tick, then end.")
def run(
    path: Path | None,
    repo: str | None,
    interval: str,
    state_dir: Path | None,
    jobs: int,
    *,
    once: bool,
    **more: Any,
) -> None:
    """Keep the backups what the specs want: fetch, observe, plan, apply, report; then sleep until there is something to do.

    PATH holds the specs (backup.d by default); with --repo they come from a branch of a repository, and the status goes back to
    its branch backup-status. A commit that cannot be used changes nothing: the last good one stays in force.
    SIGHUP looks at once; SIGTERM and Ctrl-C end it, with nothing half made.

    \b
    Examples:
      reconciler run
      reconciler run --repo https://git.example.com/ops/backups.git --token-file token
      reconciler run --repo git@git.example.com:ops/backups.git --ssh-key key --known-hosts hosts
      reconciler run --listen 127.0.0.1:8080
    """  # noqa: D301 - click wants the real \b
    from reconciler.adapters.bell import Bell
    from reconciler.adapters.ending import serving
    from reconciler.cli.servicelog import ServiceLog
    from reconciler.service import Service

    seconds = _seconds(interval)
    if state_dir is not None:
        os.environ["RECONCILER_STATE_DIR"] = str(state_dir.absolute())  # the journal is kept there, too
    page = Page(**{key: more.pop(key) for key in Page._fields})
    credentials = Credentials(**{key: more.pop(key) for key in Credentials._fields})
    source, name = _source(path, repo, _Following(credentials=credentials, **more))
    log = ServiceLog()
    bell = Bell()
    if once:
        if page.listen:
            raise click.UsageError("--once ends after one tick: there is nobody to --listen")
        raise click.exceptions.Exit(int(not Service(source, seconds, log, bell, jobs=jobs).tick("start").ok))
    live = page.live(source)
    service = Service(source, seconds, Watched(log, live) if live else log, bell, jobs=jobs)
    with (
        suppress(KeyboardInterrupt),
        serving(service.end, bell.ring),
        page.served(live, service.poke) as address,
    ):
        if address:
            log.told(f"the page is at http://{address}/")
        log.told(f"follows {name}, every {interval}")
        service.forever()
    log.told("ended as asked; no copy is left half made")


class _Following(NamedTuple):
    """The options that go with --repo."""

    branch: str
    folder: str
    credentials: Credentials
    signers: tuple[Path, ...]

    def check(self) -> None:
        """Raises UsageError."""
        if self.folder.startswith("/") or ".." in Path(self.folder).parts:
            raise click.UsageError("--path is a folder in the repository, such as backup.d")
        for file in self.signers:
            if not file.is_file():
                raise click.UsageError(f"--verify-signatures: there is no file {file}")


def _source(path: Path | None, repo: str | None, following: _Following) -> tuple[Source, str]:
    """Where the specs come from, and that in words. Raises UsageError, GitError."""
    from reconciler.sources import Plain

    if repo is None:
        if any(following.credentials) or following.signers:
            raise click.UsageError("tokens, keys and signatures go with --repo")
        specs = path or Path("backup.d")
        return Plain(specs), str(specs)
    if path is not None:
        raise click.UsageError("with --repo the folder of the specs in it is --path FOLDER")
    following.check()
    return _followed(repo, following)


def _followed(repo: str, following: _Following) -> tuple[Source, str]:
    from reconciler.adapters.journal import state_folder
    from reconciler.sources import Followed

    there = following.credentials.remote(repo)
    parts = (there.shown, following.branch, following.folder)
    state = (
        state_folder().absolute() / "followed" / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    )
    try:
        for folder in (state.parent.parent, state.parent, state):  # mkdir gives its mode to the last alone
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise click.UsageError(
            f"{state} cannot be made: {error.strerror}; name another folder with --state-dir"
        ) from None
    signers = tuple(file.absolute() for file in following.signers)
    source = Followed(there, following.branch, following.folder, state, signers)
    return source, f"{there.shown}, branch {following.branch}, {following.folder}"


def _seconds(interval: str) -> float:
    from reconciler.durations import seconds

    try:
        found = seconds(interval)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--interval") from None
    if found < _LEAST:
        raise click.BadParameter("a second at least", param_hint="--interval")
    return found
