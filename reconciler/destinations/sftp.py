"""``sftp://[USER@]HOST[:PORT]/FOLDER``: copies on a machine that is reached by SSH, whose host key is pinned.

fsspec's SFTP filesystem trusts any host key, writes in place and cuts names at ``#``, so paramiko is used directly.
An object is written as ``KEY.part``, synced where the server can, and renamed.
"""

from __future__ import annotations

import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from reconciler.adapters import store
from reconciler.adapters.ssh import Server, Session, is_transient
from reconciler.adapters.store import BaseReader, BaseStore, ClaimingWriter, Place, reveal
from reconciler.errors import StoreError, Unreachable
from reconciler.model import Destination, Secret
from reconciler.model.base import SpecModel
from reconciler.naming import LEASE_FOLDER, PART
from reconciler.ports import Reader, Store, Stored, Writer

if TYPE_CHECKING:
    from paramiko import SFTPClient

WINDOW = 2 << 20
"""Bytes that are asked for at once when an object is read: as many as SSH lets a server send before we take any."""
PIECE = 32 << 10
"""Bytes of one request. Of a larger one paramiko puts the answers together by copying all of it for each of them."""
EXTENDED = 200
"""The SFTP request that carries an extension by name."""


class Options(SpecModel, frozen=True, kw_only=True, rename=None):
    """How to log in, and the host key: one of ``host_key`` and ``known_hosts`` is needed."""

    host_key: Annotated[
        str | None,
        Meta(
            title="Host key",
            description="The server's public key, as `ssh-keyscan` prints it without the host name.",
            examples=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2tqlbLXxz1aGZ9P1G8F3CqfYd1sXYhL8uQx0dV7n4m"],
        ),
    ] = None
    known_hosts: Annotated[
        str | None,
        Meta(
            title="Known hosts",
            description="Path of a known_hosts file that holds the server's key.",
            examples=["/etc/ssh/ssh_known_hosts"],
        ),
    ] = None
    username: Annotated[
        str | None,
        Meta(
            title="User name",
            description="Default: the one in the URL, else the user that runs reconciler.",
            examples=["backup"],
        ),
    ] = None
    password: Annotated[
        Secret | None,
        Meta(title="Password", description="Of the user.", examples=[{"fromEnv": "SFTP_PASSWORD"}]),
    ] = None
    private_key_file: Annotated[
        str | None,
        Meta(
            title="Private key file",
            description="Default, where there is no password either: the SSH agent and the keys in ~/.ssh.",
            examples=["/run/secrets/backup_ed25519"],
        ),
    ] = None
    passphrase: Annotated[
        Secret | None,
        Meta(
            title="Passphrase",
            description="Of the private key file.",
            examples=[{"fromFile": "/run/secrets/passphrase"}],
        ),
    ] = None
    timeout: Annotated[
        int,
        Meta(
            title="Timeout",
            description="Seconds without an answer after which the server counts as gone.",
            ge=1,
            le=600,
            examples=[20],
        ),
    ] = int(store.CALL_SECONDS)


def open_store(destination: Destination) -> Store:
    """The store of the URL; connects at the first call. Raises Unreachable, SecretError, ImportError without the extra."""
    import paramiko  # noqa: F401 - so that it is missing here, where that is told, and not at the first call

    place = Place(destination.name)
    given: dict[str, Any] = dict(destination.options)
    options = Options(**given)
    url, root = store.split_url(place, destination.url)
    if bool(options.host_key) == bool(options.known_hosts):
        todo = f"see it with: ssh-keyscan -p {url.port or 22} {url.hostname}"
        raise place.unreachable("exactly one of the options host_key and known_hosts is needed", todo)
    own_login = options.password is not None or options.private_key_file is not None
    login = {
        "hostname": url.hostname,
        "port": url.port or 22,
        "username": options.username or url.username,
        "password": reveal(options.password),
        "key_filename": options.private_key_file,
        "passphrase": reveal(options.passphrase),
        "allow_agent": not own_login,
        "look_for_keys": not own_login,
        "timeout": options.timeout,
        "banner_timeout": options.timeout,
        "auth_timeout": options.timeout,
        "channel_timeout": options.timeout,
    }
    return SftpStore(Server(place, login, options.host_key, options.known_hosts), root)


