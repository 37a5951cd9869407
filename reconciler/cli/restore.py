"""``reconciler restore``: bring one target back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.complete import destinations, targets
from reconciler.cli.output import PATH, output_option, print_json
from reconciler.wording import size_text, time_text

if TYPE_CHECKING:
    from reconciler.loop import Session
    from reconciler.model import Artifact
    from reconciler.restore import Choice, Restored


_NEVERTHELESS = (
    "to restore before they are mended: write the Destination alone into a file, and say --specs FILE; or do it by hand with the"
    " command in the manifest beside the artifact (docs/restore.md)"
)


@click.command(short_help="Bring a target back, verified first.")
@click.argument("target", metavar="SERVICE[/TYPE]", shell_complete=targets)
@click.option(
    "--specs", "path", type=PATH, default="backup.d", show_default=True, help="Where the specs are."
)
@click.option(
    "--at",
    "at_text",
    metavar="TIME",
    help="The newest artifact at or before this time, or within this minute (default: the newest).",
)
@click.option(
    "--from",
    "source",
    metavar="DESTINATION",
    default="",
    shell_complete=destinations,
    help="Only from this destination.",
)
@click.option(
    "--to",
    metavar="WHERE",
    help="path:DIR, volume:NAME, image:, container:NAME, or - for stdout (default: where it came from).",
)
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@click.option("--no-stop", is_flag=True, help="Refuse where a container would have to be stopped meanwhile.")
@click.option(
    "--identity",
    "identities",
    type=PATH,
    multiple=True,
    help="File with a key for encrypted copies: a private key of age, SSH or OpenPGP, or a passphrase. May be repeated.",
)
@output_option
def restore(  # noqa: PLR0913 - one for each option
    target: str,
    path: Path,
    at_text: str | None,
    source: str,
    to: str | None,
    output: str,
    *,
    identities: tuple[Path, ...],
    overwrite: bool,
    no_stop: bool,
) -> None:
    """Restore a target: the artifact is verified first, unpacked beside, and only then put in place of the old data.

    Refuses to replace data without --overwrite; when anything fails, the old data is still there. Containers that hold the
    place are stopped for the moment of the swap and started again. The key of an encrypted copy is tried before anything
    else; keys come from the specs, from --identity and, for OpenPGP, from gpg's own keyring.

    \b
    Examples:
      reconciler restore grafana/data --to path:/srv/look
      reconciler restore grafana --at 2026-01-20T12:00:00Z --overwrite
      reconciler restore shop/dump --to - | pg_restore --list
      reconciler restore shop/dump --identity ~/age.key --overwrite
    """  # noqa: D301 - click wants the real \b
    from reconciler.cli.progress import bars
    from reconciler.restore.bringing import Asked, Bringing

    with _acting(path) as session:
        _warn(session.recovered.told)
        choice, doubts = _chosen(session, target, at_text, source)
        told: list[str] = []

        def warn(text: str) -> None:
            told.append(text)
            _warn((text,))

        asked = Asked(to, overwrite, not no_stop, identities)
        bringing = Bringing(choice, asked, session.fleet, session.world, warn)
        with bars(quiet=output == "json") as progress:
            there = choice.artifact.target
            progress.begin(there, f"restore {there}", choice.copies[0][1].size)
            done = bringing.run(progress)
            progress.end()
    _warn(done.warnings)
    if output == "json":
        warnings = (*doubts, *told, *done.warnings)
        print_json(
            {"manifest": done.manifest, "from": done.destination, "warnings": warnings, "hooks": done.hooks}
        )
    else:
        _tell(choice.artifact, done, to)


@contextmanager
def _acting(path: Path) -> Iterator[Session]:
    """The session; where the specs cannot be used, their problems and how to restore nevertheless."""
    from reconciler import loop
    from reconciler.errors import SpecError

    try:
        with loop.acting_session(path) as session:
            yield session
    except SpecError as error:
        raise SpecError((*error.problems, _NEVERTHELESS)) from None


def _chosen(
    session: Session, target: str, at_text: str | None, source: str
) -> tuple[Choice, tuple[str, ...]]:
    """The artifact that is meant, and what speaks against its being the newest: said at once."""
    from reconciler.restore import choose, passed_over, unseen
    from reconciler.retention import SKEW

    at = moment(at_text) if at_text else session.now + SKEW
    fleet, listings = session.fleet, session.listings()
    place = _known(source, [item.name for item in fleet.destinations])
    unknown = () if source else unseen(listings)
    _warn(unknown)
    choice = choose(fleet, listings, target, at, place)
    broken = passed_over(choice, listings, at, place)
    _warn(broken)
    return choice, unknown + broken


def _tell(artifact: Artifact, done: Restored, to: str | None) -> None:
    """Say what was restored; on stderr where stdout holds the data."""
    when, size = time_text(artifact.time), size_text(done.manifest.source_size)
    click.echo(f"restored {artifact.target} of {when} ({size}) from {done.destination}", err=to == "-")


def moment(text: str) -> datetime:
    """The time that ``text`` means; without seconds, as `list` prints it, the end of that minute. Raises ReconcilerError."""
    from reconciler.adapters.clock import parse

    to_the_minute = re.search(r"[T ]\d\d:\d\d(Z|[+-]\d\d:?\d\d)?$", text)
    return parse(text) + timedelta(seconds=59 if to_the_minute else 0)


def _warn(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        click.secho(f"warning: {warning}", fg="yellow", err=True)


def _known(source: str, names: list[str]) -> str:
    if source and source not in names:
        raise click.UsageError(f"there is no destination {source}; there are: {', '.join(names)}")
    return source
