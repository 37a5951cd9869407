"""``reconciler engine-proxy``: a socket that lets the calls of a backup through to the Docker Engine, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from reconciler.cli.output import PATH


@click.command(short_help="Let only the calls of a backup through to the Docker Engine.")
@click.option(
    "--listen", type=PATH, required=True, metavar="SOCKET", help="The socket to make, for this user alone."
)
@click.option(
    "--engine",
    type=PATH,
    default="/var/run/docker.sock",
    show_default=True,
    metavar="SOCKET",
    help="The Engine's socket.",
)
@click.option("--swarm", is_flag=True, help="Also the calls that scale the services of a Swarm.")
def engine_proxy(listen: Path, engine: Path, *, swarm: bool) -> None:
    """Listen at a socket, and let the calls of the reconciler through to the Docker Engine, and nothing else.

    For the container in which the reconciler runs: it gets this socket instead of the Engine's. docs/security.md lists the calls.
    A call that is refused is told on stderr.

    \b
    Examples:
      reconciler engine-proxy --listen /run/engine/docker.sock
      DOCKER_HOST=unix:///run/engine/docker.sock reconciler plan
    """  # noqa: D301 - click wants the real \b
    from reconciler.adapters.engine_proxy import Proxy

    def told(line: str) -> None:
        click.echo(line, err=True)

    with Proxy(listen, engine, told, swarm=swarm) as proxy, suppress(KeyboardInterrupt):
        proxy.serve_forever()
    listen.unlink(missing_ok=True)
