"""``reconciler restore``: bring one target back."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import click

from reconciler.cli.complete import destinations, targets
from reconciler.cli.output import PATH, output_option, print_json
from reconciler.wording import size_text, time_text


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
@output_option
def restore(  # noqa: PLR0913 - one for each option
    target: str, path: Path, at_text: str | None, source: str, to: str | None, output: str, *, overwrite: bool
) -> None:
    """Restore a target: the artifact is verified first, unpacked beside, and only then put in place of the old data.

    Refuses to replace data without --overwrite; when anything fails, the old data is still there.

    \b
    Examples:
      reconciler restore grafana/data --to path:/srv/look
      reconciler restore grafana --at 2026-01-20T12:00:00Z --overwrite
      reconciler restore shop/dump --to - | pg_restore --list
    """  # noqa: D301 - click wants the real \b
    from reconciler import loop
    from reconciler.cli.progress import bars
    from reconciler.restore import choose, passed_over, read_manifest, unseen
    from reconciler.restore import restore as bring_back
    from reconciler.restore.sinks import find_sink
    from reconciler.retention import SKEW

    with loop.session(path) as session:
        at = _moment(at_text) if at_text else session.now + SKEW
        fleet, world = session.fleet, session.world
        place = _known(source, [item.name for item in fleet.destinations])
        listings = session.listings()
        unknown = () if source else unseen(listings)
        _warn(unknown)
        choice = choose(fleet, listings, target, at, place)
        broken = passed_over(choice, listings, at, place)
        _warn(broken)
        manifest = read_manifest(choice, fleet, world)
        sink = find_sink(to, manifest, fleet, world.host)
        sink.check(overwrite=overwrite)
        with bars(quiet=output == "json") as progress:
            progress.begin(f"restore {choice.artifact.target}", choice.copies[0][1].size)
            done = bring_back(choice, sink, fleet, world, progress.advanced)
            progress.end()
    _warn(done.warnings)
    if output == "json":
        print_json(
            {
                "manifest": done.manifest,
                "from": done.destination,
                "warnings": unknown + broken + done.warnings,
            }
        )
    else:
        when, size = time_text(choice.artifact.time), size_text(done.manifest.source_size)
        click.echo(
            f"restored {choice.artifact.target} of {when} ({size}) from {done.destination}", err=to == "-"
        )


def _moment(text: str) -> datetime:
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
