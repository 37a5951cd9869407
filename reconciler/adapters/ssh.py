"""SSH connections to one server whose host key is pinned, each with an SFTP session. Used by ``destinations.sftp`` alone."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from reconciler.adapters import store
from reconciler.adapters.store import Place, reason
from reconciler.errors import StoreError

if TYPE_CHECKING:
    from paramiko import SFTPClient, SSHClient

T = TypeVar("T")


class Session:
    """A connection of its own: paramiko's sessions may be used by one thread at a time."""

    def __init__(self, client: SSHClient, sftp: SFTPClient) -> None:
        self.client = client
        self.sftp = sftp

    def close(self) -> None:
        """End it, whatever its state."""
        with suppress(Exception):
            self.client.close()


class Server:
    """Sessions with one server: lent to one thread each, kept for the next, dropped after an error."""

    def __init__(
        self, place: Place, login: dict[str, Any], host_key: str | None, known_hosts: str | None
    ) -> None:
        self.place = place
        self.login = login
        self.host_key = host_key
        self.known_hosts = known_hosts
        self._idle: list[Session] = []

    @property
    def name(self) -> str:
        """The server as a known_hosts file names it."""
        host, port = self.login["hostname"], self.login["port"]
        return str(host) if port == 22 else f"[{host}]:{port}"

    def take(self) -> Session:
        """A session; the caller closes it or gives it back. Raises paramiko's errors."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def give_back(self, session: Session) -> None:
        """Keep a session that is in order."""
        self._idle.append(session)

    def run(self, what: str, key: str, call: Callable[[SFTPClient], T]) -> T:
        """The result of an idempotent ``call``; after a broken connection it is tried again. Raises StoreError."""

        def attempt() -> T:
            with self.lent() as sftp:
                return call(sftp)

        with self.errors(what, key):
            return store.persist(attempt, is_transient)

    @contextmanager
    def lent(self) -> Iterator[SFTPClient]:
        """A session for the block."""
        session = self.take()
        try:
            yield session.sftp
        except BaseException as error:
            if isinstance(error, FileNotFoundError):
                self.give_back(session)
            else:
                session.close()
            raise
        self.give_back(session)

    @contextmanager
    def errors(self, what: str, key: str) -> Iterator[None]:
        """Turn errors of paramiko into our own."""
        from paramiko import SSHException

        try:
            yield
        except StoreError:
            raise
        except (OSError, EOFError, SSHException, UnicodeDecodeError) as error:
            raise self.failure(what, key, error) from error

    def close(self) -> None:
        """End all idle sessions."""
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> Session:
        import logging

        import paramiko

        # Errors are raised to us: without a handler, paramiko would have them printed to stderr as well.
        logging.getLogger("paramiko").addHandler(logging.NullHandler())
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            self._pin(client)
            client.connect(**self.login, sock=self._dial())
            sftp = client.open_sftp()
            channel = sftp.get_channel()
            if channel is not None:
                channel.settimeout(self.login["timeout"])
        except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
            client.close()
            if not self.login["key_filename"]:
                raise
            why = f"private key file {self.login['key_filename']} cannot be read: {reason(error)}"
            raise self.place.unreachable(why) from error
        except BaseException:
            client.close()
            raise
        return Session(client, sftp)

    def _dial(self) -> socket.socket:
        """A TCP connection that sends small requests at once: else each waits for the acknowledgement of the last."""
        dialled = socket.create_connection(
            (self.login["hostname"], self.login["port"]), self.login["timeout"]
        )
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return dialled

    def _pin(self, client: SSHClient) -> None:
        """Make ``client`` accept the given host key alone."""
        import base64

        import paramiko

        if self.known_hosts is not None:
            try:
                client.load_host_keys(self.known_hosts)
            except OSError as error:
                why = f"known_hosts file {self.known_hosts} cannot be read: {reason(error)}"
                raise self.place.unreachable(why) from error
            return
        kind, _, rest = (self.host_key or "").strip().partition(" ")
        try:
            key = paramiko.PKey.from_type_string(
                kind, base64.b64decode(rest.partition(" ")[0], validate=True)
            )
        except Exception as error:
            why = "the option host_key is no public key as ssh-keyscan prints it"
            raise self.place.unreachable(why, "write it as: ssh-ed25519 AAAA…") from error
        client.get_host_keys().add(self.name, kind, key)

    def failure(self, what: str, key: str, error: Exception) -> StoreError:
        """The error in our own words."""
        import paramiko

        scan = f"compare it with what ssh-keyscan -p {self.login['port']} {self.login['hostname']} prints"
        if isinstance(error, paramiko.BadHostKeyException):
            why = f"its host key has changed: pinned {_fingerprint(error.expected_key)}, shown {_fingerprint(error.key)}"
            return self.place.unreachable(why, f"if that is right, pin the new one; {scan}")
        if isinstance(error, paramiko.AuthenticationException):
            user = self.login["username"] or "the present user"
            return self.place.unreachable(f"{user} was refused", "check user name, key and password")
        if isinstance(error, paramiko.SSHException) and "known_hosts" in str(error):
            return self.place.unreachable(f"{self.name} is not in {self.known_hosts}", f"add its key; {scan}")
        if isinstance(error, UnicodeDecodeError):
            return self.place.unreachable("a file there has a name that is not UTF-8", "rename it")
        if is_transient(error):
            return self.place.unreachable(f"no connection: {reason(error)}", "check address and network")
        if isinstance(error, OSError) and error.errno:
            return self.place.os_error(what, key, error)
        return self.place.error(what, key, reason(error), "check free space, quota and rights there")


def is_transient(error: Exception) -> bool:
    """Whether the connection failed, and not the request."""
    import paramiko

    if isinstance(error, (paramiko.AuthenticationException, paramiko.BadHostKeyException)):
        return False
    if isinstance(error, paramiko.SSHException):
        return "known_hosts" not in str(error)
    if isinstance(error, (EOFError, TimeoutError, ConnectionError)):
        return True
    return isinstance(error, socket.gaierror) or (isinstance(error, OSError) and "closed" in str(error))


def _fingerprint(key: Any) -> str:
    """``ssh-ed25519 SHA256:…``, as ssh prints it."""
    import base64
    import hashlib

    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    return f"{key.get_name()} SHA256:{digest}"
