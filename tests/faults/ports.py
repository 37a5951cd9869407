"""Wrappers over the ports that name every call and make chosen ones fail: what the fault campaign is made with.

A call has an identity, a ``Site`` (port, method, subject, how many times before), which is the same in every run whatever the
threads do. A ``Switch`` records the sites of a run, or fails the call at one of them.
"""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self, TypeVar

from reconciler.adapters.ledger import Ledger
from reconciler.destinations.file import FileWriter
from reconciler.errors import EngineError, GitError, ReconcilerError, SourceError, StoreError, Unreachable
from reconciler.model import SourceReport
from reconciler.ports import (
    Clock,
    Container,
    Engine,
    Execution,
    Image,
    Reader,
    Service,
    Source,
    Store,
    Stored,
    Volume,
    Writer,
)
from reconciler.repository import Files, Join, Repository

T = TypeVar("T")
Kind = Literal["error", "unreachable", "full", "interrupt", "kill"]
WRITES = ("create", "put", "claim", "write", "commit", "create_volume", "write_volume", "load_image", "feed")
"""What needs room: the calls that fail at a full destination."""


class Killed(BaseException):
    """The process is dead: nothing that it still tries has an effect."""


class Site(NamedTuple):
    """One call: the port (``store a``, ``clock`` …), the method, what it is about, and how many such calls came before."""

    port: str
    method: str
    subject: str
    before: int


class Fault(NamedTuple):
    """What happens at a site: instead of the call, or ``after`` it took effect; once, or from then on (``lasting``).

    With ``dies`` the process is killed at that many calls to the same port later: while it cleans up.
    """

    kind: Kind
    after: bool = False
    lasting: bool = False
    dies: int = 0

    def __str__(self) -> str:
        words = [
            self.kind,
            "after" * self.after,
            "lasting" * self.lasting,
            f"dies {self.dies}" * bool(self.dies),
        ]
        return " ".join(filter(None, words))


class Switch:
    """Through which every call of a run goes. Without a fault it only records."""

    def __init__(self, site: Site | None = None, fault: Fault | None = None) -> None:
        self.site = site
        self.fault = fault
        self.sites: list[Site] = []
        self.tripped = False
        self._dead = False
        self._since = 0
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._writers: list[Writer] = []

    def call(
        self, port: str, method: str, subject: str, effect: Callable[[], T], broken: type[ReconcilerError]
    ) -> T:
        """Make the call, or fail it. ``broken`` is the error by which this port says that something went wrong."""
        hit = self._hits(port, method, subject)
        if hit and self.fault and not self.fault.after:
            self._strike(broken, port, subject)
        try:
            return effect()
        finally:
            if hit and self.fault and self.fault.after:
                self._strike(broken, port, subject)

    def quiet(
        self, port: str, method: str, subject: str, effect: Callable[[], None], lost: Callable[[], None]
    ) -> None:
        """A call that never raises an error of its own: a failing one does ``lost`` instead."""
        try:
            self.call(port, method, subject, effect, StoreError)
        except ReconcilerError:
            lost()

    def begun(self, writer: Writer) -> None:
        """A writer that a kill would leave behind."""
        self._writers.append(writer)

    def bury(self) -> None:
        """After a kill: close what the kernel would close, and undo nothing."""
        for writer in self._writers:
            let_go(writer)

    def _hits(self, port: str, method: str, subject: str) -> bool:
        with self._lock:
            if self._dead:
                raise Killed
            name = (port, method, subject)
            site = Site(*name, self._counts[name])
            self._counts[name] += 1
            self.sites.append(site)
            self._die_later(port)
            first = site == self.site
            again = self.tripped and self.fault is not None and self.fault.lasting and self._lasts(site)
            self.tripped = self.tripped or first
            return first or again

    def _die_later(self, port: str) -> None:
        if self.tripped and self.site and self.fault and self.fault.dies and port == self.site.port:
            self._since += 1
            if self._since == self.fault.dies:
                self._dead = True
                raise Killed

    def _lasts(self, site: Site) -> bool:
        """Whether a lasting fault holds for this later call."""
        assert self.site is not None
        assert self.fault is not None
        return site.port == self.site.port and (self.fault.kind != "full" or site.method in WRITES)

    def _strike(self, broken: type[ReconcilerError], port: str, subject: str) -> None:
        assert self.fault is not None
        match self.fault.kind:
            case "kill":
                with self._lock:
                    self._dead = True
                raise Killed
            case "interrupt":
                raise KeyboardInterrupt
            case "unreachable":
                raise (Unreachable if broken is StoreError else broken)(f"{port} cannot be used: planned")
            case "full":
                raise broken(f"{port}: write {subject}: no space left on device: planned")
            case "error":
                raise broken(f"{port}: {subject}: planned")


