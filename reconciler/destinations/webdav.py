"""``webdav://HOST[:PORT]/FOLDER``: copies on a WebDAV server such as Nextcloud, over HTTPS.

webdav4 brings the connections. Its own file objects collect uploads on disk first and list without asking whether an
answer is whole, so requests are made here. An object is written in the folder ``.parts`` and moved to its name.
"""

from __future__ import annotations

import hashlib
import queue
import re
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET

import msgspec
from msgspec import Meta

from reconciler.adapters import store
from reconciler.adapters.store import BaseReader, BaseStore, BaseWriter, Place, reason, reveal
from reconciler.errors import StoreError
from reconciler.model import Destination, Secret
from reconciler.model.fleet import SpecModel
from reconciler.ports import Reader, Store, Stored, Writer

PARTS = ".parts"
"""Folder of unfinished objects. A folder of their own, because some servers cannot list one in which a file is written."""
CHUNK = 1 << 20
"""Bytes in one piece of an upload."""
WAITING = 8
"""Pieces of an upload that may wait to be sent."""
SMALL = 4 << 20
"""An object of up to so many bytes is sent in one request of known length, which every server understands."""
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


class Options(SpecModel, frozen=True, kw_only=True, rename=None):
    """How to log in, and whom to trust."""

    username: Annotated[
        str | None,
        Meta(title="User name", description="Default: the one in the URL.", examples=["backup"]),
    ] = None
    password: Annotated[
        Secret | None,
        Meta(
            title="Password",
            description="Of the user; on Nextcloud an app password.",
            examples=[{"fromEnv": "WEBDAV_PASSWORD"}],
        ),
    ] = None
    ca_file: Annotated[
        str | None,
        Meta(
            title="CA file",
            description="PEM file of the authorities that may sign the server's certificate. Default: the system's.",
            examples=["/etc/ssl/certs/own-ca.pem"],
        ),
    ] = None
    tls: Annotated[
        bool,
        Meta(
            title="TLS",
            description="false speaks plain HTTP, which is allowed to a server on this machine alone.",
            examples=[True],
        ),
    ] = True


def open_store(destination: Destination) -> Store:
    """The store of the URL; connects at the first call. Raises Unreachable, SecretError."""
    place = Place(destination.name)
    given: dict[str, Any] = dict(destination.options)
    options = Options(**given)
    url, path = store.split_url(place, destination.url)
    if not options.tls and not _is_local(url.hostname or ""):
        raise place.unreachable(
            "plain HTTP would show the password to the network", "leave out the option tls"
        )
    base = f"{'https' if options.tls else 'http'}://{url.netloc.rpartition('@')[2]}"
    username = options.username or url.username
    fs = store.filesystem(
        place,
        "webdav",
        base_url=base,
        auth=(username, reveal(options.password) or "") if username else None,
        verify=ssl.create_default_context(cafile=options.ca_file) if options.tls else False,
        timeout=store.CALL_SECONDS,
        headers={"Accept-Encoding": "identity"},
    )
    return WebdavStore(Server(place, fs.client.http, base, unquote(path).rstrip("/")))


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


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
            return _entries(answer.content)

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


