"""The Docker Engine: the only module that imports ``docker``. Made by ``wiring``; targets see ports.Engine alone.

Small calls go through the library's low-level API; what streams goes through ``engine_wire``. Volumes are read and
written through containers that are created from an empty image and never started, so no image has to be pulled.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPException
from typing import Any, Self
from urllib.parse import quote

import docker
from docker.errors import DockerException, NotFound
from docker.types import Mount
from requests.exceptions import RequestException

from reconciler.adapters.engine_containers import Containers
from reconciler.adapters.engine_exec import ExecSource, feed
from reconciler.adapters.engine_execute import execute
from reconciler.adapters.engine_forms import (
    Gone,
    container_of,
    image_of,
    nanoseconds,
    owner,
    process_mark,
    remembered,
    root_alone,
    socket_path,
    volume_of,
)
from reconciler.adapters.engine_wire import IDLE, Wire, ask, ping
from reconciler.adapters.secrets import guard
from reconciler.errors import EngineError, NoEngine
from reconciler.model import SourceReport
from reconciler.ports import Container, Engine, Execution, Image, Source, Volume

log = logging.getLogger(__name__)

DEFAULT_HOST = "unix:///var/run/docker.sock"
SCRATCH = "io.reconciler.scratch"
"""Label of scratch containers and their images; the value says which process made them."""

_WHERE = "/v"  # where a scratch container mounts the volume
_STALE = 86_400  # seconds after which a scratch container of an unknown machine is nobody's any more


def connect(idle: float = IDLE) -> Engine:
    """The Engine at DOCKER_HOST, or this machine's. ``idle``: seconds of silence until it is asked whether it lives.

    Raises NoEngine where nothing listens, EngineError when it does not answer, or when DOCKER_HOST is no Unix socket.
    """
    host = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    path = socket_path(host)
    try:
        ping(path, idle)  # first, since the library leaks a socket where nothing listens
        api = docker.APIClient(base_url=f"unix://{path}", version="auto", timeout=int(idle) or 1)
    except (OSError, HTTPException, DockerException) as error:
        absent = isinstance(error, FileNotFoundError | ConnectionRefusedError | PermissionError)
        raise (NoEngine if absent else EngineError)(
            f"no Docker Engine answers at {host}: {error}. Start it, set DOCKER_HOST=unix:///path/of/docker.sock,"
            f" or let this user (uid {os.geteuid()}) use the socket"
        ) from None
    engine = DockerEngine(api, path, idle)
    with contextlib.suppress(DockerException, RequestException):  # it is not what the Engine was asked for
        engine.sweep()
    return engine


class DockerEngine(Containers):
    """ports.Engine over one Unix socket. Safe for several threads."""

    def __init__(self, api: docker.APIClient, path: str, idle: float) -> None:
        self._api = api
        self._path = path
        self._idle = idle
        self._base = f"/v{api.api_version}"
        self._image = ""
        self._making = threading.Lock()

    def calling(self, doing: str) -> contextlib.AbstractContextManager[None]:
        """What the library raises inside the block, as EngineError."""
        return _engine_errors(doing)

    def volume(self, name: str) -> Volume | None:
        """The volume called ``name``; None when there is none."""
        with _engine_errors(f"looking at volume {name}"):
            try:
                return volume_of(self._api.inspect_volume(name))
            except NotFound:
                return None

    def volumes(self) -> tuple[Volume, ...]:
        """All volumes, by name."""
        with _engine_errors("listing volumes"):
            found = self._api.volumes()["Volumes"] or []
        return tuple(sorted(map(volume_of, found), key=lambda volume: volume.name))

    def create_volume(self, volume: Volume) -> None:
        """Make a volume with the driver, labels and options given."""
        with _engine_errors(f"making volume {volume.name}"):
            self._api.create_volume(volume.name, volume.driver, volume.options, volume.labels)

    def remove_volume(self, name: str) -> None:
        """Remove a volume with its data; one that is gone already is no error."""
        with _engine_errors(f"removing volume {name}"), contextlib.suppress(NotFound):
            self._api.remove_volume(name)

    def is_here(self, volume: Volume) -> bool:
        """Whether the mountpoint is here and is the volume: the Engine sees the same time of change, to the nanosecond."""
        try:
            before = os.stat(volume.mountpoint).st_mtime_ns
            with _Scratch(self, volume.name, read_only=True) as scratch:
                seen = nanoseconds(scratch.stat()["mtime"])
            return before <= seen <= os.stat(volume.mountpoint).st_mtime_ns
        except OSError:
            return False

    def image(self, reference: str) -> Image | None:
        """The local image that ``reference`` names; None when there is none."""
        with _engine_errors(f"looking at image {reference}"):
            try:
                return image_of(self._api.inspect_image(reference))
            except NotFound:
                return None

    def images(self) -> tuple[Image, ...]:
        """All local images but those of scratch containers."""
        with _engine_errors("listing images"):
            found = self._api.images()
        return tuple(image_of(entry) for entry in found if SCRATCH not in (entry.get("Labels") or {}))

    def containers(self) -> tuple[Container, ...]:
        """All containers but scratch ones, stopped ones included."""
        with _engine_errors("listing containers"):
            found = self._api.containers(all=True)
        return tuple(container_of(entry) for entry in found if SCRATCH not in (entry.get("Labels") or {}))

    def read_volume(self, name: str) -> Source:
        """A tar of a volume's content."""
        self._need_volume(name)
        scratch = _Scratch(self, name, read_only=True)
        try:
            return _Download(self.wire(f"reading volume {name}"), scratch.url(f"{_WHERE}/."), scratch.remove)
        except BaseException:
            scratch.remove()
            raise

    def write_volume(self, name: str, chunks: Iterable[bytes]) -> None:
        """Unpack a tar into a volume, over what is there."""
        self._need_volume(name)
        head = bytearray()
        with _Scratch(self, name, read_only=False) as scratch:
            self._unpack(name, scratch.url(_WHERE), remembered(chunks, head))
            root = root_alone(bytes(head), _WHERE)
            if root:  # the Engine takes no mode and owner for the folder that it unpacks into: they come from above it
                self._unpack(name, scratch.url("/"), [root])

    def _unpack(self, name: str, url: str, chunks: Iterable[bytes]) -> None:
        with contextlib.closing(self.wire(f"writing volume {name}")) as wire:
            wire.call("PUT", url, chunks, {"Content-Type": "application/x-tar"})

    def save_image(self, reference: str) -> Source:
        """What ``docker save`` writes."""
        url = f"{self._base}/images/get?names={quote(reference, safe='')}"
        return _Download(self.wire(f"saving image {reference}"), url, lambda: None)

    def load_image(self, chunks: Iterable[bytes]) -> None:
        """Read what ``docker save`` wrote."""
        with contextlib.closing(self.wire("loading an image")) as wire:
            wire.call("POST", f"{self._base}/images/load", chunks, {"Content-Type": "application/x-tar"})
            for line in b"".join(wire.chunks()).splitlines():
                if "error" in (said := json.loads(line)):
                    raise EngineError(f"the Docker Engine could not load the image: {said['error']}")

    def run(self, container: str, command: tuple[str, ...], user: str = "") -> Source:
        """The stdout of ``command`` in a running container."""
        return ExecSource(self, container, command, user)

    def feed(self, container: str, command: tuple[str, ...], chunks: Iterable[bytes], user: str = "") -> None:
        """Run ``command`` in a running container with ``chunks`` on its stdin."""
        feed(self, container, command, chunks, user)

    def execute(self, container: str, command: tuple[str, ...], how: Execution) -> int:
        """Run ``command`` in a running container to its end; its exit code."""
        return execute(self, container, command, how)

    def close(self) -> None:
        """Remove the empty image and end connections."""
        with self._making:
            if self._image:
                self._drop(self._api.remove_image, self._image)
            self._image = ""
        self._api.close()

    def ask(self, method: str, url: str, doing: str, seconds: float, body: object = None) -> Any:
        """A small call with a deadline of its own; its answer."""
        return ask(self._path, method, self.url(url), doing, seconds, body)

    def url(self, path: str) -> str:
        """A path of the API."""
        return f"{self._base}{path}"

    def ping(self, seconds: float) -> None:
        """Raises OSError, HTTPException when it does not answer."""
        ping(self._path, seconds)

    def wire(self, doing: str) -> Wire:
        """A new connection for a call that streams."""
        return Wire(self._path, doing, self._idle)

    def make_exec(self, container: str, command: tuple[str, ...], user: str) -> str:
        """Prepare a command in a container; its id."""
        with _engine_errors(f"preparing a command in container {container}"):
            made = self._api.exec_create(container, list(command), stdin=True, user=user)
        return str(made["Id"])

    def exec_state(self, exec_id: str) -> tuple[bool, int | None]:
        """(is it running, exit code); (False, None) when the container is gone with it."""
        with _engine_errors("waiting for a command"):
            try:
                state = self._api.exec_inspect(exec_id)
            except NotFound:
                return False, None
        return bool(state["Running"]), state["ExitCode"]

    def exec_url(self, exec_id: str) -> str:
        """Where an exec is started."""
        return f"{self._base}/exec/{exec_id}/start"

    def incarnation(self, container: str) -> tuple[str, str]:
        """(id, time of start) of a running container. Raises EngineError when it does not run."""
        with _engine_errors(f"looking at container {container}"):
            found = self._api.inspect_container(container)
        guard(entry.partition("=")[::2] for entry in found["Config"].get("Env") or ())
        if not found["State"]["Running"] or found["State"]["Paused"]:
            raise EngineError(f"container {container} is {found['State']['Status']}: start it first")
        return found["Id"], found["State"]["StartedAt"]

    def make_scratch(self, volume: str, *, read_only: bool) -> str:
        """A container that mounts ``volume`` and is never started; its id."""
        image = self._scratch_image()
        with _engine_errors(f"making a scratch container for volume {volume}"):
            mount = Mount(_WHERE, volume, read_only=read_only, no_copy=True)
            limits = self._api.create_host_config(network_mode="none", mounts=[mount])
            made = self._api.create_container(image, labels={SCRATCH: owner()}, host_config=limits)
        return str(made["Id"])

    def remove_scratch(self, container: str) -> None:
        """Remove it; when that fails now, the next run does it."""
        self._drop(self._api.remove_container, container)

    def path_url(self, container: str, path: str) -> str:
        """Where the content of a path in a container is read and written."""
        return f"{self._base}/containers/{container}/archive?path={quote(path, safe='')}"

    def _need_volume(self, name: str) -> None:
        """Mounting a volume that does not exist would make one."""
        if self.volume(name) is None:
            raise EngineError(f"volume {name} does not exist: docker volume ls shows those that do")

    def _scratch_image(self) -> str:
        """An image with nothing in it; made at the first need, removed by ``close``."""
        with self._making, _engine_errors("making an empty image"):
            if not self._image:
                self.sweep()
                changes = [f"LABEL {SCRATCH}={owner()}", 'CMD ["-"]']
                made = self._api.import_image_from_data(bytes(1024), changes=changes)
                self._image = json.loads(made.splitlines()[-1])["status"]
            return self._image

    def sweep(self) -> None:
        """Remove scratch containers and images that a killed run has left."""
        labelled = {"label": SCRATCH}
        for entry in self._api.containers(all=True, filters=labelled):
            if self._is_stale(entry):
                self._drop(self._api.remove_container, entry["Id"])
        for entry in self._api.images(filters=labelled):
            if self._is_stale(entry):
                self._drop(self._api.remove_image, entry["Id"])

    def _is_stale(self, entry: dict[str, Any]) -> bool:
        """Whether its process is gone; of a process that cannot be seen from here, whether it is a day old."""
        machine, _, process = entry["Labels"][SCRATCH].partition(":")
        if machine == socket.gethostname():
            return bool(process != process_mark(process.partition(":")[0]))
        now = nanoseconds(self._api.info()["SystemTime"]) // 10**9
        return bool(entry["Created"] < now - _STALE)

    def _drop(self, remove: Callable[..., object], what: str) -> None:
        try:
            remove(what, force=True)
        except NotFound:
            pass
        except (DockerException, RequestException) as error:
            log.warning("scratch %s could not be removed; the next run tries again: %s", what[:19], error)


