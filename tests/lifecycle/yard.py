"""Containers of one test on a real Engine, and the world in which they are held."""

import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.docker import connect
from reconciler.adapters.journal import FileJournal
from reconciler.model import Destination, Uses
from reconciler.ports import Engine, Host, Store, World
from tests.parts.engine import EngineHost
from tests.parts.process import until
from tests.parts.swarm import UNTIL_TOLD

STUBBORN = "trap '' TERM; while :; do sleep 0.1; done"
"""For `sh -c`: SIGTERM does nothing."""
SECOND = 1_000_000_000


class Yard:
    """Every container made here is named ``NAME-TAG``, mounts the volume ``data-TAG`` at /d, and goes with the yard."""

    def __init__(self, engine: EngineHost, folder: Path, idle: float = 60) -> None:
        self.host = engine
        self.folder = folder
        self.tag = uuid.uuid4().hex[:8]
        self.client: docker.DockerClient = engine.client()
        self.volume = f"data-{self.tag}"
        self.data = Path(self.client.volumes.create(self.volume).attrs["Mountpoint"])
        with mock.patch.dict(os.environ, DOCKER_HOST=engine.url):
            self.engine = connect(idle)

    @property
    def uses(self) -> Uses:
        """The volume."""
        return Uses(volumes=(self.volume,))

    @property
    def state(self) -> Path:
        """Where the journal is."""
        return self.folder / "state"

    def world(self, engine: Callable[[], Engine] | None = None) -> World:
        """A clock, that Engine and a journal; nothing else is needed."""
        host = Host(engine or (lambda: self.engine), self.folder)
        return World(SystemClock(), host, _no_store, "node-1", FileJournal(self.state))

    def name(self, short: str) -> str:
        """The whole name of a container."""
        return f"{short}-{self.tag}"

    def run(self, short: str, command: str = UNTIL_TOLD, **options: Any) -> Container:
        """A container that runs; ``needs`` are compose's dependencies, as ``{"db": "service_healthy"}``."""
        made = self.create(short, command, **options)
        made.start()
        return made

    def create(self, short: str, command: str = UNTIL_TOLD, **options: Any) -> Container:
        """A container that was never started. ``mounts`` instead of the volume are as in the Docker library."""
        needs: Mapping[str, str] = options.pop("needs", {})
        depends = ",".join(f"{name}:{condition}:false" for name, condition in needs.items())
        labels = {
            "com.docker.compose.project": self.tag,
            "com.docker.compose.service": short,
            "com.docker.compose.depends_on": depends,
            **options.pop("labels", {}),
        }
        volumes = options.pop("volumes", {self.volume: {"bind": "/d", "mode": options.pop("mode", "rw")}})
        return self.client.containers.create(
            self.host.image,
            ["sh", "-c", command],
            name=self.name(short),
            labels=labels,
            volumes=volumes,
            network_mode=options.pop("network_mode", "none"),
            **options,
        )

    def of(self, short: str) -> dict[str, Any]:
        """What the Engine says of a container now."""
        found: dict[str, Any] = self.client.api.inspect_container(self.name(short))
        return found

    def status(self, *shorts: str) -> list[str]:
        """The state of each, as the Engine calls it."""
        return [str(self.of(short)["State"]["Status"]) for short in shorts]

    def started(self, *shorts: str) -> list[str]:
        """When each was started last."""
        return [str(self.of(short)["State"]["StartedAt"]) for short in shorts]

    def ended(self, *shorts: str) -> list[str]:
        """When each ended last."""
        return [str(self.of(short)["State"]["FinishedAt"]) for short in shorts]

    def await_status(self, status: str, *shorts: str, seconds: float = 30) -> None:
        """Wait until all are in a state."""
        until(lambda: set(self.status(*shorts)) == {status}, f"{shorts} are not {status}", seconds)

    def records(self) -> list[Path]:
        """What lies in the journal."""
        return sorted(path for path in self.state.glob("*") if path.suffix != ".note")

    def close(self) -> None:
        """Remove everything."""
        for container in self.client.containers.list(all=True, ignore_removed=True):
            if self.tag in str(container.name):
                with suppress(NotFound):
                    container.remove(force=True, v=True)
        self.client.volumes.get(self.volume).remove(force=True)
        self.client.close()
        self.engine.close()


def health(command: str, interval: float = 0.2, retries: int = 3) -> dict[str, Any]:
    """A health check, for the option ``healthcheck``."""
    return {
        "test": ["CMD-SHELL", command],
        "interval": int(interval * SECOND),
        "timeout": 5 * SECOND,
        "retries": retries,
    }


def _no_store(destination: Destination) -> Store:
    raise AssertionError(f"nobody here needs {destination.name}")
