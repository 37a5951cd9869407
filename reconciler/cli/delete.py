"""``reconciler delete``: delete chosen copies, or all of a target."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.complete import destinations, targets
from reconciler.cli.output import PATH, output_option, print_json
from reconciler.cli.restore import moment
from reconciler.errors import Refused
from reconciler.wording import counted, size_text

if TYPE_CHECKING:
    from reconciler.loop import Session
    from reconciler.model import Copy, Listing, Observation, Prune, TargetId

Held = list[tuple[str, "Copy"]]


@click.command(short_help="Delete chosen copies, or all of a target.")
@click.argument("target", metavar="SERVICE[/TYPE]", shell_complete=targets)
@click.option(
    "--specs", "path", type=PATH, default="backup.d", show_default=True, help="Where the specs are."
)
@click.option(
    "--at", "at_text", metavar="TIME", help="Only the artifact made at this time, or within this minute."
)
@click.option("--before", "before_text", metavar="TIME", help="Only artifacts made before this time.")
@click.option("--all", "everything", is_flag=True, help="Every copy of the target.")
@click.option(
    "--from",
    "source",
    metavar="DESTINATION",
    default="",
    shell_complete=destinations,
    help="Only at this destination.",
)
@click.option("--force", is_flag=True, help="Also the last good copy.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@output_option
def delete(  # noqa: PLR0913 - one for each option
    target: str,
    path: Path,
    at_text: str | None,
    before_text: str | None,
    source: str,
    output: str,
    *,
    everything: bool,
    force: bool,
    yes: bool,
) -> None:
    """Show what goes, ask, and delete it: the manifest first, then the data. The last good copy stays without --force.

    Say which copies: --at, --before or --all. A copy that retention still wants, and that another destination has, is
    copied back by the next apply: that is told before it asks. Hooks of prune-pre and prune-post run.

    \b
    Examples:
      reconciler delete shop/data --before 2025-01-01T00:00:00Z
      reconciler delete shop/data --at 2026-01-20T03:00Z --from offsite
      reconciler delete gone/data --all --force
    """  # noqa: D301 - click wants the real \b
    from reconciler import loop
    from reconciler.choosing import find_target
    from reconciler.cli.progress import bars
    from reconciler.model import Plan

    if sum(map(bool, (at_text, before_text, everything))) != 1:
        raise click.UsageError("say which copies: one of --at, --before and --all")
    with loop.acting_session(path) as session:
        for told in session.recovered.told:
            click.secho(f"warning: {told}", fg="yellow", err=True)
        seen = session.observe()
        wanted = find_target(seen.listings, target)
        _insist_known(source, seen.listings)
        chosen = _chosen(_held(seen.listings, wanted), at_text, before_text, source)
        _insist(chosen, seen.listings, wanted, force=force)
        prunes = tuple(_prune(name, copy) for name, copy in chosen)
        _show(prunes)
        for text in (*_out_of_sight(seen.listings, source), *_back_again(session, seen, chosen)):
            click.secho(f"warning: {text}", fg="yellow", err=True)
        if not yes and not sys.stdin.isatty():
            raise Refused("nobody can be asked here: --yes deletes what is shown; nothing was deleted")
        if not yes and not click.confirm(f"Delete {counted(len(prunes), 'copy')}?", err=True):
            raise Refused("nothing was deleted")
        with bars(quiet=output == "json") as progress:
            todo = Plan(session.now, prunes, commit=session.fleet.commit)
            applied = session.apply(todo, seen, progress, lambda _, __: todo)
    if output == "json":
        print_json({"outcomes": applied.outcomes, "statusCommit": applied.commit})
    if applied.report_error or not all(outcome.ok for outcome in applied.outcomes):
        raise click.exceptions.Exit(1)


def _insist_known(source: str, listings: Mapping[str, Listing]) -> None:
    if source and source not in listings:
        raise click.UsageError(f"there is no destination {source}; there are: {', '.join(listings)}")


def _out_of_sight(listings: Mapping[str, Listing], source: str) -> list[str]:
    """Where copies may stay that nobody sees now."""
    return [
        f"{name} cannot be looked at ({listing.unknown}): what it holds stays"
        for name, listing in listings.items()
        if listing.unknown and source in ("", name)
    ]


def _back_again(session: Session, seen: Observation, chosen: Held) -> list[str]:
    """What the next apply would make again at once, by the plan for how things are afterwards."""
    from reconciler.model import Create, Replicate

    gone = {(name, copy.artifact.key) for name, copy in chosen}
    targets = {copy.artifact.target for _, copy in chosen}
    after = session.plan(_without(seen, gone)).actions
    again = [item for item in after if isinstance(item, Replicate) and (item.destination, item.key) in gone]
    told = [
        f"retention still wants {item.key} at {item.destination}: the next apply copies it back from {item.sources[0]};"
        f" without --from it goes everywhere"
        for item in again
    ]
    if any(isinstance(item, Create) and item.target in targets for item in after):
        told.append(
            "the next apply makes a new backup of it, as one is due then; suspend the Backup, or remove the target"
        )
    return told


def _without(seen: Observation, gone: Collection[tuple[str, str]]) -> Observation:
    """What would be seen without those copies."""
    import msgspec

    listings = {
        name: msgspec.structs.replace(
            listing, copies=tuple(copy for copy in listing.copies if (name, copy.artifact.key) not in gone)
        )
        for name, listing in seen.listings.items()
    }
    return msgspec.structs.replace(seen, listings=listings)


def _held(listings: Mapping[str, Listing], target: TargetId) -> Held:
    found = [(name, copy) for name, listing in listings.items() for copy in listing.copies]
    return [(name, copy) for name, copy in found if copy.artifact.target == target]


def _chosen(held: Held, at_text: str | None, before_text: str | None, source: str) -> Held:
    """The copies that are meant. Raises Refused where there are none."""
    found = [item for item in held if source in ("", item[0])]
    if at_text:
        found = [item for item in found if _is_at(item[1].artifact.time, moment(at_text))]
    if before_text:
        found = [item for item in found if item[1].artifact.time < moment(before_text)]
    if not found:
        raise Refused("there is no such copy; `reconciler list` shows what there is")
    return sorted(found, key=lambda item: (item[1].artifact.stamp, item[0]))


def _is_at(made: datetime, asked: datetime) -> bool:
    """Whether it was made at that second, or, where none was given, in that minute."""
    return made == asked or (asked.second == 59 and made.replace(second=59) == asked)


def _insist(chosen: Held, listings: Mapping[str, Listing], target: TargetId, *, force: bool) -> None:
    """Raises Refused where the last good copy would go, or where it cannot be told whether it would."""
    going = {(name, copy.artifact.key) for name, copy in chosen}
    left = [
        copy
        for name, copy in _held(listings, target)
        if not copy.broken and (name, copy.artifact.key) not in going
    ]
    if not left and not force:
        raise Refused(
            f"no good copy of {target} would be left: --force deletes the last one too; nothing was deleted"
        )


def _prune(name: str, copy: Copy) -> Prune:
    from reconciler.model import Prune

    artifact = copy.artifact
    return Prune(artifact.target, artifact.key, name, copy.size, "asked for with delete")


def _show(prunes: tuple[Prune, ...]) -> None:
    for prune in prunes:
        click.echo(f"- {prune.key}  at {prune.destination}, {size_text(prune.size)}", err=True)
