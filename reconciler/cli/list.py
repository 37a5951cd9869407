"""``reconciler list``: every copy that exists, by target, with the reason why it is kept."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from reconciler.cli.complete import targets
from reconciler.cli.output import output_option, print_json, print_table, span_text, specs_argument
from reconciler.wording import counted, size_text, time_text

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.loop import Session
    from reconciler.model import Artifact, Backup, Copy, Listing, Sealed, TargetId


class Row(NamedTuple):
    """One copy. ``size`` in bytes; ``kept`` is why retention keeps it, or why it does not.

    ``encryption`` names the keys that open it; None where it is not encrypted, or no manifest can be read.
    """

    target: TargetId
    tier: str
    time: datetime
    destination: str
    size: int
    state: str
    keep: bool
    kept: str
    key: str
    encryption: Sealed | None = None


@click.command("list", short_help="Show every copy, and why it is kept.")
@specs_argument
@output_option
@click.option(
    "--only", metavar="SERVICE[/TYPE]", default="", shell_complete=targets, help="Only this target."
)
def list_(path: Path, output: str, only: str) -> None:
    """Show every copy that exists: by target, with tier, time, age, size, destination and the reason why it is kept.

    Of encrypted copies it shows which key opens them.

    A tier such as weekly is fixed when an artifact is made; "no:" marks what the next apply deletes. Exit code 1 when a
    destination cannot be looked at: what it holds is then not in the list.

    \b
    Examples:
      reconciler list
      reconciler list --only grafana/data
      reconciler list --output json | jq '.copies[] | select(.state != "good")'
    """  # noqa: D301 - click wants the real \b
    from reconciler import loop

    with loop.session(path) as session:
        listings = session.listings()
        rows = [row for row in _rows(session, listings) if _wanted(row, only)]
        keys = session.keys((row.destination, row.key) for row in rows)
        rows = [row._replace(encryption=keys.get(row.key)) for row in rows]
    unknown = {name: listing.unknown for name, listing in listings.items() if listing.unknown}
    if output == "json":
        print_json({"copies": [row._asdict() for row in rows], "unknown": unknown})
    else:
        _print(rows, session.now, only, seen_all=not unknown)
    for name, why in unknown.items():
        click.secho(f"error: destination {name}: {why}", fg="red", err=True)
    if unknown:
        raise click.exceptions.Exit(1)


def _wanted(row: Row, only: str) -> bool:
    return only in ("", str(row.target), row.target.service)


def _rows(session: Session, listings: dict[str, Listing]) -> list[Row]:
    """A row for each copy: targets in order, newest first."""
    by_target: dict[TargetId, list[tuple[str, Copy]]] = {}
    for name, listing in listings.items():
        for copy in listing.copies:
            by_target.setdefault(copy.artifact.target, []).append((name, copy))
    backups = {target.id: backup for backup in session.fleet.backups for target in backup.targets}
    return [
        row
        for target in sorted(by_target)
        for row in _target_rows(session, backups.get(target), by_target[target])
    ]


def _target_rows(session: Session, backup: Backup | None, held: list[tuple[str, Copy]]) -> Iterable[Row]:
    good = {copy.artifact for _, copy in held if not copy.broken}
    why: dict[str, dict[str, tuple[bool, str]]] = {}
    for name in {name for name, _ in held}:
        present = {copy.artifact.key for place, copy in held if place == name and not copy.broken}
        why[name] = _verdicts(session, backup, name, good, present)
    ordered = sorted(
        sorted(held, key=lambda item: item[0]), key=lambda item: item[1].artifact.stamp, reverse=True
    )
    for name, copy in ordered:
        artifact = copy.artifact
        keep, reason = why[name].get(artifact.key, (True, "broken, no good copy elsewhere: kept"))
        state = f"broken: {copy.broken}" if copy.broken else "good"
        yield Row(
            artifact.target,
            artifact.tier,
            artifact.time,
            name,
            copy.size,
            state,
            keep,
            reason,
            artifact.key,
        )


def _verdicts(
    session: Session, backup: Backup | None, name: str, good: Iterable[Artifact], present: set[str]
) -> dict[str, tuple[bool, str]]:
    """Keep or not, and why, by key, as retention has it at one destination; orphans are all kept.

    ``present`` are the keys of the good copies there.
    """
    from reconciler.retention import retention_at, sparing_newest, verdicts

    if backup is None:
        return {artifact.key: (True, "orphan: kept") for artifact in good}
    if name not in backup.destinations:
        return {artifact.key: (True, "its backup does not name this destination: kept") for artifact in good}
    retention = retention_at(session.fleet, backup, name)
    judged = sparing_newest(verdicts(good, retention, session.now), present)
    return {verdict.artifact.key: (verdict.keep, verdict.reason) for verdict in judged}


def _print(rows: list[Row], now: datetime, only: str, *, seen_all: bool) -> None:
    if not rows:
        where = "" if seen_all else " where a destination could be looked at"
        click.echo(f"There are no copies{f' of {only}' if only else ''}{where}.")
        return
    columns = ["TARGET", "TIER", "TIME", "AGE", "SIZE", "AT", "KEPT"]
    cells = [
        [
            str(row.target),
            row.tier,
            time_text(row.time),
            span_text(now - row.time),
            size_text(row.size),
            row.destination,
            _kept(row),
        ]
        for row in rows
    ]
    from reconciler.naming import is_encrypted

    if any(is_encrypted(row.key) for row in rows):
        columns.insert(6, "KEY")
        for row, line in zip(rows, cells, strict=True):
            line.insert(6, _key(row))
    print_table(columns, cells, right=("AGE", "SIZE"), fold=("KEY", "KEPT"))
    total = size_text(sum(row.size for row in rows))
    click.echo(f"{counted(len(rows), 'copy')}, {total}")


def _key(row: Row) -> str:
    """What opens it, short: JSON has the whole names."""
    from reconciler.naming import is_encrypted

    if row.encryption is None:
        return "?" if is_encrypted(row.key) else ""
    if row.encryption.key_id:
        return f"passphrase {row.encryption.key_id}"
    return " or ".join(_short(name) for name in row.encryption.recipients)


def _short(name: str) -> str:
    first, *comment = name.split(maxsplit=1)
    return " ".join([f"{first[:12]}…{first[-6:]}" if len(first) > 20 else first, *comment])


def _kept(row: Row) -> str:
    kept = row.kept if row.keep else f"no: {row.kept}"
    return kept if row.state == "good" else f"{row.state} ({kept})"
