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


@contextmanager
def serving(
    command: Sequence[str], log: Path, ready: Callable[[], bool], env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` until the block ends; the block starts when `ready` is true.

    The child's output goes to `log`. When the tests are killed, `setpriv` sees to it that the child ends.

    Raises:
        MissingPart: the server ended or did not become ready; quotes the end of its log.
    """
    with log.open("wb") as output:
        child = subprocess.Popen(
            [program("setpriv", "util-linux"), "--pdeathsig", "TERM", "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            process_group=0,
        )
    try:
        wait_for(child, ready, log)
        yield child
    finally:
        stop(child)


def wait_for(child: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    """Return when `ready` is true; MissingPart when the child ended or took too long."""
    try:
        until(lambda: child.poll() is not None or ready(), "not ready")
    except TimeoutError as error:
        raise MissingPart(f"{child.args!r}: {error}: {tail(log)}") from error
    if child.poll() is not None:
        raise MissingPart(f"{child.args!r} ended at once: {tail(log)}")


def stop(child: subprocess.Popen[bytes]) -> None:
    """End a child by its pid: politely, then not."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait(STOP_SECONDS)


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
