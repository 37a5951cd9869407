"""A page that is served on the loopback, a service to go with it, and a client that sends what it is told to."""

import http.client
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import unescape

from reconciler.model import Adopt, Plan, Recover
from reconciler.model.status import Status
from reconciler.web import Address, Listening, Live, serving
from tests.parts.process import free_port
from tests.report.example import NOW, PLANNED, actions, bad_day, outcomes, rest

TOKEN = "0123456789abcdef-token"
SECRET = "0123456789abcdef-secret"


@dataclass
class Hand:
    """A clock that a test turns."""

    moment: datetime = NOW
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def turn(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def words(self) -> str:
        """What a person reads of a page."""
        words = " ".join(unescape(re.sub(r"<[^>]+>", " ", self.text)).split())
        return re.sub(r" ([,.;])", r"\1", words)


@dataclass
class Served:
    """The page and its service."""

    address: Address
    live: Live
    clock: Hand
    woken: list[str] = field(default_factory=list)

    def ask(
        self,
        path: str = "/",
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection(self.address.host, self.address.port, timeout=10)
        connection.request(method, path, body, dict(headers or {}))
        told = connection.getresponse()
        answer = Answer(told.status, dict(told.getheaders()), told.read())
        connection.close()
        return answer

    def page(self, path: str = "/", **headers: str) -> Answer:
        """As a browser asks."""
        return self.ask(path, headers={"Accept": "text/html", **headers})

    def raw(self, data: bytes) -> bytes:
        """Send these bytes and nothing more; all that comes back before the end."""
        with self.connect() as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return everything(connection)

    def connect(self) -> socket.socket:
        connection = socket.create_connection((self.address.host, self.address.port), timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def everything(connection: socket.socket) -> bytes:
    """All that comes, up to the end or a reset."""
    got = b""
    try:
        while data := connection.recv(1 << 16):
            got += data
    except ConnectionResetError:
        pass
    return got


@contextmanager
def served(token: str = "", secret: str = "", status: Status | None = None) -> Iterator[Served]:
    """Serve it until the block ends."""
    clock = Hand()
    live = Live(clock, status)
    woken: list[str] = []
    listening = Listening(Address("127.0.0.1", free_port()), token, secret)
    with serving(listening, live, lambda: woken.append("now")) as address:
        yield Served(address, live, clock, woken)


def a_bad_day(live: Live, status: Status | None = None) -> None:
    """One whole tick of the example, then sleep."""
    live.began()
    live.planned(Plan(now=PLANNED, actions=tuple(actions().values()), notes=rest().notes))
    for outcome in outcomes():
        live.started(outcome.action)
        if not isinstance(outcome.action, Recover | Adopt):
            live.advanced(outcome.action.target, outcome.size)
        live.said("archive-pre in shop-db", "dumping <b>bold</b> tables")
        live.finished(outcome)
    live.ended(status or bad_day())
    live.waiting(60)
