"""The four ports through which every effect goes: storage, Engine, git and clock; and what plug-ins must offer.

Adapters and destinations implement them, phases use them, and a fault campaign can wrap them and number every call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import msgspec

from reconciler.journal import Journal
from reconciler.model import Action, Destination, Outcome, Probe, SourceReport, TargetId, Uses
from reconciler.model.restores import NO_FACTS, Traces


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """The present, in UTC, whole seconds."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment, for durations."""


class Stored(msgspec.Struct, frozen=True):
    """One object of a listing: key relative to the root, size in bytes."""

    key: str
    size: int


class Writer(Protocol):
    """One object being written. Nothing is observable under its key before ``commit`` returns.

    Exactly one of ``commit`` and ``discard`` ends it; after any error only ``discard`` may follow.
    """

    def write(self, data: bytes) -> None:
        """Append ``data``. Raises StoreError."""

    def commit(self) -> None:
        """Make the object appear, whole and durable, and check its size. Raises StoreError."""

    def discard(self) -> None:
        """Leave nothing behind, as far as the destination lets us. Never raises; safe twice."""


class Reader(Protocol):
    """One object being read, from its beginning."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, at least one before the end; empty at the end. Raises StoreError."""

    def close(self) -> None:
        """Free the connection. Safe twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Store(Protocol):
    """One destination, opened. Keys are relative paths with ``/``; any UTF-8 name is taken literally, globs included.

    Every method raises Unreachable when the destination cannot be used at all, StoreError for other failures.
    Messages name the destination and the key, never a secret.
    """

    @property
    def exclusive(self) -> bool:
        """Whether ``claim`` is atomic here, as far as is known after the first one."""

    def list(self) -> Iterable[Stored]:
        """Every object, in one pass and uncached; parts of unfinished writes included where they are visible.

        What lies in folders whose name begins with a dot is looked at before the rest.
        """

    def read(self, key: str) -> Reader:
        """Open ``key``. Raises Missing."""

    def get(self, key: str, limit: int = 1 << 20) -> bytes:
        """The whole of a small object. Raises Missing; Corrupt when it is larger than ``limit`` bytes."""

    def create(self, key: str) -> Writer:
        """Begin to write ``key``. Folders are made as needed. Writing over a committed object replaces it at commit."""

    def put(self, key: str, data: bytes) -> None:
        """Write a small object, atomically and durably."""

    def claim(self, key: str, data: bytes) -> bool:
        """The same unless ``key`` is there: False when it is, with other bytes. Of many at once one succeeds."""

    def delete(self, key: str) -> None:
        """Remove ``key`` for sure: an object that is gone already is no error, one that stays is. Names are never globs."""

    def abandon(self, key: str) -> None:
        """Remove what an unfinished write of ``key`` left (part files, open uploads), not the object itself."""

    def close(self) -> None:
        """End connections. Safe twice."""


class Volume(msgspec.Struct, frozen=True):
    """A volume. ``mountpoint`` is a path on the Engine's host, which may be another machine than ours."""

    name: str
    mountpoint: str
    driver: str = "local"
    labels: dict[str, str] = {}
    options: dict[str, str] = {}


