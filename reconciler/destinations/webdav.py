"""``webdav://HOST[:PORT]/FOLDER``: copies on a WebDAV server such as Nextcloud, over HTTPS.

webdav4 brings the connections. Its own file objects collect uploads on disk first and list without asking whether an
answer is whole, so requests are made here. An object is written in the folder ``.parts`` and moved to its name.
"""

from __future__ import annotations

import hashlib
import ssl
import uuid
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import quote, unquote

from msgspec import Meta

from reconciler.adapters import store
from reconciler.adapters.store import BaseReader, BaseStore, ClaimingWriter, Place, reveal
from reconciler.adapters.webdav import Server, Upload, below, status_of
from reconciler.errors import StoreError
from reconciler.model import Destination, Secret
from reconciler.model.base import SpecModel
from reconciler.ports import Reader, Store, Stored, Writer

PARTS = ".parts"
"""Folder of unfinished objects. A folder of their own, because some servers cannot list one in which a file is written."""
CHUNK = 1 << 20
"""Bytes in one piece of an upload."""
SMALL = 4 << 20
"""An object of up to so many bytes is sent in one request of known length, which every server understands."""


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


class WebdavStore(BaseStore):
    """A folder of the server. It is made at the first write, if the folder above it exists; before that it counts as empty."""

    exclusive = False  # servers look first and move then

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
                found = below(entries)
            folders += [
                f"{prefix}{name}/" for name, size in found if size is None and (prefix or name != PARTS)
            ]
            folders.sort(reverse=True)  # dots are popped first
            for name, size in found:
                if size is not None:
                    yield Stored(prefix + name, size)

    def _no_parent(self) -> StoreError:
        why = f"there is no folder {self._server.above} on the server"
        return self.place.unreachable(why, "mend the URL, or make the folder")

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
        self._make_room(key)
        return WebdavWriter(self._server, key, part_of(key))

    def _claim(self, key: str, data: bytes) -> bool:
        """By a part file that is nobody else's: another run may claim at the same moment."""
        self._make_room(key)
        return WebdavWriter(self._server, key, part_of(f"{key} {uuid.uuid4().hex}")).claim(data)

    def _make_room(self, key: str) -> None:
        self._need_folder(self.place.check(key).rpartition("/")[0])
        if not self._has_parts:
            self._need_folder(PARTS)
            self._has_parts = True

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


class WebdavWriter(ClaimingWriter):
    """Collects a small object; begins to send it once it is larger."""

    def __init__(self, server: Server, key: str, part: str) -> None:
        super().__init__(server.place, key)
        self._server = server
        self._part = part
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
        self._finish()
        self._move()

    def _publish_new(self) -> bool:
        self._finish()
        headers = {"Destination": self._server.url(self.key), "Overwrite": "F"}
        try:
            self._server.call("claim", self._part, "MOVE", headers=headers)
        except StoreError as error:
            if status_of(error) != 412:
                raise
            return False
        return True

    def _finish(self) -> None:
        """The part file on the server, as long as it should be."""
        if self._upload is None:
            self._server.call("write", self._part, "PUT", content=bytes(self._buffer))
        else:
            with self._server.errors("write", self.key):
                self._upload.finish()
        size = self._size(self._part)
        if size != self.size:
            raise self.place.wrong_size(self.key, size, self.size)

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
