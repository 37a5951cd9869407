"""Child processes that bytes stream through: how they start, what they said last, how they end for sure.

Used by ``archive``, ``extract`` and the target ``command``. Each child leads a process group, so that its own
children end with it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fcntl import F_SETPIPE_SZ, fcntl
from typing import IO

CHUNK = 1 << 20
"""Bytes of one piece of a stream, and of the pipes."""

_children: set[subprocess.Popen[bytes]] = set()
"""Those that were started and not yet reaped."""

_HARMLESS = ("PATH", "HOME", "USER", "TMPDIR", "TZ", "LD_LIBRARY_PATH")


def start(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, fed: bool = False
) -> subprocess.Popen[bytes]:
    """Run ``command`` with pipes as stdout and stderr, or, with ``fed``, as stdin and for both outputs together.

    With an ``environment`` it gets that one alone, and what no program can do without; otherwise our own, secrets included.
    Raises FileNotFoundError.
    """
    with _undisturbed():
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if fed else subprocess.PIPE,
            bufsize=CHUNK,
            process_group=0,
            env=None if environment is None else {**bare_environment(), **environment},
        )
        _children.add(process)
    data = process.stdin if fed else process.stdout
    assert data is not None
    widen(data.fileno())
    return process


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off SIGINT and SIGTERM to the end of the block. In other threads than the main one none is noticed anyway."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    missed: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, _: missed.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if missed:
            signal.raise_signal(missed[0])


@atexit.register
def _end_the_rest() -> None:
    """An interrupt right after a start leaves a child that nobody knows: it ends with us."""
    for process in tuple(_children):
        end_group(process)


def widen(pipe: int) -> None:
    """Let a pipe hold a whole chunk: fewer switches between the processes."""
    with contextlib.suppress(OSError):  # this user's limit on pipes is reached: it only costs speed
        fcntl(pipe, F_SETPIPE_SZ, CHUNK)


def bare_environment() -> dict[str, str]:
    """The environment of programs that need none of ours: what holds our secrets is not handed on."""
    return {name: os.environ[name] for name in _HARMLESS if name in os.environ}


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a child with all of its group, and reap it. Safe twice."""
    _children.discard(process)
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(
            BrokenPipeError
        ):  # what is left in the buffer of stdin has no reader any more
            if pipe:
                pipe.close()


def how_it_ended(status: int) -> str:
    """``exit code 2`` or ``SIGKILL``, from a child's return code."""
    if status >= 0:
        return f"exit code {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


class Drain:
    """Reads a pipe to its end in a thread of its own, so that the child never waits; gives each line to ``take``.

    A line longer than 4 KiB comes in pieces.
    """

    def __init__(self, stream: IO[bytes], take: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._take = take
        self._thread = threading.Thread(target=self._run, name="drain", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the pipe."""
        self._thread.join()

    def _run(self) -> None:
        with self._stream, contextlib.suppress(ValueError):  # who ended the child has closed the pipe
            while line := self._stream.readline(4096):
                self._take(line)


def pour(chunks: Iterable[bytes], process: subprocess.Popen[bytes]) -> None:
    """Write everything to the child's stdin and close it. A child that ended early is no error here: see its status."""
    assert process.stdin is not None
    try:
        for chunk in chunks:
            process.stdin.write(chunk)
        process.stdin.close()
    except BrokenPipeError:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
