"""Fixtures for every test: real servers, each started at most once a session, when a test first asks for it.

The real parts that a run used, and what its tests measured, are printed at its end. With CI=true a part that cannot
be started is a failure; otherwise it is a skip that says what to install.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from reconciler.adapters import secrets
from tests.descent import children
from tests.parts.browser import Browser
from tests.parts.databases import DatabaseImage
from tests.parts.databases import database_image as import_databases
from tests.parts.engine import EngineHost
from tests.parts.engine import engine_host as start_engine
from tests.parts.keys import KeyRing
from tests.parts.keys import key_ring as make_keys
from tests.parts.process import MissingPart
from tests.parts.prometheus import Prometheus, Promtool
from tests.parts.prometheus import promtool as find_promtool
from tests.parts.s3 import S3Server, moto_server, rclone_s3_server
from tests.parts.sftp import SftpServer
from tests.parts.sftp import sftp_server as start_sftp
from tests.parts.swarm import swarm_host as start_swarm
from tests.parts.webdav import WebdavServer
from tests.parts.webdav import webdav_server as start_webdav

P = TypeVar(
    "P", Browser, DatabaseImage, EngineHost, KeyRing, Prometheus, Promtool, S3Server, SftpServer, WebdavServer
)
USED = pytest.StashKey[list[str]]()
MEASURED = pytest.StashKey[list[str]]()
TOLD: dict[str, pytest.StashKey[list[str]]] = {"used": USED, "measured": MEASURED}
LONGEST = (
    "tests/lifecycle/test_recovery.py",
    "tests/lifecycle/test_random_kills.py",
    "tests/systems/test_row_d_databases.py",
    "tests/faults/test_kills.py",
    "tests/contracts/test_destination.py",
    "tests/faults/test_campaign.py",
    "tests/systems/test_row_a_docker_volume_backup.py",
    "tests/cli/test_encryption.py",
)
"""The files that take more than a minute: they begin first, so that at the end no worker waits for one of them."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests away from this user's own settings for git, ssh, AWS and Docker."""
    for key in TOLD.values():
        config.stash[key] = []
    for name in [name for name in os.environ if name.startswith(("AWS_", "DOCKER_", "GIT_", "RECONCILER_"))]:
        if name not in ("AWS_CA_BUNDLE", "GIT_SSL_CAINFO"):
            del os.environ[name]
    os.environ.pop("COLUMNS", None)  # pytest-xdist tells its workers the width of its own terminal
    os.environ.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL=os.devnull, AWS_EC2_METADATA_DISABLED="true")
    config.add_cleanup(_own_runtime_folder())
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)


