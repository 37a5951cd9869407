"""``reconciler init``: a repository of specs to begin with. It asks the Engine and git, writes new files, changes no old one."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import complete
from reconciler.cli.output import safe
from reconciler.cli.writing import refuse_existing, write_new
from reconciler.errors import NoEngine, ReconcilerError, Refused
from reconciler.wording import counted

if TYPE_CHECKING:
    from reconciler.adapters.git import GitRepository
    from reconciler.scaffold import Layout, Look


@click.command(short_help="Make a repository of specs for what runs here.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option(
    "--destination",
    "url",
    metavar="URL",
    default="file://../copies",
    show_default=True,
    shell_complete=complete.protocols,
    help="Where the copies go: file://, s3://, sftp:// or webdav://. A relative one starts at DIR/backup.d.",
)
def init(folder: Path, url: str) -> None:
    """Make DIR a repository of specs: for what runs here, with its checks.

    It looks at the Docker Engine and proposes dumps of its databases and copies of its volumes; without an Engine it writes an
    example. Beside backup.d: the schema for editors, the hook for pre-commit, the workflow for GitHub or GitLab, and a README.
    Makes DIR a git repository unless it is in one; commits nothing. No file is ever overwritten.

    \b
    Examples:
      reconciler init backups
      reconciler init backups --destination s3://acme-backups/docker
      reconciler init . --destination file:///mnt/nas/backups
    """  # noqa: D301 - click wants the real \b
    from reconciler import scaffold, spec
    from reconciler.adapters import git
    from reconciler.cli.validate import show_problems
    from reconciler.spec.urls import complaint

    if wrong := complaint(url):
        raise Refused(f"--destination: {wrong}")
    repository = git.find(folder)
    place = _place(folder, url, repository)
    _refuse_specs(folder / scaffold.SPECS)
    found = _look(folder)
    texts = {folder / name: text for name, text in scaffold.files(place, found).items()}
    refuse_existing(texts)
    if repository is None:
        _make_repository(folder)
    write_new(folder, texts)
    problems = spec.check([folder / scaffold.SPECS]).problems
    show_problems(tuple(problem for problem in problems if problem.severity == "error"))
    _tell(place, found)


def _place(folder: Path, url: str, repository: GitRepository | None) -> Layout:
    from reconciler.scaffold import Layout, local_zone, source

    place = Layout(folder, url, zone=local_zone(), source=source())
    if repository is None:
        return place
    return place._replace(
        inside=repository.root().resolve() != folder.resolve(),
        branch=repository.branch() or place.branch,
        origin=repository.origin(),
    )


def _refuse_specs(specs: Path) -> None:
    """Raises Refused where specs are already, since what is proposed could be in them."""
    if specs.is_symlink() or any(specs.glob("**/*.y*ml")):
        raise Refused(
            f"{specs} is there already, and init only begins: reconciler coverage {specs} shows what they do not protect"
        )


def _look(folder: Path) -> Look:
    """What the Engine shows; nothing, and a word about it, where there is none."""
    from reconciler import wiring
    from reconciler.scaffold import Look, look

    try:
        with wiring.world(folder) as world:
            return look(world.host.engine())
    except NoEngine as error:
        click.secho(f"warning: so this is an example: {error}", err=True, fg="yellow")
        return Look()


def _make_repository(folder: Path) -> None:
    from reconciler.adapters import git

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReconcilerError(f"{folder} cannot be made: {error.strerror}") from None
    git.create(folder)
    click.echo(f"made {folder} a git repository")


def _tell(place: Layout, found: Look) -> None:
    """What was found, what to look at, and what to do next."""
    from reconciler.scaffold import SPECS, protected

    if found.projects or found.others:
        seen = f"{counted(len(found.projects), 'project')} and {counted(len(found.others), 'other')}"
        click.echo(f"proposed: {counted(protected(found), 'target')} for {seen}")
    for warning in _warnings(place, found):
        click.secho(f"warning: {safe(warning)}", err=True, fg="yellow")
    click.echo(f"next: read {place.folder / SPECS}, then")
    if place.folder.resolve() != Path.cwd():
        click.echo(f"  cd {shlex.quote(str(place.folder))}")
    click.echo("  reconciler plan\n  git add . && git commit -m 'Back up what runs here'\n  reconciler apply")


def _warnings(place: Layout, found: Look) -> Iterator[str]:
    from reconciler.scaffold import DEFAULT_URL

    if place.url == DEFAULT_URL:
        there = os.path.normpath(place.folder / "copies")
        yield f"copies go to {there}, on the disk of these specs: name another one in destinations.yaml"
    for where in found.importable:
        yield f"docker-volume-backup runs here ({where}): reconciler import compose makes specs of its settings"
    if found.nameless:
        yield f"{counted(found.nameless, 'volume')} without a name cannot be named: give them one, or use kind: container"
    if place.inside:
        yield "no CI and no pre-commit, which belong to the root of the repository: docs/ci.md shows them"