class Image(msgspec.Struct, frozen=True):
    """A local image: id ``sha256:…``, tags and registry digests; size in bytes."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size: int = 0


class Mount(msgspec.Struct, frozen=True):
    """A mount of a container. ``type`` is volume, bind or tmpfs; ``name`` is the volume's, else empty.

    ``source`` is a path on the Engine's host, empty for tmpfs; ``destination`` is a path in the container.
    """

    type: str
    destination: str
    name: str = ""
    source: str = ""
    writable: bool = True


class Container(msgspec.Struct, frozen=True):
    """A container. ``volumes`` are the names of the volumes it mounts; ``state`` is the Engine's word, as ``running``.

    Of a listing, ``mounts`` lack tmpfs mounts that ``--tmpfs`` made, and what stands behind ``labels`` is unknown: ask for the
    container itself. ``started`` is the Engine's time of its last start, ``health`` is empty without a health check, else
    starting, healthy or unhealthy; ``pid`` is its first process on the Engine's host, 0 when it does not run. ``auto_remove``:
    it vanishes when it stops (``--rm``). ``stop_timeout``: seconds that it gets to stop. ``folder`` is where the Engine keeps
    what it knows of it, on the Engine's host; empty before its first start. ``variables``: names in its environment.
    """

    id: str
    name: str
    state: str
    volumes: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    labels: dict[str, str] = {}
    image: str = ""
    started: str = ""
    health: str = ""
    pid: int = 0
    auto_remove: bool = False
    stop_timeout: float = 10.0
    folder: str = ""
    variables: tuple[str, ...] = ()

    @property
    def service(self) -> str:
        """The Swarm service that it is a task of; empty without one."""
        return self.labels.get("com.docker.swarm.service.name", "")

    @property
    def is_up(self) -> bool:
        """Whether its processes exist: it runs, is paused, or is about to run again."""
        return self.state in ("running", "paused", "restarting")


class Service(msgspec.Struct, frozen=True):
    """A Swarm service. ``replicas`` is None in global mode; ``running`` counts the tasks that run, ``ending`` those that end.

    ``labels`` are its own, which its containers do not carry.
    """

    id: str
    name: str
    replicas: int | None
    running: int
    labels: dict[str, str] = {}
    ending: int = 0


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """How ``Engine.execute`` runs a command. ``timeout`` in seconds; ``said`` gets each line of stdout and stderr."""

    timeout: float
    said: Callable[[str], None]
    user: str = ""
    environment: Mapping[str, str] = {}
    workdir: str = ""


class Source(Protocol):
    """Something being read for a backup, or out of the Engine: chunks of bytes, then a verdict."""

    def chunks(self) -> Iterator[bytes]:
        """The bytes, in order, in pieces of at most 1 MiB or so. Raises SourceError."""

    def finish(self) -> SourceReport:
        """After the last chunk: the verdict. Raises SourceError when what was read is not whole."""

    def close(self) -> None:
        """Free everything: processes, connections, scratch containers. Safe twice, and at any time."""


class Engine(Protocol):
    """The Docker Engine. Every method raises EngineError when it cannot be reached or refuses."""

    def volume(self, name: str) -> Volume | None:
        """The volume called ``name``; None when there is none."""

    def volumes(self) -> tuple[Volume, ...]:
        """All volumes."""

    def create_volume(self, volume: Volume) -> None:
        """Make a volume with the driver, labels and options given; the mountpoint is the Engine's choice."""

    def remove_volume(self, name: str) -> None:
        """Remove a volume with its data; one that is gone already is no error, one that a container uses is."""

    def is_here(self, volume: Volume) -> bool:
        """Whether the mountpoint is a folder of this machine and really is the volume, as the Engine itself sees it."""

    def image(self, reference: str) -> Image | None:
        """The local image that ``reference`` names; None when there is none."""

    def images(self) -> tuple[Image, ...]:
        """All local images."""

    def containers(self) -> tuple[Container, ...]:
        """All containers, stopped ones included."""

    def container(self, name: str) -> Container | None:
        """One container by name or id, with everything that is known of it; None when there is none."""

    def stop(self, container: str, timeout: float | None) -> None:
        """Stop it; after ``timeout`` seconds (None: its own) it is killed. One that is stopped already is no error."""

    def start(self, container: str) -> None:
        """Start it. One that runs already is no error."""

    def pause(self, container: str) -> None:
        """Freeze its processes. One that is paused already is no error."""

    def unpause(self, container: str) -> None:
        """Let its processes go on. One that is not paused is no error."""

    def service(self, name: str) -> Service | None:
        """A Swarm service by name or id; None when there is none, or the Engine is no Swarm manager."""

    def scale(self, service: str, replicas: int) -> None:
        """Ask for so many tasks of a replicated service; does not wait."""

    def execute(self, container: str, command: tuple[str, ...], how: Execution) -> int:
        """Run ``command`` in a running container to its end; its exit code.

        After ``how.timeout`` seconds, and whenever this call is left, the command and its children are killed in the
        container. Raises SourceError for a timeout, a container that was stopped, restarted or replaced meanwhile, or an
        Engine that stopped answering; EngineError when it could not be started.
        """

    def read_volume(self, name: str) -> Source:
        """A tar of a volume's content, through a container that is created and never started."""

    def write_volume(self, name: str, chunks: Iterable[bytes]) -> None:
        """Unpack a tar into a volume, through a container that is created and never started."""

    def save_image(self, reference: str) -> Source:
        """What ``docker save`` writes."""

    def load_image(self, chunks: Iterable[bytes]) -> None:
        """Read what ``docker save`` wrote."""

    def run(self, container: str, command: tuple[str, ...], user: str = "") -> Source:
        """The stdout of ``command`` in a running container. ``finish`` raises SourceError unless it ended with 0."""

    def feed(self, container: str, command: tuple[str, ...], chunks: Iterable[bytes], user: str = "") -> None:
        """Run ``command`` in a running container with ``chunks`` on its stdin. Raises SourceError unless it ends with 0."""

    def close(self) -> None:
        """End connections. Safe twice."""