class _Scratch:
    """A container that gives access to one volume; removed at the end of the block."""

    def __init__(self, engine: DockerEngine, volume: str, *, read_only: bool) -> None:
        self._engine = engine
        self._id = engine.make_scratch(volume, read_only=read_only)

    def url(self, path: str) -> str:
        """Where a path in it is read and written."""
        return self._engine.path_url(self._id, path)

    def stat(self) -> dict[str, Any]:
        """What the Engine sees at the volume's root."""
        with contextlib.closing(self._engine.wire("looking at a volume")) as wire:
            about = wire.call("HEAD", self.url(f"{_WHERE}/.")).headers["X-Docker-Container-Path-Stat"]
        found: dict[str, Any] = json.loads(base64.b64decode(about))
        return found

    def remove(self) -> None:
        """Remove it. Safe twice."""
        self._engine.remove_scratch(self._id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class _Download:
    """A ports.Source over the body of one GET; ``free`` is called at its close."""

    def __init__(self, wire: Wire, url: str, free: Callable[[], None]) -> None:
        self._wire = wire
        self._free = free
        self._closed = False
        wire.call("GET", url)

    def chunks(self) -> Iterator[bytes]:
        """The body. Raises EngineError when it breaks off."""
        return self._wire.chunks()

    def finish(self) -> SourceReport:
        """Nothing more is known: whether the tar is whole is the reader's to check."""
        return SourceReport()

    def close(self) -> None:
        """End the connection and free what it used."""
        if not self._closed:
            self._closed = True
            self._wire.close()
            self._free()


@contextlib.contextmanager
def _engine_errors(doing: str) -> Iterator[None]:
    """What the library raises, as EngineError."""
    try:
        yield
    except DockerException as error:
        said = getattr(error, "explanation", None) or str(error)
        if isinstance(error, NotFound):
            raise Gone(f"the Docker Engine knows nothing of it, while {doing}: {said}") from None
        raise EngineError(f"the Docker Engine refused while {doing}: {said}") from None
    except RequestException as error:
        raise EngineError(f"the Docker Engine cannot be reached while {doing}: {error}") from None
