"""What the destinations share: errors that read alike, retries, and the one import of fsspec (and through it s3fs).

Used by the modules in ``destinations/`` alone. Not a storage abstraction of its own: that is ``ports.Store``.
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

import msgspec

from reconciler.adapters.secrets import redact, resolve
from reconciler.errors import Corrupt, Missing, StoreError, Unreachable
from reconciler.model import Secret
from reconciler.ports import Reader, Writer

T = TypeVar("T")

ATTEMPTS = 5
"""How often an idempotent call is tried."""
PATIENCE = 45.0
"""Seconds after which no further attempt is begun."""
CALL_SECONDS = 20.0
"""Seconds without an answer after which a single call has failed: with PATIENCE, a dead server costs about a minute."""

ADVICE = {
    errno.ENOSPC: "free space there, or keep fewer copies",
    errno.EDQUOT: "raise the quota there, or keep fewer copies",
    errno.EROFS: "mount it writable",
    errno.EACCES: "give the user that runs reconciler access to it",
    errno.EPERM: "give the user that runs reconciler access to it",
    errno.EIO: "check the disk",
    errno.ENOTDIR: "a file or a link stands where a folder should be: move it away",
    errno.ELOOP: "a link stands where a file should be: move it away",
    errno.EISDIR: "a folder stands where a file should be: move it away",
    errno.ESTALE: "mount it again",
    errno.ENOTCONN: "mount it again",
}
EXTRAS = {"s3": "s3fs", "sftp": "paramiko", "webdav": "webdav4"}


class Place(msgspec.Struct, frozen=True):
    """A destination as its errors name it."""

    name: str

    def error(self, what: str, key: str, why: str, todo: str = "") -> StoreError:
        """What failed, for which object, why, and what to do. No secret survives."""
        return StoreError(self._text(f"{what} {key}", why, todo))

    def unreachable(self, why: str, todo: str = "") -> Unreachable:
        """The destination cannot be used at all."""
        return Unreachable(self._text("it cannot be used", why, todo))

    def missing(self, key: str) -> Missing:
        """The destination answered, and has no ``key``."""
        return Missing(self._text(f"read {key}", "there is no such object"))

    def os_error(self, what: str, key: str, error: OSError) -> StoreError:
        """The same for an error of the operating system, or of a server that answers like one."""
        return self.error(what, key, reason(error), ADVICE.get(error.errno or 0, ""))

    def wrong_size(self, key: str, found: int, wanted: int) -> StoreError:
        """What lies there is not as long as what was written."""
        return self.error("write", key, f"{wanted} bytes were written, {found} are there", "try again")

    def check(self, key: str) -> str:
        """``key`` itself, if it is a relative path that stays inside the destination. Raises StoreError."""
        segments = key.split("/")
        if any(segment in ("", ".", "..") for segment in segments) or "\0" in key or not _is_utf8(key):
            raise self.error("use", repr(key), "this is not the name of an object", "name it otherwise")
        return key

    def _text(self, what: str, why: str, todo: str = "") -> str:
        return redact(f"destination {self.name}: {what}: {why}" + (f"; {todo}" if todo else ""))


def reason(error: BaseException) -> str:
    """The text of an error without its number and its class."""
    text = (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _is_utf8(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(name: str) -> str:
    """A file name as the system gave it, with bytes that are not UTF-8 written out: such a name is never one of ours."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


class BaseReader(ABC):
    """A Reader that closes at the end of its ``with`` block."""

    @abstractmethod
    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes. Raises StoreError."""

    @abstractmethod
    def close(self) -> None:
        """Free everything. Safe twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BaseWriter(ABC):
    """A Writer that keeps count, refuses to commit after an error, and discards once.

    A kind implements ``_append``, ``_publish`` (durable, size checked) and ``_undo`` (may raise: nobody is told).
    """

    def __init__(self, place: Place, key: str) -> None:
        self.place = place
        self.key = key
        self.size = 0
        self._state = "open"

    def write(self, data: bytes) -> None:
        """Append ``data``. Raises StoreError; after that only ``discard`` may follow."""
        self._step("failed")
        self._append(data)
        self.size += len(data)
        self._state = "open"

    def commit(self) -> None:
        """Make the object appear. Raises StoreError."""
        self._step("failed")
        self._publish()
        self._state = "done"

    def discard(self) -> None:
        """Leave nothing behind, as far as possible. Never raises."""
        if self._state == "done":
            return
        self._state = "done"
        with suppress(Exception):  # what remains is a leftover, which the next run sweeps
            self._undo()

    def _step(self, state: str) -> None:
        """Enter a step that ends in ``state`` unless it succeeds."""
        if self._state != "open":
            raise self.place.error("write", self.key, "an earlier step of this write failed or ended it")
        self._state = state

    @abstractmethod
    def _append(self, data: bytes) -> None: ...

    @abstractmethod
    def _publish(self) -> None: ...

    @abstractmethod
    def _undo(self) -> None: ...