def let_go(writer: Writer) -> None:
    """Close a writer's files as the kernel does at the end of a process: what was written stays as it is."""
    if isinstance(writer, FileWriter) and writer._state != "done":
        writer._state = "done"
        with suppress(OSError):
            os.close(writer._file)
        with suppress(OSError):
            os.close(writer._folder)


class FaultyStore:
    """A Store."""

    def __init__(self, inner: Store, port: str, switch: Switch) -> None:
        self.inner = inner
        self._port = port
        self._switch = switch

    def _call(self, method: str, key: str, effect: Callable[[], T]) -> T:
        return self._switch.call(self._port, method, key, effect, StoreError)

    def list(self) -> Iterable[Stored]:
        return self._call("list", "", lambda: tuple(self.inner.list()))

    def read(self, key: str) -> Reader:
        return FaultyReader(
            self._call("read", key, lambda: self.inner.read(key)), self._port, key, self._switch
        )

    def get(self, key: str, limit: int = 1 << 20) -> bytes:
        return self._call("get", key, lambda: self.inner.get(key, limit))

    def create(self, key: str) -> Writer:
        begun: list[Writer] = []

        def begin() -> Writer:
            begun.append(self.inner.create(key))
            self._switch.begun(begun[0])
            return begun[0]

        try:
            return FaultyWriter(self._call("create", key, begin), self._port, key, self._switch)
        except BaseException:
            for writer in begun:  # nobody will ever hold it: what was begun stays at the destination
                let_go(writer)
            raise

    def put(self, key: str, data: bytes) -> None:
        self._call("put", key, lambda: self.inner.put(key, data))

    @property
    def exclusive(self) -> bool:
        return self.inner.exclusive

    def claim(self, key: str, data: bytes) -> bool:
        return self._call("claim", key, lambda: self.inner.claim(key, data))

    def delete(self, key: str) -> None:
        self._call("delete", key, lambda: self.inner.delete(key))

    def abandon(self, key: str) -> None:
        self._call("abandon", key, lambda: self.inner.abandon(key))

    def close(self) -> None:
        self.inner.close()


class FaultyWriter:
    """A Writer. A discard that fails leaves what was written."""

    def __init__(self, inner: Writer, port: str, key: str, switch: Switch) -> None:
        self._inner = inner
        self._about = port, key
        self._switch = switch

    def write(self, data: bytes) -> None:
        port, key = self._about
        self._switch.call(port, "write", key, lambda: self._inner.write(data), StoreError)

    def commit(self) -> None:
        port, key = self._about
        self._switch.call(port, "commit", key, self._inner.commit, StoreError)

    def discard(self) -> None:
        port, key = self._about
        self._switch.quiet(port, "discard", key, self._inner.discard, lambda: let_go(self._inner))


class FaultyReader:
    """A Reader."""

    def __init__(self, inner: Reader, port: str, key: str, switch: Switch) -> None:
        self._inner = inner
        self._about = port, key
        self._switch = switch

    def read(self, size: int, /) -> bytes:
        port, key = self._about
        return self._switch.call(port, "read on", key, lambda: self._inner.read(size), StoreError)

    def close(self) -> None:
        self._inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FaultySource:
    """A Source; opening it is a call of its own."""

    def __init__(self, begin: Callable[[], Source], port: str, subject: str, switch: Switch) -> None:
        self._about = port, subject
        self._switch = switch
        opened: list[Source] = []

        def open_it() -> Source:
            opened.append(begin())
            return opened[0]

        try:
            self._inner = switch.call(port, "open", subject, open_it, SourceError)
        except BaseException:
            for source in opened:
                source.close()
            raise

    def chunks(self) -> Iterator[bytes]:
        port, subject = self._about
        pieces = self._inner.chunks()
        while (
            piece := self._switch.call(port, "chunk", subject, lambda: next(pieces, None), SourceError)
        ) is not None:
            yield piece

    def finish(self) -> SourceReport:
        port, subject = self._about
        return self._switch.call(port, "finish", subject, self._inner.finish, SourceError)

    def close(self) -> None:
        self._inner.close()


