"""Fixtures of the kinds' own tests: empty destinations, full and read-only disks, servers that do not answer."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reconciler.adapters import store
from tests.contracts.places import Places

Mount = Callable[[Path, str], None]


@pytest.fixture
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    return Places(request, tmp_path)


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts a tmpfs with options (``size=4m``, ``remount,ro``) on a folder, until the test ends."""
    with ExitStack() as mounts:

        def run(folder: Path, options: str) -> None:
            folder.mkdir(exist_ok=True)
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode and os.environ.get("CI") != "true":
                pytest.skip(f"missing part: mount needs root ({done.stderr.strip()})")
            assert done.returncode == 0, done.stderr
            if "remount" not in options:
                mounts.callback(unmount, folder)

        yield run


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        yield port


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up after one second, so that a test of giving up is quick."""
    monkeypatch.setattr(store, "CALL_SECONDS", 0.5)
    monkeypatch.setattr(store, "PATIENCE", 0.5)
