"""Connections that cannot be abused: one request each, bounded in number, time and size. Used by ``server``."""

from __future__ import annotations

import io
import socket
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from reconciler.web.address import Address

MOST = 32
"""Connections at once. When one more comes the oldest is cut off: a real one is over in milliseconds."""
SECONDS = 10.0
"""For a request to come in whole, and for its answer to go out."""
HEAD = 32 << 10
"""Bytes of a request's first line and headers together."""
DRAIN = 2.0
"""Seconds for which a body is read and thrown away, so that a client who sends it sees the answer."""
DRAINED = 4 << 20
"""Bytes of it."""


class TooMuchError(Exception):
    """A request is larger than it may be."""


class Incoming(io.RawIOBase):
    """What a client sends: within ``SECONDS`` in all, whatever the drops it comes in, and at most ``room`` bytes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._end = time.monotonic() + SECONDS
        self.room = HEAD

    def readable(self) -> bool:
        """As every stream that is read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises TimeoutError, TooMuchError, and OSError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if self.room <= 0:
            raise TooMuchError
        self._connection.settimeout(left)
        got = self._connection.recv_into(memoryview(buffer)[: self.room])
        self.room -= got
        return got


class Connections(ThreadingHTTPServer):
    """Listens at an address. A thread for each connection, of which there are at most ``MOST``."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: Address, handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: dict[socket.socket, None] = {}
        self._guard = threading.Lock()
        self._over = threading.Event()
        self.address_family, *_, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        super().__init__(place[:2], handler)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        """Bind; and ask no name server who we are, as http.server would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def accept(self) -> None:
        """Take connections until ``stop``. Without one there is nothing to do: no polling, as ``serve_forever`` has it."""
        while not self._over.is_set():
            try:
                request, client = self.get_request()
            except OSError:  # stopped; or there are too many open files, and it may be better soon
                self._over.wait(1.0)
                continue
            try:
                self.process_request(request, client)
            except RuntimeError:  # the machine has no thread left
                self._open.pop(request, None)
                self.close_request(request)

    def stop(self) -> None:
        """Have ``accept`` return, from another thread."""
        self._over.set()
        _cut(self.socket)  # wakes it

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own; a crowd loses its oldest."""
        with self._guard:
            self._open[request] = None
            oldest = next(iter(self._open)) if len(self._open) > MOST else None
            if oldest is not None:
                del self._open[oldest]
                _cut(oldest)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Its thread is done with it."""
        _drain(request)
        with self._guard:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's business; a mistake of ours is, with its traceback."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _drain(connection: socket.socket) -> None:
    """Read on for a moment what the client still sends: to close on it at once would take our answer from it."""
    end, left = time.monotonic() + DRAIN, DRAINED
    try:
        connection.shutdown(socket.SHUT_WR)
        while left > 0 and (wait := end - time.monotonic()) > 0:
            connection.settimeout(wait)
            got = len(connection.recv(1 << 16))
            if not got:
                return
            left -= got
    except OSError:
        return