class Host(msgspec.Struct, frozen=True):
    """What a target may use to reach its data. ``engine`` connects at its first call; ``base`` is the folder of ``backup.d``."""

    engine: Callable[[], Engine]
    base: Path


class Sink(Protocol):
    """Where a restore goes. ``check`` → ``receive`` → ``commit`` → ``finish``, or ``revert`` in its place.

    ``abort`` follows any failure before the end of ``commit``. ``uses`` is what the commit replaces: the containers that
    hold it are stopped for it. ``traces`` is what a killed restore leaves; it may shrink with ``commit``.

    ``staged``: ``receive`` leaves what is there untouched until ``commit``; if not, the artifact is verified before it.
    """

    staged: bool

    @property
    def uses(self) -> Uses:
        """What the commit replaces."""

    @property
    def traces(self) -> Traces:
        """What is left when this process dies."""

    @property
    def kept(self) -> str:
        """After ``commit``: where the old data is; empty where there is none."""

    def check(self, overwrite: bool) -> None:
        """Raises Refused when the restore would destroy something that was not allowed to be destroyed."""

    def receive(self, chunks: Iterable[bytes]) -> None:
        """Take the uncompressed bytes. Raises ReconcilerError."""

    def commit(self) -> None:
        """Put what was received in place."""

    def abort(self) -> None:
        """Leave what was there before. Never raises; safe twice."""

    def finish(self) -> None:
        """After ``commit``: drop what was there before. Never raises."""

    def revert(self) -> None:
        """After ``commit``: put back what was there before, where that can be done. Raises ReconcilerError."""


class TargetKind(Protocol):
    """What a target offers beside its data (a subclass of ``model.Target`` in ``targets/``)."""

    @property
    def id(self) -> TargetId:
        """Service and type."""

    def probe(self, host: Host) -> Probe:
        """Whether it is there and can be backed up. Never raises for what is merely missing."""

    def open(self, host: Host) -> Source:
        """Begin to read it. Raises SourceError or EngineError."""

    def sink(self, host: Host, facts: Mapping[str, str] = NO_FACTS, /) -> Sink:
        """Where a restore goes by default: to where the data came from. ``facts`` are the manifest's."""

    def restore_command(self, key: str) -> str:
        """The one-liner that restores the decompressed bytes on stdin by hand, such as ``tar -x -C DIR``."""


class DestinationKind(Protocol):
    """What a module in ``destinations/`` offers; its name is the URL's protocol."""

    def open_store(self, destination: Destination) -> Store:
        """Open it; secrets are resolved here. Raises Unreachable, SecretError. Connecting may wait until first use."""


class World(msgspec.Struct, frozen=True):
    """The four ports, wired by the command line: what observe, apply and restore may touch.

    ``store`` opens a destination once and then returns the same. ``node`` names this machine in intent records.
    ``journal`` holds what must be put right after a kill.
    """

    clock: Clock
    host: Host
    store: Callable[[Destination], Store]
    node: str
    journal: Journal


class Progress(Protocol):
    """Somebody who watches an apply or a restore. Calls come from several threads."""

    def started(self, action: Action) -> None:
        """An action begins."""

    def advanced(self, target: TargetId, size: int) -> None:
        """``size`` more stored bytes of that target went through."""

    def said(self, who: str, line: str) -> None:
        """``who`` (a hook, as ``archive-pre in shop-db``) wrote a line; secrets are struck out already."""

    def finished(self, outcome: Outcome) -> None:
        """The action ended."""
