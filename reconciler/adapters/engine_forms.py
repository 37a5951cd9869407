"""How the Engine writes volumes, images, containers, times and addresses, as our types. Used by ``adapters.docker`` alone."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import tarfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.errors import EngineError
from reconciler.ports import Container, Image, Mount, Volume


class Gone(EngineError):
    """The Engine answered that there is no such container, volume, image or service."""


def remembered(chunks: Iterable[bytes], head: bytearray) -> Iterator[bytes]:
    """The same chunks; the first 64 KiB or so are kept in ``head``."""
    for chunk in chunks:
        if len(head) < 1 << 16:
            head += chunk
        yield chunk


def root_alone(head: bytes, where: str) -> bytes:
    """A tar of one folder, ``where``, with the attributes of the root that an archive begins with; empty without one."""
    with contextlib.suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(head), mode="r|") as archive:
        root = archive.next()
        if root is not None and root.isdir() and root.name in (".", ""):
            root.name = where.removeprefix("/")
            return root.tobuf(tarfile.PAX_FORMAT) + bytes(1024)
    return b""


def socket_path(host: str) -> str:
    """The path of the socket in DOCKER_HOST. Raises EngineError for every other way to reach an Engine."""
    if host.startswith("unix://"):
        return host.removeprefix("unix://")
    forwarded = "ssh -nNT -L /run/far-docker.sock:/var/run/docker.sock HOST, and DOCKER_HOST=unix:///run/far-docker.sock"
    if host.startswith(("tcp://", "http://")) and not os.environ.get("DOCKER_TLS_VERIFY"):
        raise EngineError(
            f"DOCKER_HOST={host} has no TLS: whoever reaches that port is root there. Forward the socket: {forwarded}"
        )
    raise EngineError(
        f"DOCKER_HOST={host} is not supported, only unix:// is. Forward the socket: {forwarded}"
    )


def volume_of(found: dict[str, Any]) -> Volume:
    """A volume of a listing or an inspection."""
    labels, options = found.get("Labels") or {}, found.get("Options") or {}
    return Volume(found["Name"], found.get("Mountpoint") or "", found["Driver"], labels, options)


def image_of(found: dict[str, Any]) -> Image:
    """An image of a listing or an inspection."""
    tags = tuple(tag for tag in found.get("RepoTags") or () if tag != "<none>:<none>")
    digests = tuple(digest for digest in found.get("RepoDigests") or () if not digest.startswith("<none>"))
    return Image(found["Id"], tags, digests, found["Size"])


def container_of(found: dict[str, Any]) -> Container:
    """A container of a listing; links give it more names than its own, which is the shortest."""
    name = min(found["Names"] or [found["Id"]], key=len).removeprefix("/")
    mounts = _mounts(found["Mounts"])
    labels = found.get("Labels") or {}
    return Container(
        found["Id"], name, found["State"], _volumes(mounts), mounts, labels, found.get("Image") or ""
    )


def container_of_inspection(found: dict[str, Any]) -> Container:
    """A container of an inspection; ``--tmpfs`` mounts are among its mounts here."""
    state, config = found["State"], found["Config"]
    listed = _mounts(found["Mounts"])
    known = {mount.destination for mount in listed}
    extra = (found["HostConfig"].get("Tmpfs") or {}).keys() - known
    mounts = (*listed, *(Mount("tmpfs", destination) for destination in sorted(extra)))
    return Container(
        id=found["Id"],
        name=found["Name"].removeprefix("/"),
        state=state["Status"],
        volumes=_volumes(mounts),
        mounts=mounts,
        labels=config.get("Labels") or {},
        image=config.get("Image") or "",
        started=state["StartedAt"],
        health=_health(state),
        pid=state.get("Pid") or 0,
        auto_remove=bool(found["HostConfig"].get("AutoRemove")),
        stop_timeout=_patience(config.get("StopTimeout")),
        folder=os.path.dirname(found.get("HostnamePath") or found.get("LogPath") or ""),
        variables=tuple(entry.partition("=")[0] for entry in config.get("Env") or ()),
    )


def _patience(seconds: int | None) -> float:
    if seconds is None:
        return 10.0  # the Engine's default
    return seconds if seconds >= 0 else 1e6  # -1 means that it is never killed


def _health(state: dict[str, Any]) -> str:
    health = (state.get("Health") or {}).get("Status", "none")
    return "" if health == "none" else str(health)


def _mounts(found: list[dict[str, Any]]) -> tuple[Mount, ...]:
    return tuple(
        Mount(
            mount["Type"],
            mount["Destination"],
            mount.get("Name") or "",
            "" if mount["Type"] == "tmpfs" else mount.get("Source") or "",
            bool(mount.get("RW", True)),
        )
        for mount in found
    )


def _volumes(mounts: Iterable[Mount]) -> tuple[str, ...]:
    return tuple(mount.name for mount in mounts if mount.type == "volume")


def nanoseconds(time: str) -> int:
    """Nanoseconds since 1970 of the Engine's ``2026-01-20T03:00:00.123456789Z``; trailing zeros are left out there."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return seconds * 10**9 + int(fraction.ljust(9, "0") or 0)


def owner() -> str:
    """This process, as the value of a label: ``machine:pid:start``."""
    return f"{socket.gethostname()}:{process_mark(str(os.getpid()))}"


def process_mark(pid: str) -> str:
    """``pid:start``, which no other process of this machine ever was; empty when there is none."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return f"{pid}:{status.rpartition(')')[2].split()[19]}"
