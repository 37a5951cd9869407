"""Where a restore goes: ``--to``, or by default where the data came from. Used by the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from reconciler import registry
from reconciler.errors import ReconcilerError, Refused
from reconciler.model import Fleet, Manifest, Target, TargetId
from reconciler.naming import PART
from reconciler.pipeline.extract import TreeSink
from reconciler.pipeline.sink import PlainSink
from reconciler.ports import Host, Sink, TargetKind

_TREES = ("path", "volume", "container")
_SUFFIX = {"zstd": ".zst", "gzip": ".gz"}
_FORMS = "path:DIR, volume:NAME, image:, container:NAME or - (stdout)"


def find_sink(to: str | None, manifest: Manifest, fleet: Fleet, host: Host) -> Sink:
    """The sink that ``to`` names. Raises Refused when it does not fit the artifact."""
    if to == "-":
        return StdoutSink()
    if to is None:
        return _origin(manifest, fleet).sink(host, manifest.facts)
    form, _, name = to.partition(":")
    match form:
        case "path" if name:
            return _path(_place(name), manifest)
        case "volume" if name:
            _insist(manifest, _TREES, "a volume holds a tree of files")
            return cast(Sink, registry.find("targets", "volume").sink_for(name, host, manifest.facts))
        case "image" if not name:
            _insist(manifest, ("image",), "image: loads what docker save wrote")
            return cast(Sink, registry.find("targets", "image").sink(host))
        case "container" if name and manifest.kind == "container":
            return _same_mount(name, manifest).sink(host, manifest.facts)
        case "container" if name:
            _insist(manifest, ("command",), "container: feeds the stdin of the target's restore command")
            target = _origin(manifest, fleet)
            return cast(Sink, registry.find("targets", "command").sink_for(target, name, host))
    raise Refused(f"--to {to} is none of {_FORMS}")


def _insist(manifest: Manifest, kinds: tuple[str, ...], why: str) -> None:
    if manifest.kind not in kinds:
        raise Refused(
            f"{manifest.key} was made by a target of kind {manifest.kind}, but {why}; choose another --to"
        )


def _origin(manifest: Manifest, fleet: Fleet) -> TargetKind:
    """The target that the artifact was made of. Raises Refused when no spec names it any more."""
    wanted = TargetId(manifest.service, manifest.type)
    found: list[Target] = [
        target for backup in fleet.backups for target in backup.targets if target.id == wanted
    ]
    if (not found or found[0].kind != manifest.kind) and (place := _recorded(manifest)):
        return place
    if not found:
        raise Refused(
            f"no spec names {wanted} any more, so where it came from is not known; say --to {_FORMS}"
        )
    if found[0].kind != manifest.kind:
        raise Refused(
            f"{wanted} is of kind {found[0].kind} now, and {manifest.key} of kind {manifest.kind}; say --to {_FORMS}"
        )
    return cast(TargetKind, found[0])


def _recorded(manifest: Manifest) -> TargetKind | None:
    """The place that the manifest remembers, where no spec does: of a container's mount, or of a target that is gone."""
    facts, service, type_ = manifest.facts, manifest.service, manifest.type
    if manifest.kind == "volume" and "volume" in facts:
        from reconciler.targets.volume import VolumeTarget

        return cast(TargetKind, VolumeTarget(name=service, type=type_, volume=facts["volume"]))
    if manifest.kind == "path" and "path" in facts:
        from reconciler.targets.path import PathTarget

        return cast(TargetKind, PathTarget(name=service, type=type_, path=facts["path"]))
    if manifest.kind == "container" and "mount" in facts:
        return _same_mount(facts["container"], manifest)
    return None


def _same_mount(container: str, manifest: Manifest) -> TargetKind:
    """The mount of a container that has the path of the one that was backed up."""
    from reconciler.targets.container import ContainerTarget

    mounts = (manifest.facts["mount"],)
    target = ContainerTarget(name=manifest.service, type=manifest.type, container=container, mounts=mounts)
    return cast(TargetKind, target)


def _place(name: str) -> Path:
    """The path that ``name`` means; no shell has seen its ``~``, which stands behind ``path:``."""
    try:
        return Path(name).expanduser().absolute()
    except RuntimeError:
        raise Refused(f"--to path:{name} names the home of a user that does not exist") from None


def _path(place: Path, manifest: Manifest) -> Sink:
    """A folder that becomes the tree; for what is no tree, a file in that folder."""
    if manifest.kind in _TREES:
        return TreeSink(place)
    name = manifest.key.rpartition("/")[2]
    if manifest.encryption:
        name = name.removesuffix(f".{manifest.encryption.scheme}")
    return FileSink(place / name.removesuffix(_SUFFIX.get(manifest.compression, "")))


class StdoutSink(PlainSink):
    """Stdout: gets its first byte only after the whole artifact was verified."""

    staged = False

    def check(self, overwrite: bool) -> None:
        """Refuses a terminal."""
        del overwrite
        if sys.stdout.isatty():
            raise Refused("the artifact would go to the terminal; send it to a file or a pipe")

    def receive(self, chunks: Iterable[bytes]) -> None:
        """Write everything."""
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()

    def commit(self) -> None:
        """Nothing is held back."""

    def abort(self) -> None:
        """What went out cannot be taken back."""


class FileSink(PlainSink):
    """One file, written beside its name and renamed."""

    staged = True

    def __init__(self, place: Path) -> None:
        self._place = place
        self._part = place.with_name(f".{place.name}{PART}")

    def check(self, overwrite: bool) -> None:
        """Raises Refused when the file is there."""
        if os.path.lexists(self._place) and not overwrite:
            raise Refused(f"{self._place} exists; --overwrite replaces it")

    def receive(self, chunks: Iterable[bytes]) -> None:
        """Write beside the name. Raises ReconcilerError."""
        try:
            self._place.parent.mkdir(parents=True, exist_ok=True)
            with self._part.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ReconcilerError(f"{self._place} cannot be written: {error.strerror}") from None

    def commit(self) -> None:
        """Take the name. Raises ReconcilerError."""
        try:
            self._part.replace(self._place)
        except OSError as error:
            raise ReconcilerError(f"{self._place} cannot be written: {error.strerror}") from None

    def abort(self) -> None:
        """Remove what was written."""
        self._part.unlink(missing_ok=True)
