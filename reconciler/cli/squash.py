"""``reconciler squash``: a shorter history of the status. Nothing else ever rewrites its branch."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.credentials import Credentials, credential_options
from reconciler.cli.output import PATH
from reconciler.errors import GitError
from reconciler.wording import counted, time_text

if TYPE_CHECKING:
    from reconciler.adapters.history import Squashed


@click.command(short_help="Shorten the history of the status.")
@click.argument("path", type=PATH, required=False)
@click.option(
    "--keep", required=True, metavar="DURATION", help="How far back every commit stays, such as 90d."
)
@click.option(
    "--repo", metavar="URL", help="In this repository, by a push: a path, https:// or ssh://; as with run."
)
@credential_options
def squash(path: Path | None, keep: str, repo: str | None, **more: Any) -> None:
    """Make one commit of all that is older than --keep on the branch backup-status; newer ones stay as they are.

    PATH holds the specs (backup.d by default), and the branch of the repository that they lie in is rewritten; with --repo that
    of a remote, pushed by force, unless somebody else has just pushed there. The status itself, other branches and copies are not
    touched. What was squashed cannot be had back. No other command does this by itself.

    \b
    Examples:
      reconciler squash --keep 90d
      reconciler squash --keep 365d --repo https://git.example.com/ops/backups.git --token-file token
    """  # noqa: D301 - click wants the real \b
    before = _before(keep)
    credentials = Credentials(**more)
    if repo is None:
        if any(credentials):
            raise click.UsageError("tokens and keys go with --repo")
        place, found, then = _here(path or Path("backup.d"), before)
    elif path is not None:
        raise click.UsageError("with --repo there is no PATH: the branch has one name everywhere")
    else:
        place, found, then = _there(credentials, repo, before)
    if found is None:
        click.echo(f"nothing to squash in {place}: no more than one commit is older than {time_text(before)}")
        return
    was, stay = counted(found.older, "commit"), counted(found.newer, "newer commit")
    click.echo(f"{place}: {was} before {time_text(before)} became one; {stay} after it")
    click.echo(then)


def _before(keep: str) -> datetime:
    from reconciler.adapters.clock import SystemClock
    from reconciler.durations import seconds

    try:
        return SystemClock().now() - timedelta(seconds=seconds(keep))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--keep") from None
    except OverflowError:
        raise click.BadParameter("longer than there are dates", param_hint="--keep") from None


def _here(path: Path, before: datetime) -> tuple[str, Squashed | None, str]:
    """The place in words, what became of it, and what is to be known. Raises GitError."""
    from reconciler.adapters import git
    from reconciler.adapters.ledger import BRANCH

    repository = git.find(path)
    if repository is None:
        raise GitError(f"{path} is in no git repository, so its status has no history")
    found = repository.squash(BRANCH, before)
    then = f"where it was pushed, push it again: git push --force-with-lease origin {BRANCH}"
    return f"branch {BRANCH}", found, then


def _there(credentials: Credentials, repo: str, before: datetime) -> tuple[str, Squashed | None, str]:
    """As ``_here``, in a remote repository, by a clone that is thrown away."""
    import tempfile

    from reconciler.adapters.clone import Clone
    from reconciler.adapters.ledger import BRANCH

    remote = credentials.remote(repo)
    with tempfile.TemporaryDirectory(prefix="reconciler-") as folder:
        found = Clone(Path(folder) / "repository.git", remote).squash_theirs(BRANCH, before)
    return f"branch {BRANCH} of {remote.shown}", found, "it was pushed by force, that branch alone"