class FaultyEngine:
    """An Engine."""

    def __init__(self, inner: Engine, switch: Switch) -> None:
        self._inner = inner
        self._switch = switch

    def _call(self, method: str, subject: str, effect: Callable[[], T]) -> T:
        return self._switch.call("engine", method, subject, effect, EngineError)

    def _source(self, method: str, subject: str, effect: Callable[[], Source]) -> Source:
        return FaultySource(effect, "engine", f"{method} {subject}", self._switch)

    def volume(self, name: str) -> Volume | None:
        return self._call("volume", name, lambda: self._inner.volume(name))

    def volumes(self) -> tuple[Volume, ...]:
        return self._call("volumes", "", self._inner.volumes)

    def create_volume(self, volume: Volume) -> None:
        self._call("create_volume", volume.name, lambda: self._inner.create_volume(volume))

    def remove_volume(self, name: str) -> None:
        self._call("remove_volume", name, lambda: self._inner.remove_volume(name))

    def is_here(self, volume: Volume) -> bool:
        return self._call("is_here", volume.name, lambda: self._inner.is_here(volume))

    def image(self, reference: str) -> Image | None:
        return self._call("image", reference, lambda: self._inner.image(reference))

    def images(self) -> tuple[Image, ...]:
        return self._call("images", "", self._inner.images)

    def containers(self) -> tuple[Container, ...]:
        return self._call("containers", "", self._inner.containers)

    def container(self, name: str) -> Container | None:
        return self._call("container", name, lambda: self._inner.container(name))

    def stop(self, container: str, timeout: float | None) -> None:
        self._call("stop", container, lambda: self._inner.stop(container, timeout))

    def start(self, container: str) -> None:
        self._call("start", container, lambda: self._inner.start(container))

    def pause(self, container: str) -> None:
        self._call("pause", container, lambda: self._inner.pause(container))

    def unpause(self, container: str) -> None:
        self._call("unpause", container, lambda: self._inner.unpause(container))

    def service(self, name: str) -> Service | None:
        return self._call("service", name, lambda: self._inner.service(name))

    def scale(self, service: str, replicas: int) -> None:
        self._call("scale", service, lambda: self._inner.scale(service, replicas))

    def execute(self, container: str, command: tuple[str, ...], how: Execution) -> int:
        return self._call("execute", container, lambda: self._inner.execute(container, command, how))

    def read_volume(self, name: str) -> Source:
        return self._source("read_volume", name, lambda: self._inner.read_volume(name))

    def write_volume(self, name: str, chunks: Iterable[bytes]) -> None:
        self._call("write_volume", name, lambda: self._inner.write_volume(name, chunks))

    def save_image(self, reference: str) -> Source:
        return self._source("save_image", reference, lambda: self._inner.save_image(reference))

    def load_image(self, chunks: Iterable[bytes]) -> None:
        self._call("load_image", "", lambda: self._inner.load_image(chunks))

    def run(self, container: str, command: tuple[str, ...], user: str = "") -> Source:
        return self._source("run", container, lambda: self._inner.run(container, command, user))

    def feed(self, container: str, command: tuple[str, ...], chunks: Iterable[bytes], user: str = "") -> None:
        self._call("feed", container, lambda: self._inner.feed(container, command, chunks, user))

    def close(self) -> None:
        self._inner.close()


class FaultyRepository:
    """A Repository."""

    def __init__(self, inner: Repository, switch: Switch) -> None:
        self._inner = inner
        self._switch = switch

    def _call(self, method: str, subject: str, effect: Callable[[], T]) -> T:
        return self._switch.call("git", method, subject, effect, GitError)

    def head(self) -> str | None:
        return self._call("head", "", self._inner.head)

    def changed(self, path: Path) -> bool:
        return self._call("changed", str(path), lambda: self._inner.changed(path))

    def read(self, branch: str, name: str) -> bytes | None:
        return self._call("read", name, lambda: self._inner.read(branch, name))

    def commit(
        self, branch: str, files: Files, message: str, time: datetime, join: Join | None = None
    ) -> str | None:
        return self._call("commit", branch, lambda: self._inner.commit(branch, files, message, time, join))


class FaultyLedger:
    """A Ledger outside git."""

    def __init__(self, inner: Ledger, switch: Switch) -> None:
        self._inner = inner
        self._switch = switch
        self.place = inner.place
        self.shared = inner.shared

    def read(self, name: str) -> bytes | None:
        return self._switch.call("ledger", "read", name, lambda: self._inner.read(name), ReconcilerError)

    def write(self, files: Mapping[str, bytes], message: str, time: datetime) -> str | None:
        effect = lambda: self._inner.write(files, message, time)  # noqa: E731
        return self._switch.call("ledger", "write", "", effect, ReconcilerError)


class FaultyClock:
    """A Clock. It cannot fail, but a process can end while it asks."""

    def __init__(self, inner: Clock, switch: Switch) -> None:
        self._inner = inner
        self._switch = switch

    def now(self) -> datetime:
        return self._switch.call("clock", "now", "", self._inner.now, ReconcilerError)

    def monotonic(self) -> float:
        return self._switch.call("clock", "monotonic", "", self._inner.monotonic, ReconcilerError)
