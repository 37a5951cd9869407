"""A command in a running container, run to its end within a time: what exec hooks are made of. Used by ``adapters.docker`` alone.

Every call has a deadline of its own, since an Engine may freeze at any of them. The Engine cannot end an exec, so three
things do: the shell around the command (see ``engine_exec``) when our connection is gone, signals to the processes that carry
our mark where they are on this machine, and a sweep for the mark in the container where they are not.
"""

from __future__ import annotations

import contextlib
import json
import threading
from http.client import HTTPException
from typing import Any, NamedTuple, Protocol

from reconciler.adapters import marked
from reconciler.adapters.clock import SystemClock
from reconciler.adapters.engine_exec import SUPERVISED, frames
from reconciler.adapters.engine_forms import Gone
from reconciler.adapters.engine_wire import Wire
from reconciler.adapters.secrets import guard
from reconciler.errors import EngineError, SourceError
from reconciler.ports import Execution
from reconciler.tail import Lines, Tail

_POLL = 0.05
_SHORT = 3.0  # seconds for a small call that comes after the time is up
_SWEEP = """\
for place in /proc/[0-9]*; do
  grep -qs "$1" "$place/environ" && kill -s KILL "${place#/proc/}"
done
exit 0
"""


class Calls(Protocol):
    """What this module needs of the Engine."""

    def ask(self, method: str, url: str, doing: str, seconds: float, body: object = None) -> Any:
        """A small call below the API's version; its answer. Raises Gone, EngineError."""

    def wire(self, doing: str) -> Wire:
        """A connection for a call that streams."""

    def url(self, path: str) -> str:
        """A path below the API's version, for a wire."""

    def ping(self, seconds: float) -> None:
        """Raises OSError, HTTPException when it does not answer."""


class _Seen(NamedTuple):
    """A container: which it is, its last start, and its state."""

    id: str
    started: str
    state: str


def execute(engine: Calls, container: str, command: tuple[str, ...], how: Execution) -> int:
    """Run ``command`` to its end; its exit code. Whatever happens, it does not outlive this call, unless it ended with 0.

    Raises EngineError when it could not be started, SourceError when it did not run to its end in time.
    """
    run = _Run(engine, container, how)
    try:
        code = run.through(command)
    except (SourceError, EngineError) as error:
        raise run.explained(error, gone=run.end()) from None
    except BaseException:
        run.end()
        raise
    if code:
        run.end()
    return code


