"""A request and an answer, without sockets: what ``server`` reads and writes, and ``site`` decides."""

from __future__ import annotations

from collections.abc import Callable
from email.message import Message
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

HTML, TEXT, SVG, JSON = (
    "text/html; charset=utf-8",
    "text/plain; charset=utf-8",
    "image/svg+xml",
    "application/json",
)
_SAFE = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_POLICY = {
    HTML: (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    SVG: f"{_NOTHING}; style-src 'unsafe-inline'",  # its own colours; it has no scripts, and may have none
}


class Request(NamedTuple):
    """What was asked. ``read`` gives the body, at most so many bytes; it raises Refusal."""

    method: str
    target: str
    headers: Message
    read: Callable[[int], bytes]

    @property
    def parts(self) -> tuple[str, ...]:
        """The path, decoded and in pieces; the query means nothing here."""
        path = self.target.partition("?")[0].partition("#")[0]
        return tuple(unquote(part) for part in path.removeprefix("/").split("/"))

    @property
    def wants_page(self) -> bool:
        """Whether a browser asks."""
        return "text/html" in self.headers.get("Accept", "")


class Answer(NamedTuple):
    """What is answered. ``extra`` are headers beside those that every answer has."""

    body: bytes
    type: str = TEXT
    status: HTTPStatus = HTTPStatus.OK
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """All headers."""
        own = (("Content-Type", self.type), ("Content-Length", str(len(self.body))))
        return (*own, ("Content-Security-Policy", _POLICY.get(self.type, _NOTHING)), *_SAFE, *self.extra)


class Refusal(Exception):
    """A request that gets nothing. ``text`` says why and what to do, in plain words."""

    def __init__(self, status: HTTPStatus, text: str, *extra: tuple[str, str]) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.extra = extra


def text(content: str, status: HTTPStatus = HTTPStatus.OK, *extra: tuple[str, str]) -> Answer:
    """Plain words."""
    return Answer(f"{content}\n".encode(), TEXT, status, extra)
