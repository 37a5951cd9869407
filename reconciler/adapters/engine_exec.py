"""A command in a running container, read or fed. Used by ``adapters.docker`` alone.

The Engine has no call that ends an exec, so a small shell script around the command does: it ends the command's
whole process group as soon as our connection is gone, even when this process was killed.
"""

from __future__ import annotations

import contextlib
import json
import struct
import threading
from collections.abc import Iterable, Iterator
from typing import Protocol

from reconciler.adapters.engine_wire import CHUNK, Wire
from reconciler.errors import EngineError, SourceError
from reconciler.model import SourceReport
from reconciler.tail import Tail

STDOUT, STDERR = 1, 2

SUPERVISED = """\
ended=
exec 3<&0 </dev/null
trap 'ended=1' TERM
"$@" 3<&- &
child=$!
{ trap '' TERM; read -r _ <&3; kill -s TERM 0; sleep 5; kill -s KILL 0; } >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$child"
status=$?
while kill -s 0 "$child" 2>/dev/null; do wait "$child"; status=$?; done
[ -z "$ended" ] || kill -s KILL 0
{ kill -s KILL "$watch"; wait "$watch"; } 2>/dev/null
exit "$status"
"""
"""A script around a command. Our connection is its stdin: when that ends, `read` returns, and TERM, then KILL go to its group."""

# Data on stdin must not end in an EOF that looks like success: the process group's number is told, so that it can be killed.
_ANNOUNCED = 'echo "$$" >&2; exec "$@"'

_POLL_SECONDS = 0.05
_POLLS = 600


class Execs(Protocol):
    """What this module needs of the Engine: the small calls."""

    def make_exec(self, container: str, command: tuple[str, ...], user: str) -> str:
        """Prepare a command; its id."""

    def exec_state(self, exec_id: str) -> tuple[bool, int | None]:
        """(is it running, exit code)."""

    def wire(self, doing: str) -> Wire:
        """A connection for one exec."""

    def exec_url(self, exec_id: str) -> str:
        """Where an exec is started."""

    def incarnation(self, container: str) -> tuple[str, str]:
        """(id, time of start) of a running container. Raises EngineError when it does not run."""


def frames(wire: Wire, container: str) -> Iterator[tuple[int, bytes]]:
    """What a command says, as (stream, bytes). Raises SourceError when it breaks off inside a frame."""
    while head := wire.receive(8):
        stream, size = struct.unpack(">BxxxL", head) if len(head) == 8 else (0, -1)
        data = wire.receive(size) if size >= 0 else b""
        if len(data) != size:
            raise SourceError(f"the output of the command in container {container} broke off")
        yield stream, data