class SftpStore(BaseStore):
    """A folder of the server. It is made at the first write, if the folder above it exists; before that it counts as empty."""

    def __init__(self, server: Server, root: str) -> None:
        super().__init__(server.place.name)
        self._server = server
        self._root = root.rstrip("/")

    def list(self) -> Iterable[Stored]:
        """Every regular file, hidden ones too. Links are not followed and not listed."""
        return self._server.run("list", self._root, lambda sftp: list(self._walk(sftp)))

    def _walk(self, sftp: SFTPClient) -> Iterator[Stored]:
        folders = [""]
        while folders:
            prefix = folders.pop()
            try:
                entries = sftp.listdir_attr(self._path(prefix))
            except FileNotFoundError:
                if not prefix:
                    self._expect_parent(sftp)
                continue
            for entry in sorted(
                entries, key=lambda entry: entry.filename, reverse=True
            ):  # dots are popped first
                mode = entry.st_mode or 0
                if stat.S_ISDIR(mode):
                    folders.append(f"{prefix}{entry.filename}/")
                elif stat.S_ISREG(mode):
                    yield Stored(prefix + entry.filename, entry.st_size or 0)

    def read(self, key: str) -> Reader:
        """Open ``key``. Raises Missing."""
        path = self._path(self.place.check(key))
        try:
            with self._server.errors("read", key):
                return store.persist(lambda: SftpReader(self._server, key, path), is_transient)
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError) and not isinstance(error, Unreachable):
                raise self.place.missing(key) from None
            raise

    def create(self, key: str) -> Writer:
        """Begin to write ``key``. Raises StoreError."""
        path = self._path(self.place.check(key))
        self._server.run("create", key, lambda sftp: self._make_room(sftp, key, path))
        with self._server.errors("create", key):
            return SftpWriter(self._server, key, path)

    def _make_room(self, sftp: SFTPClient, key: str, path: str) -> None:
        """Make the folders of ``key``; remove the part file that a dead writer left."""
        try:
            sftp.stat(path.rpartition("/")[0] or "/")
        except FileNotFoundError:
            self._make_folders(sftp, key)
            return
        with suppress(FileNotFoundError):
            sftp.remove(path + PART)

    def _make_folders(self, sftp: SFTPClient, key: str) -> None:
        self._expect_parent(sftp)
        folders = key.split("/")[:-1]
        for depth in range(len(folders) + 1):
            path = self._path("/".join(folders[:depth]))
            try:
                sftp.mkdir(path, 0o700)
            except OSError:
                sftp.stat(path)  # it is there, or another writer made it: else this error is the clearer one

    def _expect_parent(self, sftp: SFTPClient) -> None:
        above = self._root.rpartition("/")[0] or "/"
        try:
            sftp.stat(above)
        except FileNotFoundError:
            todo = f"mount the disk there, or make the folder: mkdir -p {above}"
            raise self.place.unreachable(f"there is no folder {above} on {self._server.name}", todo) from None

    def _claim(self, key: str, data: bytes) -> bool:
        """By a part file that is nobody else's: another run may claim at the same moment."""
        path = self._path(self.place.check(key))
        part = f"{LEASE_FOLDER}{uuid.uuid4().hex}"
        for needed in (key, part):
            self._server.run("claim", key, partial(self._make_room, key=needed, path=self._path(needed)))
        with self._server.errors("claim", key):
            writer = SftpWriter(self._server, key, path, self._path(part) + PART)
        return writer.claim(data)

    def delete(self, key: str) -> None:
        """Remove ``key``, if it is there."""
        self._remove("delete", key, self._path(self.place.check(key)))

    def abandon(self, key: str) -> None:
        """Remove the part file that an unfinished write left."""
        self._remove("clean up after", key, self._path(self.place.check(key)) + PART)

    def _remove(self, what: str, key: str, path: str) -> None:
        def remove(sftp: SFTPClient) -> None:
            with suppress(FileNotFoundError):
                sftp.remove(path)

        self._server.run(what, key, remove)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}".rstrip("/") or "/"

    def close(self) -> None:
        """End connections. Safe twice."""
        self._server.close()


