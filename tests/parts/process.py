"""One child process that serves: start, wait until it answers, stop. Used by the modules beside it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

READY_SECONDS = 30.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.02


class MissingPart(Exception):
    """A server cannot be started on this machine; the text says what to install or what its log says."""


def program(name: str, package: str) -> str:
    """The path of an executable, looked for beside the interpreter, in PATH and in sbin.

    Raises:
        MissingPart: it is not installed; names the package that has it.
    """
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise MissingPart(f"{name} is not installed: `make parts` as root installs it (package {package})")
    return found


def need_root(what: str) -> None:
    """Raise MissingPart unless this process is root."""
    if os.geteuid() != 0:
        raise MissingPart(f"{what} needs root: run the tests as root")


def free_port() -> int:
    """A TCP port of the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether something on the loopback accepts connections on `port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(ready: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Poll `ready` until it is true.

    Raises:
        TimeoutError: it was not true within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s: {what}")
        time.sleep(POLL_SECONDS)


@dataclass
class Server:
    """A child process that serves. A test that has one of its own may kill it, freeze it and start it again."""

    command: Sequence[str]
    log: Path
    """Gets its output, of all starts."""
    ready: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict)
    child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until `ready`; in the main thread.

        `setpriv` sees to it that it ends when the tests are killed: when the thread that started it has ended.

        Raises:
            MissingPart: it ended or did not become ready; quotes the end of its log.
        """
        with self.log.open("ab") as output:
            self.child = subprocess.Popen(
                [program("setpriv", "util-linux"), "--pdeathsig", "TERM", "--", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env},
                process_group=0,
            )
        wait_for(self.child, self.ready, self.log)

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.child is not None and self.child.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, by its pid, unless it has ended."""
        if self.child is not None:
            self.child.send_signal(number)

    def kill(self) -> None:
        """End it at once, without a chance to tidy up."""
        self.send(signal.SIGKILL)
        if self.child is not None:
            self.child.wait(STOP_SECONDS)

    def stop(self) -> None:
        """End it: politely, then not."""
        self.send(signal.SIGTERM)
        try:
            if self.child is not None:
                self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Its process gets no time to run during the block: connections are made, and nobody answers."""
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)


@contextmanager
def serving(
    command: Sequence[str], log: Path, ready: Callable[[], bool], env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run `command` until the block ends; the block starts when `ready` is true.

    Raises:
        MissingPart: the server ended or did not become ready; quotes the end of its log.
    """
    server = Server(command, log, ready, env or {})
    try:
        server.start()
        yield server
    finally:
        server.stop()


def wait_for(child: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    """Return when `ready` is true; MissingPart when the child ended or took too long."""
    try:
        until(lambda: child.poll() is not None or ready(), "not ready")
    except TimeoutError as error:
        raise MissingPart(f"{child.args!r}: {error}: {tail(log)}") from error
    if child.poll() is not None:
        raise MissingPart(f"{child.args!r} ended at once: {tail(log)}")


@contextmanager
def own_folder(name: str) -> Iterator[Path]:
    """A temporary folder with a short path (a socket's path may have 107 bytes), removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"rp-{name}-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tail(log: Path, size: int = 1500) -> str:
    """The end of a log, for an error message."""
    return log.read_bytes()[-size:].decode(errors="replace").strip() or "(its log is empty)"