class Exec:
    """One command, started, with its output as frames of (stream, bytes)."""

    def __init__(self, engine: Execs, container: str, command: tuple[str, ...], user: str) -> None:
        self._engine = engine
        self._container = container
        self._id = engine.make_exec(container, command, user)
        self.wire = engine.wire(f"running a command in container {container}")
        body = json.dumps({"Detach": False, "Tty": False}).encode()
        headers = {"Content-Type": "application/json", "Connection": "Upgrade", "Upgrade": "tcp"}
        self.wire.call("POST", engine.exec_url(self._id), body, headers)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Everything that the command says. Raises SourceError when the stream breaks off inside a frame."""
        return frames(self.wire, self._container)

    def exit_code(self) -> int:
        """Wait for the end, 30 s at most. Raises SourceError when it does not come, or how it was is unknown."""
        pause = threading.Event()
        for _ in range(_POLLS):
            running, code = self._engine.exec_state(self._id)
            if not running:
                if code is None:
                    break
                return code
            pause.wait(_POLL_SECONDS)
        raise SourceError(
            f"the command in container {self._container} closed its output, but how it ended is not known"
        )


class ExecSource:
    """A ports.Source: the stdout of a command in a container."""

    def __init__(self, engine: Execs, container: str, command: tuple[str, ...], user: str) -> None:
        self._engine = engine
        self._container = container
        self._before = engine.incarnation(container)
        has_shell = command[0] == "/bin/sh" or _has_shell(engine, container)
        wrapped = ("/bin/sh", "-c", SUPERVISED, "sh", *command) if has_shell else command
        self._exec = Exec(engine, container, wrapped, user)
        self._said = Tail()
        self._wrote = Tail(1024)
        self._ended = False

    def chunks(self) -> Iterator[bytes]:
        """Its stdout in pieces of about 1 MiB. Raises SourceError, EngineError."""
        for chunk in _gathered(self._frames()):
            self._wrote.add(chunk)
            yield chunk

    def finish(self) -> SourceReport:
        """The verdict. Raises SourceError unless it exited with 0 in a container that was there all the time."""
        code = self._exec.exit_code()
        self._ended = True
        if code != 0:
            said = self._said.text() or self._wrote.text() or "it said nothing"
            raise SourceError(
                f"the command in container {self._container} ended with exit code {code}: {said}"
            )
        if self._engine.incarnation(self._container) != self._before:
            raise SourceError(f"container {self._container} was restarted or replaced while its command ran")
        return SourceReport()

    def close(self) -> None:
        """End the command, if it still runs, and wait until it is gone."""
        self._exec.wire.close()
        if not self._ended:
            self._ended = True
            with contextlib.suppress(SourceError, EngineError):
                self._exec.exit_code()

    def _frames(self) -> Iterator[bytes]:
        for stream, data in self._exec.frames():
            if stream == STDOUT:
                yield data
            else:
                self._said.add(data)


def feed(engine: Execs, container: str, command: tuple[str, ...], chunks: Iterable[bytes], user: str) -> None:
    """Run ``command`` with ``chunks`` on its stdin; when they break off, it is killed.

    Raises SourceError unless it exits with 0.
    """
    engine.incarnation(container)
    run = Exec(engine, container, ("/bin/sh", "-c", _ANNOUNCED, "sh", *command), user)
    listener = _Listener(run)
    try:
        group = listener.first_line()
        try:
            _pour(chunks, run.wire)
        except BaseException:
            _kill(engine, container, group, user)
            raise
        run.wire.end_input()
        listener.join()
        code = run.exit_code()
    finally:
        run.wire.close()
    if code != 0:
        said = listener.said.text() or "it said nothing"
        raise SourceError(f"the command in container {container} ended with exit code {code}: {said}")


class _Listener:
    """Reads what a fed command says, in a thread of its own: the first line of stderr, and the last words."""

    def __init__(self, run: Exec) -> None:
        self.said = Tail()
        self._run = run
        self._first = b""
        self._announced = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="exec output", daemon=True)
        self._thread.start()

    def first_line(self) -> str:
        """The number of the command's process group; empty when it never started."""
        self._announced.wait()
        return self._first.partition(b"\n")[0].decode(errors="replace").strip()

    def join(self) -> None:
        """Wait for the end of the output."""
        self._thread.join()

    def _listen(self) -> None:
        try:
            for stream, data in self._run.frames():
                self._take(stream, data)
        except (SourceError, EngineError) as error:
            self.said.add(str(error).encode())
        finally:
            self._announced.set()
            self._run.wire.end_input()  # the Engine reads no more: whoever is still sending must not wait for it

    def _take(self, stream: int, data: bytes) -> None:
        if stream == STDERR and not self._announced.is_set():
            self._first += data
            _, newline, data = self._first.partition(b"\n")
            if not newline:
                return
            self._announced.set()
        self.said.add(data)


def _pour(chunks: Iterable[bytes], wire: Wire) -> None:
    """Send everything. A command that wants no more is no error here: its exit code tells."""
    for chunk in chunks:
        try:
            wire.send(chunk)
        except BrokenPipeError:
            return


def _kill(engine: Execs, container: str, group: str, user: str) -> None:
    """Kill a process group in a container."""
    if group.isdigit():
        with contextlib.suppress(SourceError, EngineError):
            _ended_with(engine, container, ("/bin/sh", "-c", f"kill -s KILL -- -{group}"), user)


def _has_shell(engine: Execs, container: str) -> bool:
    return _ended_with(engine, container, ("/bin/sh", "-c", ":"), "") == 0


def _ended_with(engine: Execs, container: str, command: tuple[str, ...], user: str) -> int:
    run = Exec(engine, container, command, user)
    try:
        for _ in run.frames():
            pass
        return run.exit_code()
    finally:
        run.wire.close()


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Frames hold 32 KiB at most: gather them into pieces of about 1 MiB."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