class ClaimingWriter(BaseWriter):
    """For stores that claim by a rename which replaces nothing: ``_publish_new`` is ``_publish`` unless there is an object."""

    def claim(self, data: bytes) -> bool:
        """Make ``data`` the object unless there is one; False when there is, and nothing is left of this. Raises StoreError."""
        try:
            self.write(data)
            self._step("failed")
            if not self._publish_new():
                return False
            self._state = "done"
            return True
        finally:
            self.discard()

    @abstractmethod
    def _publish_new(self) -> bool: ...


class BaseStore(ABC):
    """A Store whose small objects go through its readers and writers."""

    exclusive = True

    def __init__(self, name: str) -> None:
        self.place = Place(name)

    @abstractmethod
    def read(self, key: str) -> Reader:
        """Open ``key``. Raises Missing, StoreError."""

    @abstractmethod
    def create(self, key: str) -> Writer:
        """Begin to write ``key``. Raises StoreError."""

    def get(self, key: str, limit: int = 1 << 20) -> bytes:
        """The whole of a small object. Raises Missing, Corrupt, StoreError."""
        data = bytearray()
        with self.read(key) as reader:
            while len(data) <= limit and (chunk := reader.read(limit + 1 - len(data))):
                data += chunk
        if len(data) > limit:
            raise Corrupt(f"destination {self.place.name}: read {key}: it is larger than {limit} bytes")
        return bytes(data)

    def put(self, key: str, data: bytes) -> None:
        """Write a small object, atomically. Raises StoreError."""
        writer = self.create(key)
        try:
            writer.write(data)
            writer.commit()
        except BaseException:
            writer.discard()
            raise

    def claim(self, key: str, data: bytes) -> bool:
        """Write a small object unless there is another one. Raises StoreError."""
        return self._claim(key, data) or self._holds(key, data)

    @abstractmethod
    def _claim(self, key: str, data: bytes) -> bool:
        """The same, without a look at what is there: False also when it is our own. Raises StoreError."""

    def _holds(self, key: str, data: bytes) -> bool:
        """Whether exactly this lies there: an answer got lost, and the retry found the claim that it had made."""
        try:
            return self.get(key) == data
        except (Missing, Corrupt):
            return False


def reveal(secret: Secret | None) -> str | None:
    """The value of an option that is a secret; None when it was left out. Raises SecretError."""
    return None if secret is None else resolve(secret)


def split_url(place: Place, url: str) -> tuple[SplitResult, str]:
    """Host, port and user of a URL, and its path taken literally (``#`` and ``?`` too). Raises Unreachable."""
    protocol, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    parts = urlsplit(f"{protocol}://{authority}")
    try:
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise place.unreachable("its URL names no host", f"write it as {protocol}://HOST[:PORT]/FOLDER")
    if parts.password is not None:
        raise place.unreachable("its URL holds a password", "use the option password, with a reference")
    return parts, f"/{path}"


def persist(call: Callable[[], T], transient: Callable[[Exception], bool]) -> T:
    """The result of an idempotent ``call``, tried again with growing pauses while its errors are ``transient``."""
    import stamina

    stamina.instrumentation.set_on_retry_hooks(())  # the default writes a line to stderr for each retry
    for attempt in stamina.retry_context(
        on=transient, attempts=ATTEMPTS, timeout=PATIENCE, wait_initial=0.2, wait_jitter=0.2, wait_max=5
    ):
        with attempt:
            return call()
    raise AssertionError("the last attempt returns or raises")


def filesystem(place: Place, protocol: str, **options: Any) -> Any:
    """A new fsspec filesystem, not shared with anybody. Raises Unreachable when its library is missing."""
    import fsspec

    try:
        return fsspec.filesystem(protocol, skip_instance_cache=True, **options)
    except ImportError as error:
        raise not_installed(place, protocol) from error


def not_installed(place: Place, protocol: str) -> Unreachable:
    """The error for a destination whose library is an extra that was left out."""
    todo = f"install it: pip install 'reconciler[{protocol}]'"
    return place.unreachable(f"{protocol}:// needs {EXTRAS[protocol]}, which is not installed", todo)


def wait_for(fs: Any, call: Callable[..., Awaitable[T]], *args: Any, seconds: float = CALL_SECONDS) -> T:
    """The result of a coroutine function, run by the thread that serves the asynchronous filesystem ``fs``."""
    from fsspec.asyn import sync

    result: T = sync(fs.loop, call, *args, timeout=seconds)
    return result
