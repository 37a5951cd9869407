"""One connection to the Engine's socket for one call that streams. Used by ``adapters.docker`` and ``adapters.engine_exec``.

The Docker library switches timeouts off for streams and may lose the first bytes of an exec; here every stream has
a watchdog. It asks an Engine that has been silent whether it is alive, and cuts the connection when it is not, so
that a slow command may take its time and a frozen Engine cannot hold a run for ever.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterable, Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from io import BufferedReader
from typing import Any

from reconciler.adapters.engine_forms import Gone
from reconciler.errors import EngineError

CHUNK = 1 << 20
IDLE = 60.0
"""Seconds of silence after which the Engine must have proved that it lives."""


class UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float | None = None) -> None:
        super().__init__("localhost")
        self._path = path
        self.timeout = timeout

    def connect(self) -> None:
        """Raises OSError when nothing listens."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Wire:
    """One call. ``doing`` says in messages what it is for, such as ``reading volume shop``."""

    def __init__(self, path: str, doing: str, idle: float = IDLE) -> None:
        self._path = path
        self._doing = doing
        self._idle = idle
        self._connection = UnixConnection(path)
        self._socket: socket.socket | None = None
        self._response: HTTPResponse | None = None
        self._raw: BufferedReader | None = None
        self._moved = 0
        self._lost = False
        self._done = threading.Event()

    def limit(self, seconds: float) -> None:
        """From now on nothing waits longer than that for the Engine: it raises EngineError instead."""
        self._connection.timeout = seconds
        if self._socket is not None:
            self._socket.settimeout(seconds)

    def call(
        self,
        method: str,
        url: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> HTTPResponse:
        """Send the request with all of its body and wait for the answer's head. Raises EngineError, or what ``body`` raises."""
        try:
            with self._translated():
                self._connection.connect()
                self._socket = self._connection.sock
                threading.Thread(target=self._watch, name="engine watch", daemon=True).start()
                with contextlib.suppress(
                    BrokenPipeError, ConnectionResetError
                ):  # refused early: the answer says why
                    sent = body if isinstance(body, bytes | None) else self._counted(body)
                    self._connection.request(method, url, sent, headers or {})
                self._response = self._connection.getresponse()
                self._raw = self._response.fp
                if self._response.status >= 400:
                    said = _message(self._response)
                    raise EngineError(f"the Docker Engine refused while {self._doing}: {said}")
                return self._response
        except BaseException:
            self.close()
            raise

    def chunks(self) -> Iterator[bytes]:
        """The answer's body in pieces of 1 MiB. Raises EngineError when it breaks off."""
        assert self._response is not None
        while True:
            with self._translated():
                chunk = self._response.read(CHUNK)
            self._moved += 1
            if not chunk:
                return
            yield chunk

    def receive(self, size: int) -> bytes:
        """Exactly ``size`` bytes of a raw stream, fewer only at its end. Raises EngineError when the Engine is lost."""
        assert self._raw is not None
        with self._translated():
            data = self._raw.read(size)
            if self._lost:
                raise EngineError(self._silence)
        self._moved += 1
        return data

    def send(self, data: bytes) -> None:
        """Write to a raw stream. Raises BrokenPipeError when the other side wants no more, EngineError when it is lost."""
        assert self._socket is not None
        try:
            self._socket.sendall(data)
        except OSError as error:
            if self._lost:
                raise EngineError(self._silence) from None
            raise BrokenPipeError from error
        self._moved += 1

    def end_input(self) -> None:
        """Tell the other side of a raw stream that nothing more comes."""
        assert self._socket is not None
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End the call, whatever its state. Safe twice."""
        self._done.set()
        self._cut()
        if self._response is not None:
            self._response.close()
        self._connection.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of the connection as EngineError. A ValueError comes when another thread closes what this one reads."""
        try:
            yield
        except (OSError, HTTPException, ValueError) as error:
            if self._lost:
                raise EngineError(self._silence) from None
            reason = str(error) or type(error).__name__
            raise EngineError(
                f"the connection to the Docker Engine broke while {self._doing}: {reason}"
            ) from None

    @property
    def _silence(self) -> str:
        return (
            f"the Docker Engine at unix://{self._path} stopped answering while {self._doing}:"
            f" nothing came for {self._idle:.0f} s; look at its log and restart it"
        )

    def _counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk
            self._moved += 1

    def _watch(self) -> None:
        seen = -1
        while not self._done.wait(self._idle / 2):
            if seen == self._moved and not self._alive():
                self._lost = True
                self._cut()
                return
            seen = self._moved

    def _alive(self) -> bool:
        try:
            ping(self._path, min(10.0, self._idle / 2))
        except (OSError, HTTPException):
            return False
        return True

    def _cut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def ping(path: str, seconds: float) -> None:
    """Ask the Engine whether it lives. Raises OSError, HTTPException when it does not say so within ``seconds``."""
    connection = UnixConnection(path, seconds)
    try:
        connection.request("GET", "/_ping")
        if connection.getresponse().status != 200:
            raise OSError("it is not well")
    finally:
        connection.close()


def ask(path: str, method: str, url: str, doing: str, seconds: float, body: object = None) -> Any:
    """A small call; its answer, out of JSON. Unlike the library's it waits ``seconds``, and no longer.

    Raises Gone for what does not exist, EngineError.
    """
    connection = UnixConnection(path, seconds)
    sent = None if body is None else json.dumps(body)
    try:
        connection.request(method, url, sent, {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status == 404:
            raise Gone(f"the Docker Engine knows nothing of it, while {doing}: {_message(response)}")
        if response.status >= 400:
            raise EngineError(f"the Docker Engine refused while {doing}: {_message(response)}")
        answer = response.read()
        return json.loads(answer) if answer else None
    except TimeoutError:
        raise EngineError(f"the Docker Engine at unix://{path} does not answer, while {doing}") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise EngineError(f"the Docker Engine cannot be reached while {doing}: {reason}") from None
    finally:
        connection.close()


def _message(response: HTTPResponse) -> str:
    """What the Engine said about an error."""
    text = response.read(10_000).decode(errors="replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip() or f"HTTP status {response.status}"