class SftpWriter(ClaimingWriter):
    """Writes a part file without waiting for each answer, and renames it."""

    def __init__(self, server: Server, key: str, path: str, part: str = "") -> None:
        super().__init__(server.place, key)
        self._server = server
        self._path = path
        self._part = part or path + PART
        self._session = server.take()
        self._held = b""
        try:
            self._file = self._session.sftp.open(self._part, "wx", bufsize=0)
            self._file.chmod(0o600)
            self._file.set_pipelined(True)
        except BaseException:
            self._session.close()
            raise

    def _append(self, data: bytes) -> None:
        if not data:
            return
        with self._server.errors("write", self.key):
            self._flush()
            self._file.write(data[:-1])
            self._held = data[-1:]

    def _flush(self) -> None:
        """Send the byte held back: paramiko tells the errors of earlier writes only when it makes a write that waits."""
        if self._held:
            self._file.write(self._held)
            self._held = b""

    def _publish(self) -> None:
        with self._server.errors("write", self.key):
            self._finish()
            self._rename(self._part)
        self._server.give_back(self._session)

    def _publish_new(self) -> bool:
        """A rename without OpenSSH's extension is refused where an object is: there it is a link."""
        sftp = self._session.sftp
        with self._server.errors("claim", self.key):
            self._finish()
            try:
                sftp.rename(self._part, self._path)
            except OSError:
                sftp.stat(self._path)  # it is there: else this error is the clearer one
                return False
        self._server.give_back(self._session)
        return True

    def _finish(self) -> None:
        """Everything on the server's disk, and as long as it should be."""
        self._file.set_pipelined(False)
        self._flush()
        self._sync()
        self._file.close()
        size = self._session.sftp.stat(self._part).st_size or 0
        if size != self.size:
            raise self.place.wrong_size(self.key, size, self.size)

    def _rename(self, part: str) -> None:
        """Give the part file its name. A server without OpenSSH's extension refuses that where an object is there."""
        sftp = self._session.sftp
        try:
            sftp.posix_rename(part, self._path)
        except OSError as error:
            if not _is_unsupported(error):
                raise
            sftp.rename(part, self._path)

    def _sync(self) -> None:
        """Have the server write the file to its disk, if it knows how."""
        sftp: Any = self._session.sftp
        try:
            sftp._request(EXTENDED, "fsync@openssh.com", self._file.handle)  # noqa: SLF001 (paramiko has no call for it)
        except OSError as error:
            if not _is_unsupported(error):
                raise

    def _undo(self) -> None:
        """Remove the part file, over another connection: the state of this one is not known."""
        self._session.close()
        with self._server.lent() as sftp:
            sftp.remove(self._part)


class SftpReader(BaseReader):
    """Reads an object in windows, each asked for at once, so that memory is bounded and latency is paid seldom."""

    def __init__(self, server: Server, key: str, path: str) -> None:
        self._server = server
        self._key = key
        self._session: Session | None = server.take()
        self._position = 0
        self._buffer = memoryview(b"")
        try:
            self._file = self._session.sftp.open(path, "r", bufsize=0)
            self._length = self._file.stat().st_size or 0
        except FileNotFoundError:
            server.give_back(self._session)
            raise
        except BaseException:
            self._session.close()
            raise

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes. Raises StoreError."""
        if not self._buffer and self._position < self._length:
            with self._server.errors("read", self._key):
                self._fill(min(WINDOW, self._length - self._position))
        chunk = bytes(self._buffer[:size])
        self._buffer = self._buffer[size:]
        return chunk

    def _fill(self, size: int) -> None:
        end = self._position + size
        starts = range(self._position, end, PIECE)
        window = b"".join(self._file.readv([(start, min(PIECE, end - start)) for start in starts]))
        if len(window) != size:
            raise EOFError("the object became shorter while it was read")
        self._position += size
        self._buffer = memoryview(window)

    def close(self) -> None:
        """End the session: answers that are still under way end with it."""
        session, self._session = self._session, None
        if session is None:
            return
        try:
            if self._position != self._length:
                raise EOFError
            self._file.close()
        except Exception:  # noqa: BLE001 (whatever state it is in, it is not used again)
            session.close()
        else:
            self._server.give_back(session)


def _is_unsupported(error: OSError) -> bool:
    """Whether the server does not know an extension."""
    return "support" in str(error).lower()
