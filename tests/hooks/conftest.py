"""A container to run hooks in, and somebody who listens."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.models.containers import Container

from reconciler.adapters.docker import connect
from reconciler.hooks import HookCall
from reconciler.ports import Engine, Host
from tests.parts.engine import IMAGE, EngineHost

Caller = Callable[..., HookCall]


@pytest.fixture
def heard() -> list[str]:
    """Lines that the hook said."""
    return []


@pytest.fixture
def engine(engine_host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("DOCKER_HOST", engine_host.url)
    engine = connect()
    yield engine
    engine.close()


@pytest.fixture
def call(heard: list[str], tmp_path: Path, request: pytest.FixtureRequest) -> Caller:
    """A call with a timeout in seconds; the Engine is asked for only where a hook needs it."""

    def make(timeout: float = 20, container: str = "", **environment: str) -> HookCall:
        host = Host(lambda: request.getfixturevalue("engine"), tmp_path)
        return HookCall(
            environment=environment, timeout=timeout, said=heard.append, host=host, container=container
        )

    return make


@pytest.fixture
def box(engine_host: EngineHost) -> Iterator[Container]:
    """A running container of busybox."""
    client = engine_host.client()
    made: Any = client.containers.run(
        IMAGE,
        ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"],
        detach=True,
        network_mode="none",
        environment={"OWN_PASSWORD": "hunter2secret"},
    )
    yield made
    made.remove(force=True)
    client.close()
