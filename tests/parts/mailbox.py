"""A real HTTP server that keeps what it gets, as a webhook and as a dead man's switch would get it."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class Post(NamedTuple):
    """One request."""

    method: str
    path: str
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Mailbox:
    """``port`` is where it listens, ``code`` what it answers; it answers only while ``open`` is set."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.code = 200
        self.got: list[Post] = []
        self.open = threading.Event()
        self.open.set()

    def taken(self) -> list[Post]:
        """What came since the last call."""
        taken, self.got = self.got, []
        return taken


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """One that listens on this machine during the block."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # apprise and pings send nothing else
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            box.got.append(Post(self.command, self.path, body))
            box.open.wait(30)
            self.send_response(box.code)
            self.send_header("Location", f"http://127.0.0.1:{box.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    box = Mailbox(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield box
    finally:
        box.open.set()
        server.shutdown()
        thread.join()
        server.server_close()
