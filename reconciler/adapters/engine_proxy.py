"""A socket that lets the calls of `engine_calls` through to the Engine, and nothing else. Used by ``reconciler engine-proxy``.

Each request is read, judged and written anew, one to a connection, so that nothing can hide behind another one. Unlike the
usual proxies it passes on that one side of a command's stream has ended, without which no dump could be restored.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import BinaryIO, cast

from reconciler.adapters.engine_calls import Call, Refusal, checked, judge
from reconciler.adapters.engine_wire import UnixConnection
from reconciler.errors import EngineError

_CHUNK = 1 << 18
_LARGEST = 1 << 20  # bytes of a body that is judged
_TYPES = ("application/json", "application/tar", "application/x-tar")
_OURS = {"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"}


class Proxy(ThreadingMixIn, UnixStreamServer):
    """Listens at ``path`` for its own user alone. ``told`` gets a line for each call that is refused.

    Raises EngineError where it cannot listen.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: Path, engine: Path, told: Callable[[str], None], *, swarm: bool = False) -> None:
        self.engine = str(engine)
        self.told = told
        self.swarm = swarm
        before = os.umask(0o177)
        try:
            _remove_stale(path)
            super().__init__(str(path), _Relay)
        except OSError as error:
            raise EngineError(f"nothing can listen at {path}: {error.strerror or error}") from None
        finally:
            os.umask(before)

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that broke is the client's to report."""


def _remove_stale(path: Path) -> None:
    """Remove the socket of a proxy that was killed. Raises EngineError when one listens there."""
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return
    with socket.socket(socket.AF_UNIX) as asking, contextlib.suppress(ConnectionRefusedError):
        asking.connect(str(path))
        raise EngineError(f"something listens at {path} already: end it first, or give --listen another path")
    path.unlink()


class _Relay(BaseHTTPRequestHandler):
    """One connection: one request."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def handle(self) -> None:
        """Serve it, and close."""
        with contextlib.suppress(OSError, HTTPException):
            self.handle_one_request()

    def _serve(self) -> None:
        self.close_connection = True
        try:
            call = judge(self.command, self.path, swarm=self.server.swarm)
            body, headers = self._sent(call)
        except Refusal as why:
            said = f"refused: {self.command} {self.path.partition('?')[0][:200]!a}: {why}"
            self.server.told(said)
            self._answer(403, f"engine-proxy {said}")
            return
        connection = UnixConnection(self.server.engine)
        try:
            with contextlib.suppress(
                BrokenPipeError, ConnectionResetError
            ):  # refused early: the answer says why
                connection.request(self.command, self.path, body, headers)
            self._give(connection.getresponse(), connection.sock)
        except (FileNotFoundError, ConnectionRefusedError):
            self._answer(502, f"engine-proxy: no Engine listens at {self.server.engine}")
        finally:
            connection.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the names that the base class looks for

    def log_message(self, *_: object) -> None:
        """What is refused is told; the rest is the Engine's to log."""

    def _sent(self, call: Call) -> tuple[bytes | Iterator[bytes] | None, dict[str, str]]:
        """The body and the headers for the Engine. Raises Refusal."""
        headers = {"Host": "docker"}
        if (kind := self.headers.get("Content-Type", "")) in _TYPES:
            headers["Content-Type"] = kind
        if call.path == "/exec/NAME/start" and self.headers.get("Upgrade") == "tcp":
            headers |= {"Connection": "Upgrade", "Upgrade": "tcp"}
        else:
            headers["Connection"] = "close"
        size = self._size()
        if call.body is not None:
            if size is None or size > _LARGEST:
                raise Refusal("its body must have a length, of 1 MiB at most")
            return checked(call.body, self.rfile.read(size)), headers
        if size != 0 and not call.streams:  # old versions of the API took privileges in the body of a start
            raise Refusal("it takes no body")
        if size is None:
            return self._chunks(), headers
        if size:
            headers["Content-Length"] = str(size)
        return (self._bytes(size) if size else None), headers

    def _size(self) -> int | None:
        """Bytes of the body; None when it comes in chunks. Raises Refusal for what two readers could take for two things."""
        lengths = self.headers.get_all("Content-Length", [])
        coding = self.headers.get_all("Transfer-Encoding", [])
        if coding:
            if coding != ["chunked"] or lengths:
                raise Refusal("nobody can say where its body ends")
            return None
        if len(lengths) > 1 or not all(length.isascii() and length.isdigit() for length in lengths):
            raise Refusal("nobody can say where its body ends")
        return int(lengths[0]) if lengths else 0

    def _bytes(self, left: int) -> Iterator[bytes]:
        """That much of the body. Raises ConnectionAbortedError when less comes."""
        reader = cast("BinaryIO", self.rfile)
        while left:
            piece = reader.read(min(left, _CHUNK))
            if not piece:
                raise ConnectionAbortedError
            left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        """The body of chunks. Raises ConnectionAbortedError when it breaks off."""
        while True:
            head = self.rfile.readline(1024).partition(b";")[0].strip()
            if not head or len(head) > 8 or head.strip(b"0123456789abcdefABCDEF"):
                raise ConnectionAbortedError
            if not (size := int(head, 16)):
                return
            yield from self._bytes(size)
            if self.rfile.readline(3) != b"\r\n":
                raise ConnectionAbortedError

    def _give(self, response: HTTPResponse, engine: socket.socket) -> None:
        """Pass the answer on. A body that breaks off is cut for the client too."""
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in _OURS:
                self.send_header(name, value)
        if response.status == 101:
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", "tcp")
            self.end_headers()
            self._join(response, engine)
            return
        self.send_header("Connection", "close")
        chunked = response.length is None
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif response.status not in (204, 304):
            self.send_header("Content-Length", response.headers.get("Content-Length", str(response.length)))
        self.end_headers()
        if self.command != "HEAD":
            self._copy(response, chunked=chunked)

    def _copy(self, response: HTTPResponse, *, chunked: bool) -> None:
        while piece := response.read1(_CHUNK):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _join(self, response: HTTPResponse, engine: socket.socket) -> None:
        """Both ways until both have ended; the end of one way is passed on as such."""
        upward = threading.Thread(target=_pour, args=(self.rfile, engine), daemon=True)
        upward.start()
        _pour(cast("BinaryIO", response.fp), self.connection)
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RD)
        upward.join()

    def _answer(self, status: int, message: str) -> None:
        """An answer of our own, as the Engine writes errors."""
        body = json.dumps({"message": message}).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _pour(source: BinaryIO, sink: socket.socket) -> None:
    """Everything that comes, and then that nothing more comes."""
    with contextlib.suppress(OSError, ValueError):
        while piece := source.read1(_CHUNK):  # type: ignore[attr-defined]
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