class _Run:
    """One command."""

    def __init__(self, engine: Calls, container: str, how: Execution) -> None:
        self._engine = engine
        self._container = container
        self._how = how
        self._doing = f"running a command in container {container}"
        self._clock = SystemClock()
        self._until = self._clock.monotonic() + how.timeout
        self._mark = marked.new_mark()
        self._seen: _Seen | None = None
        self._exec = ""
        self._wire: Wire | None = None
        self._shell = False
        self._late = False
        self._last = Tail(512)

    def through(self, command: tuple[str, ...]) -> int:
        """Start it, give on what it says, and wait for its end. Raises SourceError, EngineError."""
        self._seen = self._look(self._left())
        if self._seen.state != "running":
            raise EngineError(f"container {self._container} is {self._seen.state}: it must run")
        self._shell = self._has_shell()
        self._exec = self._prepare(command)
        self._listen()
        code = self._code()
        if self._is_other(self._look(max(self._left(), _SHORT))):
            raise SourceError(self._changed)
        return code

    def explained(self, error: Exception, *, gone: bool) -> Exception:
        """Why it failed, in the order in which one thing leads to the other."""
        still = "" if gone else "; what it started could not be ended and may still run there"
        if not self._is_answering():
            return SourceError(
                f"the Docker Engine stopped answering while {self._doing} ({self._how.timeout:g} s were given){still}"
            )
        with contextlib.suppress(SourceError, EngineError):
            if self._seen and self._is_other(self._look(_SHORT)):
                return SourceError(self._changed)
        if self._late:
            return SourceError(
                f"the command in container {self._container} took longer than {self._how.timeout:g} s and was ended{still}: "
                "raise its timeout if it needs more"
            )
        return error

    def end(self) -> bool:
        """End what still runs of it. Whether nothing is left, as far as can be seen."""
        if self._wire is None:
            return True
        self._wire.close()
        if marked.find(self._mark):
            return marked.end(self._mark)
        with contextlib.suppress(SourceError, EngineError):
            return self._end_there()
        return False

    def _look(self, seconds: float) -> _Seen:
        """The container that has the name now. Raises EngineError."""
        try:
            found = self._engine.ask("GET", f"/containers/{self._container}/json", self._doing, seconds)
        except Gone:
            if self._seen:
                return _Seen("", "", "gone")
            raise EngineError(
                f"container {self._container} does not exist: docker ps -a shows those that do"
            ) from None
        guard(entry.partition("=")[::2] for entry in found["Config"].get("Env") or ())
        return _Seen(found["Id"], found["State"]["StartedAt"], found["State"]["Status"])

    def _is_other(self, now: _Seen) -> bool:
        assert self._seen is not None
        return now[:2] != self._seen[:2] or now.state not in ("running", "paused")

    @property
    def _changed(self) -> str:
        return f"container {self._container} was stopped, restarted or replaced while its command ran"

    def _has_shell(self) -> bool:
        assert self._seen is not None
        try:
            url = f"/containers/{self._seen.id}/archive?path=/bin/sh"
            self._engine.ask("HEAD", url, self._doing, self._left())
        except Gone:
            return False
        return True

    def _prepare(self, command: tuple[str, ...]) -> str:
        """An exec in that very container, whatever has its name by now; its id."""
        assert self._seen is not None
        wrapped = ("/bin/sh", "-c", SUPERVISED, "sh", *command) if self._shell else command
        environment = {**self._how.environment, marked.NAME: self._mark}
        return self._make(
            {
                "AttachStdin": self._shell,
                "AttachStdout": True,
                "AttachStderr": True,
                "Cmd": list(wrapped),
                "Env": [f"{name}={value}" for name, value in environment.items()],
                "User": self._how.user,
                "WorkingDir": self._how.workdir,
            },
            self._left(),
        )

    def _make(self, settings: dict[str, Any], seconds: float) -> str:
        assert self._seen is not None
        url = f"/containers/{self._seen.id}/exec"
        return str(self._engine.ask("POST", url, self._doing, seconds, settings)["Id"])

    def _listen(self) -> None:
        """Start it, and give each line on until it says no more."""
        wire = self._wire = self._engine.wire(self._doing)
        wire.limit(self._left())
        body = json.dumps({"Detach": False, "Tty": False}).encode()
        headers = {"Content-Type": "application/json", "Connection": "Upgrade", "Upgrade": "tcp"}
        wire.call("POST", self._engine.url(f"/exec/{self._exec}/start"), body, headers)
        lines: dict[int, Lines] = {}
        for stream, data in frames(wire, self._container):
            self._last.add(data)
            lines.setdefault(stream, Lines(self._how.said)).add(data)
            wire.limit(self._left())
        for heard in lines.values():
            heard.end()

    def _code(self) -> int:
        """Wait for its end. Raises SourceError when that is unknown, EngineError when it never began."""
        pause = threading.Event()
        while (state := self._state(self._left()))["Running"]:
            pause.wait(_POLL)
        if state["ExitCode"] is None:
            raise SourceError(
                f"how the command in container {self._container} ended is not known to the Engine"
            )
        if state["ExitCode"] and not state["Pid"]:
            raise EngineError(
                f"the command could not be started in container {self._container}: {self._last.text()}"
            )
        return int(state["ExitCode"])

    def _state(self, seconds: float) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._engine.ask("GET", f"/exec/{self._exec}/json", self._doing, seconds)
        except Gone:
            return {"Running": False, "ExitCode": None, "Pid": 0}
        return found

    def _left(self) -> float:
        """Seconds that are left. Raises SourceError when none are."""
        left = self._until - self._clock.monotonic()
        self._late = left <= 0
        if self._late:
            raise SourceError(f"{self._doing}: the time is up")
        return left

    def _is_answering(self) -> bool:
        with contextlib.suppress(SourceError):
            self._left()  # was it the time that ended it?
        try:
            self._engine.ping(_SHORT)
        except (OSError, HTTPException):
            return False
        return True

    def _end_there(self) -> bool:
        """The shell around it ends its group within seconds; then sweep what left the group. Raises EngineError."""
        gone = self._ends(marked.GRACE + _SHORT)
        if self._shell:
            argv = ["/bin/sh", "-c", _SWEEP, "sh", f"{marked.NAME}={self._mark}"]
            self._exec, ended = self._make({"Cmd": argv, "User": self._how.user}, _SHORT), self._exec
            self._engine.ask("POST", f"/exec/{self._exec}/start", self._doing, _SHORT, {"Detach": True})
            self._ends(_SHORT)
            self._exec = ended
            gone = self._ends(_POLL)
        return gone

    def _ends(self, seconds: float) -> bool:
        """Wait for the end of the exec that long. Whether it came."""
        pause = threading.Event()
        for _ in range(max(1, int(seconds / _POLL))):
            if not self._state(_SHORT)["Running"]:
                return True
            pause.wait(_POLL)
        return False
