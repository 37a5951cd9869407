"""The HTTP server: sockets to ``Request``, ``Answer`` to sockets, in threads. Opened by the command line; decides nothing."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from reconciler.errors import ReconcilerError
from reconciler.web import connections, pages
from reconciler.web.access import Access, strong
from reconciler.web.address import Address
from reconciler.web.connections import HEAD, Connections, Incoming, TooMuchError
from reconciler.web.live import Live
from reconciler.web.messages import Answer, Refusal, Request
from reconciler.web.site import Site
from reconciler.web.webhook import Webhook

FIRST_LINE = 8192
"""Bytes of the line with method and path."""


class Listening(NamedTuple):
    """What ``run --listen`` was told. ``token`` and ``secret`` (of the webhook) are values, empty where there is none."""

    address: Address
    token: str = ""
    secret: str = ""


@contextmanager
def serving(listening: Listening, live: Live, wake: Callable[[], None]) -> Iterator[Address]:
    """Serve during the block; the address in use. ``wake`` makes the loop look for commits now; it must not wait.

    Raises ReconcilerError when the address cannot be had, or would be open to others without a token.
    """
    pages.prepare()
    access = Access.to(listening.address, listening.token)
    webhook = None
    if listening.secret:
        webhook = Webhook(strong(listening.secret, "the secret of the webhook"), wake, time.monotonic)
    handler = partial(_Handler, Site(live, access, webhook))
    try:
        server = Connections(listening.address, handler)  # type: ignore[arg-type]
    except OSError as error:
        raise ReconcilerError(
            f"cannot listen on {listening.address}: {error.strerror or error}; choose another address with --listen"
        ) from None
    thread = threading.Thread(target=server.accept, name="page", daemon=True)
    thread.start()
    try:
        yield Address(listening.address.host, server.server_port)
    finally:
        server.stop()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection: one request, one answer, the end."""

    protocol_version = "HTTP/1.1"
    rfile: io.BufferedReader

    def __init__(self, site: Site, *of_socketserver: Any) -> None:
        self._site = site
        self._sent = False
        super().__init__(*of_socketserver)

    def setup(self) -> None:
        """Read through bounds."""
        super().setup()
        self.rfile.close()
        self._incoming = Incoming(self.connection)
        self.rfile = io.BufferedReader(self._incoming)

    def handle(self) -> None:
        """Answer, if anything was asked. A client that goes away is no error."""
        self.close_connection = True
        self.requestline, self.request_version, self.command = "", self.protocol_version, ""
        try:
            if self._receive():
                self._send(self._site.answer(Request(self.command, self.path, self.headers, self._body)))
        except TooMuchError:
            self._fail(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"The request's headers are past {HEAD >> 10} KiB.",
            )
        except TimeoutError:
            self._fail(HTTPStatus.REQUEST_TIMEOUT, "The request took too long to come in.")
        except OSError:
            return
        except Exception:
            self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, "A mistake in the program: its log has more.")
            raise

    def _receive(self) -> bool:
        """Read the first line and the headers; what is wrong with them is answered at once."""
        self.raw_requestline = self.rfile.readline(FIRST_LINE + 1)
        if len(self.raw_requestline) > FIRST_LINE:
            self._fail(
                HTTPStatus.REQUEST_URI_TOO_LONG, "The address is too long: no page here has one like it."
            )
            return False
        return bool(self.raw_requestline) and self.parse_request()

    def handle_expect_100(self) -> bool:
        """A client that waits before it sends a body is told so when the body is wanted, not before."""
        return True

    def _body(self, most: int) -> bytes:
        """The body, of at most ``most`` bytes."""
        size = self._size()
        if size > most:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The body has {size} bytes; {most} are the most that is taken.",
            )
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
        self._incoming.room += size
        body = self.rfile.read(size)
        if len(body) < size:
            raise Refusal(HTTPStatus.BAD_REQUEST, "The body ended before its Content-Length.")
        return body

    def _size(self) -> int:
        told = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or not told:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "Send the body with its Content-Length.")
        if len(told) > 1 or not (told[0].isascii() and told[0].isdigit() and len(told[0]) < 16):
            raise Refusal(HTTPStatus.BAD_REQUEST, "The Content-Length is no number of bytes.")
        return int(told[0])

    def _fail(self, status: HTTPStatus, words: str) -> None:
        if not self._sent:
            try:
                self._send(self._site.failure(Refusal(status, words)))
            except OSError:
                return

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What http.server itself finds wrong with a request; ``explain`` is not for people."""
        self._fail(
            HTTPStatus(code),
            f"This is no request that can be answered: {message or HTTPStatus(code).phrase}.",
        )

    def _send(self, answer: Answer) -> None:
        self._sent = True
        self.request_version = self.protocol_version  # http.server sends no headers to what it cannot read
        self.connection.settimeout(connections.SECONDS)  # for all of it, since sendall counts so
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def version_string(self) -> str:
        """No versions for strangers."""
        return "reconciler"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """No log of requests: nothing that they do is worth one."""