def _own_runtime_folder() -> Callable[[], None]:
    """Have gpg work, in this process and those that it starts, where nobody else does; call the result to remove that."""
    memory = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="tests-", dir=memory if os.access(memory, os.W_OK) else None)
    os.environ["XDG_RUNTIME_DIR"] = folder
    return partial(shutil.rmtree, folder, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each file goes to one worker, with its servers; files of one group never run at the same time. The longest first."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.location[0]))
    turns = {file: turn for turn, file in enumerate(LONGEST)}
    items.sort(key=lambda item: turns.get(item.location[0], len(LONGEST)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which real servers the tests ran against, and what was measured."""
    for text in config.stash[MEASURED]:
        terminalreporter.write_line(text)
    used = config.stash[USED]
    terminalreporter.write_line("real parts used: " + ("; ".join(sorted(used)) or "none"))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With CI=true a run that skipped a test has failed, whatever the reason. A worker hands over what it has to tell."""
    config = session.config
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if in_ci() and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if hasattr(config, "workeroutput"):
        config.workeroutput |= {name: config.stash[key] for name, key in TOLD.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker tells as it ends."""
    for name, key in TOLD.items():
        known = node.config.stash[key]
        known += [text for text in node.workeroutput.get(name, ()) if text not in known]


def in_ci() -> bool:
    """Whether nothing may be skipped."""
    return os.environ.get("CI") == "true"


@pytest.fixture(autouse=True)
def _own_journal(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test recovers what another one left, or what a reconciler of this machine holds."""
    monkeypatch.setenv("RECONCILER_STATE_DIR", str(tmp_path_factory.getbasetemp() / uuid.uuid4().hex))


@pytest.fixture(autouse=True)
def _own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test calls a secret is a plain word in the next."""
    monkeypatch.setattr(secrets, "_resolved", set[str]())


@pytest.fixture
def servers() -> list[int]:
    """The processes that the fixtures of other tests have started and keep until the end."""
    return children(os.getpid())


@pytest.fixture
def measured(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Call it with a sentence for the end of the run."""
    return pytestconfig.stash[MEASURED].append


class Parts:
    """Starts real parts for the fixtures below and notes them for the summary."""

    def __init__(self, config: pytest.Config) -> None:
        self.used = config.stash[USED]
        self.open = ExitStack()

    @contextmanager
    def running(self, part: AbstractContextManager[P]) -> Iterator[P]:
        """Run one part during the block; a missing one fails with CI=true and is skipped otherwise."""
        with ExitStack() as opened:
            try:
                running = opened.enter_context(part)
            except MissingPart as error:
                if in_ci():
                    pytest.fail(f"missing part: {error}", pytrace=False)
                pytest.skip(f"missing part: {error}")
            if running.version not in self.used:
                self.used.append(running.version)
            yield running

    def start(self, part: AbstractContextManager[P]) -> P:
        """Run one part until the session ends."""
        return self.open.enter_context(self.running(part))


@pytest.fixture(scope="session")
def parts(pytestconfig: pytest.Config) -> Iterator[Parts]:
    """The starter that the fixtures of servers share."""
    starter = Parts(pytestconfig)
    with starter.open:
        yield starter


@pytest.fixture(scope="session")
def engine_host(parts: Parts) -> EngineHost:
    """A private Docker Engine with the image `busybox:test`; `.url` is its DOCKER_HOST."""
    return parts.start(start_engine())


@pytest.fixture
def own_engine(parts: Parts) -> Iterator[EngineHost]:
    """A Docker Engine of this test alone, which it may kill, restart and freeze."""
    with parts.running(start_engine()) as engine:
        yield engine


@pytest.fixture(scope="session")
def swarm_host(parts: Parts) -> EngineHost:
    """A private Docker Engine that is a Swarm of one node; `tests.parts.swarm.service` runs services on it."""
    return parts.start(start_swarm())


@pytest.fixture(scope="session")
def database_image(parts: Parts, engine_host: EngineHost) -> str:
    """The image that `tests.parts.databases.postgres(engine_host, …)` and the like need in that Engine."""
    return parts.start(import_databases(engine_host)).name


@pytest.fixture(scope="session")
def s3_server(parts: Parts) -> S3Server:
    """S3 by moto, which counts requests, denies unknown keys and fails on demand."""
    return parts.start(moto_server())


@pytest.fixture(scope="session")
def rclone_s3(parts: Parts) -> S3Server:
    """A second S3 server, by other authors: it checks signatures and keeps plain files."""
    return parts.start(rclone_s3_server())


@pytest.fixture(scope="session")
def sftp_server(parts: Parts) -> SftpServer:
    """OpenSSH with its own host key and user key."""
    return parts.start(start_sftp())


@pytest.fixture(scope="session")
def webdav_server(parts: Parts) -> WebdavServer:
    """WebDAV by rclone, with a password."""
    return parts.start(start_webdav())


@pytest.fixture(scope="session")
def promtool(parts: Parts) -> Promtool:
    """What judges metrics and rules for Prometheus."""
    return parts.start(find_promtool())


@pytest.fixture(scope="session")
def keys(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    """Keys of age, SSH and OpenPGP, and the programs that use them."""
    return parts.start(make_keys(tmp_path_factory.mktemp("keys")))
