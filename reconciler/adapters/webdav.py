"""Requests to one WebDAV server: retried, with errors in our own words. Used by ``destinations.webdav`` alone."""

from __future__ import annotations

import queue
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET

import msgspec

from reconciler.adapters import store
from reconciler.adapters.store import Place, reason
from reconciler.errors import StoreError

WAITING = 8
"""Pieces of an upload that may wait to be sent."""
ASKED = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/></prop></propfind>'
)
DAV = "{DAV:}"
WHY = {
    401: ("the user was refused", "check username and password"),
    403: ("access is denied", "give the user write access to the folder"),
    409: ("the folder above it does not exist", "make that folder"),
    413: ("the server does not take objects of this size", "raise its limit for uploads"),
    423: ("it is locked", "end the lock on the server"),
    507: ("no space left there", store.ADVICE[28]),
}


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, phrase: str) -> None:
        super().__init__(f"{phrase or 'refused'} ({status})")
        self.status = status


class Entry(msgspec.Struct, frozen=True):
    """One resource of a PROPFIND answer: its path on the server, its size in bytes (None for a folder)."""

    path: str
    size: int | None


class Server:
    """Requests about one folder of a server, retried, with errors in our own words. May be used by several threads."""

    def __init__(self, place: Place, http: Any, base: str, root: str) -> None:
        self.place = place
        self.http = http
        self.base = base
        self.root = root

    def url(self, key: str) -> str:
        """The address of an object; every character of its name is meant literally."""
        return self.base + quote(f"{self.root}/{key}")

    def folder_url(self, folder: str) -> str:
        """The address of a folder, which some servers answer to only with a slash at its end."""
        return self.url(folder).rstrip("/") + "/"

    @property
    def above(self) -> str:
        """The path of the folder that holds the root."""
        return self.root.rpartition("/")[0] + "/"

    def send(self, method: str, url: str, *, stream: bool = False, **content: Any) -> Any:
        """One request, once. Raises Refusal and httpx's errors."""
        answer = self.http.send(self.http.build_request(method, url, **content), stream=stream)
        if answer.status_code == 207 or answer.is_success:
            return answer
        answer.close()
        raise Refusal(answer.status_code, answer.reason_phrase)

    def call(self, what: str, key: str, method: str, *, url: str = "", **content: Any) -> Any:
        """The answer to an idempotent request about ``key``. Raises StoreError, with the Refusal as its cause."""
        with self.errors(what, key):
            return store.persist(lambda: self.send(method, url or self.url(key), **content), is_transient)

    def look(self, url: str, depth: int = 0) -> list[Entry]:
        """The resource at ``url`` and, with depth 1, what lies right below it; empty when there is no such resource."""
        headers = {"Depth": str(depth), "Content-Type": "application/xml"}
        what, name = "look at", unquote(url.removeprefix(self.base))
        try:
            answer = self.call(what, name, "PROPFIND", url=url, content=ASKED, headers=headers)
        except StoreError as error:
            if status_of(error) == 404:
                return []
            raise
        with self.errors(what, name):
            return entries_of(answer.content)

    def find(self, key: str) -> Entry | None:
        """The object ``key``, or None."""
        return next(iter(self.look(self.url(key))), None)

    @contextmanager
    def errors(self, what: str, key: str) -> Iterator[None]:
        """Turn errors of httpx and answers of the server into our own."""
        import httpx

        try:
            yield
        except Refusal as error:
            why, todo = WHY.get(error.status, (str(error), ""))
            if error.status == 401:
                raise self.place.unreachable(why, todo) from error
            if 300 <= error.status < 400:
                raise self.place.unreachable(f"the server points elsewhere: {why}", "mend the URL") from error
            raise self.place.error(what, key, why, todo) from error
        except (httpx.HTTPError, OSError) as error:
            raise self.place.unreachable(
                f"no answer: {reason(error)}", "check address and network"
            ) from error
        except (ET.ParseError, ValueError) as error:
            raise self.place.unreachable("its answer is not WebDAV", "check the URL") from error


class Upload:
    """One PUT of unknown length, sent by a thread of its own from a queue of bounded size."""

    def __init__(self, send: Callable[[Iterator[bytes]], Any]) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(WAITING)
        self._send = send
        self._error: Exception | None = None
        self._aborted = False
        self._thread = threading.Thread(target=self._run, name="webdav-upload", daemon=True)
        self._thread.start()

    def feed(self, chunk: bytes | None) -> None:
        """Send ``chunk`` next; None is the end. Waits while the queue is full. Raises what ended the request."""
        while self._thread.is_alive():
            with suppress(queue.Full):
                self._queue.put(chunk, timeout=0.2)
                return
        raise self._error or Refusal(0, "the server ended the upload early")

    def finish(self) -> None:
        """Wait for the server's answer. Raises what went wrong."""
        self.feed(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        """Break the request off: the server sees that its end is missing."""
        self._aborted = True
        with suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        self._queue.put_nowait(None)

    def join(self, seconds: float) -> None:
        """Wait until the request has ended, but not longer than that."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._send(self._chunks())
        except Exception as error:  # noqa: BLE001 (raised in the writer's thread)
            self._error = error

    def _chunks(self) -> Iterator[bytes]:
        while (chunk := self._queue.get()) is not None:
            yield chunk
        if self._aborted:
            raise Refusal(0, "the write was discarded")


def status_of(error: StoreError) -> int:
    """The HTTP status behind an error; 0 when the server did not answer."""
    return error.__cause__.status if isinstance(error.__cause__, Refusal) else 0


def is_transient(error: Exception) -> bool:
    """Whether the same request may succeed a moment later."""
    import httpx

    if isinstance(error, Refusal):
        return error.status in (423, 429, 500, 502, 503, 504)
    return isinstance(error, httpx.TransportError) and not isinstance(
        error.__cause__, ssl.SSLCertVerificationError
    )


def entries_of(answer: bytes) -> list[Entry]:
    """The resources of a PROPFIND answer, the requested one first. Raises ValueError when the answer is not whole."""
    found = []
    for element in ET.fromstring(answer).iter(f"{DAV}response"):  # noqa: S314 (expat itself limits how entities grow)
        status = element.findtext(f"{DAV}status", "HTTP/1.1 200").split()[1:2]
        if status != ["200"]:
            raise ValueError(status)
        path = unquote(re.sub("^https?://[^/]*", "", element.findtext(f"{DAV}href", ""))).rstrip("/")
        folder = element.find(f".//{DAV}resourcetype/{DAV}collection") is not None
        size = int(element.findtext(f".//{DAV}getcontentlength") or 0)
        found.append(Entry(path, None if folder else size))
    if not found:
        raise ValueError("no resource")
    return sorted(found, key=lambda entry: len(entry.path))


def below(entries: Sequence[Entry]) -> list[tuple[str, int | None]]:
    """Name and size of what lies right below the first entry. A proxy may have changed the paths, but all in one way.

    Raises ValueError when something else was listed.
    """
    found = []
    for entry in entries[1:]:
        folder, _, name = entry.path.rpartition("/")
        if folder != entries[0].path:
            raise ValueError(entry.path)
        found.append((name, entry.size))
    return found