class WebdavStore(BaseStore):
    """A folder of the server. It is made at the first write, if the folder above it exists; before that it counts as empty."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.place.name)
        self._server = server
        self._has_parts = False

    def list(self) -> Iterable[Stored]:
        """Every object; unfinished ones are not visible.

        One request for each folder: many servers answer a request for all levels with one, and do not say so.
        """
        folders = [""]
        while folders:
            prefix = folders.pop()
            entries = self._server.look(self._server.folder_url(prefix), depth=1)
            if (
                not entries
                and not prefix
                and not self._server.look(self._server.base + quote(self._server.above))
            ):
                raise self._no_parent()
            with self._server.errors("list", prefix):
                found = _below(entries)
            folders += [
                f"{prefix}{name}/" for name, size in found if size is None and (prefix or name != PARTS)
            ]
            for name, size in found:
                if size is not None:
                    yield Stored(prefix + name, size)

    def _no_parent(self) -> StoreError:
        above = self._server.root.rpartition("/")[0] or "/"
        return self.place.unreachable(
            f"there is no folder {above} on the server", "mend the URL, or make the folder"
        )

    def read(self, key: str) -> Reader:
        """Open ``key``. Raises Missing."""
        try:
            answer = self._server.call("read", self.place.check(key), "GET", stream=True)
        except StoreError as error:
            if status_of(error) == 404:
                raise self.place.missing(key) from None
            raise
        return WebdavReader(self._server, key, answer)

    def create(self, key: str) -> Writer:
        """Begin to write ``key``. Raises StoreError."""
        self._need_folder(self.place.check(key).rpartition("/")[0])
        if not self._has_parts:
            self._need_folder(PARTS)
            self._has_parts = True
        return WebdavWriter(self._server, key)

    def _need_folder(self, folder: str) -> None:
        if not self._server.look(self._server.folder_url(folder)):
            self._make_folders(folder)

    def _make_folders(self, folder: str) -> None:
        """Make the root and the folders below it."""
        names = folder.split("/") if folder else []
        for depth in range(len(names) + 1):
            url = self._server.folder_url("/".join(names[:depth]))
            try:
                self._server.call("make the folder", folder, "MKCOL", url=url)
            except StoreError as error:
                if status_of(error) == 409 and not depth:
                    raise self._no_parent() from error
                if status_of(error) != 405:  # it exists
                    raise

    def delete(self, key: str) -> None:
        """Remove ``key``, and ask whether it is gone. Raises StoreError, also for a folder: WebDAV would remove all of it."""
        self._remove("delete", self.place.check(key))

    def abandon(self, key: str) -> None:
        """Remove the part file that an unfinished write left."""
        self._remove("clean up after", part_of(self.place.check(key)))

    def _remove(self, what: str, key: str) -> None:
        found = self._server.find(key)
        if found is None:
            return
        if found.size is None:
            raise self.place.error(what, key, "a folder stands where an object should be", "move it away")
        remove(self._server, what, key)
        if self._server.find(key):
            raise self.place.error(what, key, "it is still there", "look for a lock on the server")

    def close(self) -> None:
        """End connections. Safe twice."""
        self._server.http.close()


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


class WebdavWriter(BaseWriter):
    """Collects a small object; begins to send it once it is larger."""

    def __init__(self, server: Server, key: str) -> None:
        super().__init__(server.place, key)
        self._server = server
        self._part = part_of(key)
        self._buffer = bytearray()
        self._upload: Upload | None = None

    def _append(self, data: bytes) -> None:
        if self._upload is None:
            self._buffer += data
            if len(self._buffer) <= SMALL:
                return
            data = bytes(self._buffer)
            self._buffer.clear()
            self._upload = self._begin()
        with self._server.errors("write", self.key):
            for start in range(0, len(data), CHUNK):
                self._upload.feed(data[start : start + CHUNK])

    def _begin(self) -> Upload:
        server, url = self._server, self._server.url(self._part)
        return Upload(lambda chunks: server.send("PUT", url, content=chunks))

    def _publish(self) -> None:
        if self._upload is None:
            self._server.call("write", self._part, "PUT", content=bytes(self._buffer))
        else:
            with self._server.errors("write", self.key):
                self._upload.finish()
        size = self._size(self._part)
        if size != self.size:
            raise self.place.wrong_size(self.key, size, self.size)
        self._move()

    def _move(self) -> None:
        """Give the part file its name. If that seems to fail, see whether only the answer was lost."""
        headers = {"Destination": self._server.url(self.key), "Overwrite": "T"}
        try:
            self._server.call("write", self._part, "MOVE", headers=headers)
        except StoreError:
            if self._server.find(self._part) or self._size(self.key) != self.size:
                raise

    def _size(self, key: str) -> int:
        found = self._server.find(key)
        return (found.size or 0) if found else -1

    def _undo(self) -> None:
        self._buffer.clear()
        if self._upload is not None:
            self._upload.abort()
            self._upload.join(store.CALL_SECONDS)
        remove(self._server, "discard", self._part)

    def __del__(self) -> None:
        if self._upload is not None:
            self._upload.abort()


class WebdavReader(BaseReader):
    """Reads an object in one request."""

    def __init__(self, server: Server, key: str, answer: Any) -> None:
        self._server = server
        self._key = key
        self._answer = answer
        self._chunks: Iterator[bytes] = answer.iter_raw()
        self._rest = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes. Raises StoreError, also when the connection ends before the object."""
        with self._server.errors("read", self._key):
            while not self._rest:
                chunk = next(self._chunks, None)
                if chunk is None:
                    return b""
                self._rest = memoryview(chunk)
        data = bytes(self._rest[:size])
        self._rest = self._rest[size:]
        return data

    def close(self) -> None:
        """End the request. Safe twice."""
        self._answer.close()


def part_of(key: str) -> str:
    """Where ``key`` lies until it is whole."""
    return f"{PARTS}/{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def remove(server: Server, what: str, key: str) -> None:
    """Delete a resource; one that is gone already is no error."""
    try:
        server.call(what, key, "DELETE")
    except StoreError as error:
        if status_of(error) != 404:
            raise


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


def _entries(answer: bytes) -> list[Entry]:
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


def _below(entries: Sequence[Entry]) -> list[tuple[str, int | None]]:
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
