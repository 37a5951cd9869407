"""A private Docker Engine that is a Swarm of one node, in a network of its own.

Swarm makes a bridge and an overlay for its ingress: they are in that network and not in this machine's.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

import docker
from docker.errors import NotFound
from docker.models.services import Service
from docker.types import ServiceMode

from tests.parts.engine import EngineHost, engine_host
from tests.parts.process import program, until

UNTIL_TOLD = "trap 'exit 0' TERM; sleep infinity & wait"
"""A command for `sh -c` that runs until SIGTERM."""


@contextmanager
def swarm_host() -> Iterator[EngineHost]:
    """Run a private Engine and `docker swarm init` on it.

    Raises:
        MissingPart: as `engine_host`.
    """
    busybox = program("busybox", "busybox-static")
    inside = [busybox, "sh", "-c", f'{busybox} ip link set lo up && exec "$@"', "sh"]
    with (
        engine_host(program("unshare", "util-linux"), "--net", "--", *inside) as host,
        closing(host.client()) as client,
    ):
        client.swarm.init(advertise_addr="127.0.0.1", listen_addr="127.0.0.1")
        yield replace(host, version=f"a Swarm of one node ({host.version})")
        client.swarm.leave(force=True)


@contextmanager
def service(
    host: EngineHost, name: str, volume: str, replicas: int | None = 1, command: str = UNTIL_TOLD
) -> Iterator[Service]:
    """A service of the busybox image with `volume` at /data; the block starts when all its tasks run.

    Args:
        host: what `swarm_host` gave.
        name: of the service.
        volume: a named volume of the node; made if it does not exist.
        replicas: how many tasks, or None for mode `global`.
        command: for `sh -c`.
    """
    mode = ServiceMode("global") if replicas is None else ServiceMode("replicated", replicas)
    with closing(host.client()) as client:
        made = client.services.create(  # type: ignore[no-untyped-call]
            host.image, ["sh", "-c", command], name=name, mounts=[f"{volume}:/data:rw"], mode=mode
        )
        try:
            wait_running(client, made, 1 if replicas is None else replicas)
            yield made
        finally:
            with suppress(NotFound):
                made.remove()


def wait_running(client: docker.DockerClient, made: Service, tasks: int) -> None:
    """Return once as many containers of a service run."""
    until(lambda: len(running(client, made)) == tasks, f"{made.name} does not run {tasks} tasks")


def running(client: docker.DockerClient, made: Service) -> list[str]:
    """The names of a service's containers that run."""
    label = f"com.docker.swarm.service.id={made.id}"
    return sorted(c.name or "" for c in client.containers.list(filters={"label": label, "status": "running"}))
