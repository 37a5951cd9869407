"""``kind: volume``: a Docker volume by its name."""

from __future__ import annotations

import contextlib
import difflib
import json
import logging
import os
import re
import shlex
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from reconciler.errors import Corrupt, EngineError, ReconcilerError, Refused, SourceError
from reconciler.model import Probe, SourceReport, Target, Uses
from reconciler.model.fleet import Exclude
from reconciler.model.restores import MADE, NO_FACTS, Traces
from reconciler.pipeline.archive import TreeSource
from reconciler.pipeline.checked import CheckedTar
from reconciler.pipeline.extract import TreeSink, holds_data
from reconciler.pipeline.swap import Swap
from reconciler.pipeline.tarcheck import TarCheck
from reconciler.ports import Engine, Host, Sink, Source, Volume

log = logging.getLogger(__name__)


class VolumeTarget(Target, frozen=True, kw_only=True, tag="volume"):
    """A Docker volume. Read from its folder where that is on this machine, else through the Engine, with no image to pull."""

    default_type: ClassVar[str] = "data"

    volume: Annotated[
        str,
        Meta(
            title="Volume",
            description="Name of the Docker volume, as docker volume ls shows it.",
            pattern="^[a-zA-Z0-9][a-zA-Z0-9_.-]*$",
            examples=["grafana_data"],
        ),
    ]
    exclude: Exclude = ()

    @property
    def uses(self) -> Uses:
        """The volume."""
        return Uses(volumes=(self.volume,))

    def probe(self, host: Host) -> Probe:
        """Whether the volume exists. Raises EngineError when the Engine does not answer."""
        engine = host.engine()
        volume = engine.volume(self.volume)
        if volume is None:
            return Probe(_missing(engine, self.volume))
        if nothing := _gone_from_memory(volume, engine):
            return Probe(nothing)
        return Probe(empty=_seems_empty(volume) and _is_readable_here(volume, engine))

    def open(self, host: Host) -> Source:
        """Begin to read it. Raises SourceError, EngineError."""
        engine = host.engine()
        volume = engine.volume(self.volume)
        if volume is None:
            raise SourceError(_missing(engine, self.volume))
        if nothing := _gone_from_memory(volume, engine):
            raise SourceError(nothing)
        facts = _facts(volume)
        if _is_readable_here(volume, engine):
            return TreeSource(Path(volume.mountpoint), self.exclude, facts)
        if self.exclude:
            raise SourceError(
                f"volume {self.volume} has its data where this machine cannot read it, and the Engine knows no exclude:"
                f" run as root on the Engine's machine, or remove exclude"
            )
        facts["read"] = "by the Engine: times to the second, no ACLs, holes filled"
        return CheckedTar(
            engine.read_volume(self.volume),
            lambda report: SourceReport(report.files, report.warnings, facts),
        )

    def sink(self, host: Host, facts: Mapping[str, str] = NO_FACTS, /) -> Sink:
        """Restores go to the volume itself; a missing one is made as ``facts`` say it was."""
        return sink_for(self.volume, host, facts)

    def restore_command(self, key: str) -> str:  # noqa: ARG002 - a port's signature
        """By hand: unpack into the volume's folder on the Engine's machine."""
        folder = f'"$(docker volume inspect -f {{{{.Mountpoint}}}} {shlex.quote(self.volume)})"'
        return f"tar -x -p --xattrs --xattrs-include='*' --acls --numeric-owner -C {folder}"


def sink_for(name: str, host: Host, facts: Mapping[str, str] = NO_FACTS) -> Sink:
    """Where a restore to the volume ``name`` goes; a missing one is made as ``facts`` of the manifest say it was.

    Raises EngineError.
    """
    return VolumeSink(host.engine(), name, facts)


class VolumeSink:
    """A ports.Sink into a volume.

    One whose folder is on this machine is unpacked beside and swapped in; one that only the Engine can reach must be
    new or empty, since nothing can be swapped there.
    """

    def __init__(self, engine: Engine, name: str, facts: Mapping[str, str]) -> None:
        self._engine = engine
        self._name = name
        # One beside it gets no device of the first.
        self._facts = facts if facts.get("volume") == name else NO_FACTS
        self._found = engine.volume(name)
        self._folder = self._folder_of(self._found)
        self._mark = uuid.uuid4().hex
        self._placed = False
        self.staged = self._found is None or self._folder is not None

    @property
    def uses(self) -> Uses:
        """The volume; nothing where it lives only as long as it is used."""
        if self._found is None or is_in_memory(self._found.options):
            return Uses()
        return Uses(volumes=(self._name,))

    @property
    def traces(self) -> Traces:
        """What lies beside its data; before the commit the volume itself, where it is made or filled for this restore."""
        if self._found is None and not self._placed:
            return Traces(volume=self._name, mark=self._mark)
        if not self.staged and not self._placed:
            return Traces(filled=self._name)
        return self._folder.traces if self._folder is not None else Traces()

    @property
    def kept(self) -> str:
        """Where the old data is once the new is in place."""
        return self._folder.kept if self._folder is not None else ""

    def check(self, overwrite: bool) -> None:
        """Raises Refused when it holds data that may not or cannot be replaced."""
        beside = f"--to volume:{self._name}_restored restores to a volume beside it"
        if self._found is None:
            self._insist_makeable()
        elif self._folder is not None:
            if not overwrite and holds_data(self._folder.place):
                raise Refused(f"volume {self._name} holds data: --overwrite replaces it, {beside}")
            self._folder.check(overwrite)
        elif is_in_memory(self._found.options) and not self._users():
            raise Refused(
                f"volume {self._name} is a tmpfs, which is gone as soon as no container uses it: start what uses it first"
            )
        elif is_filled(self._name, self._engine):
            raise Refused(
                f"volume {self._name} holds data and can be reached only through the Engine, which cannot swap it: {beside}"
            )

    def _insist_makeable(self) -> None:
        options = recorded_options(self._facts)
        if is_in_memory(options):
            given = " ".join(
                f"--opt {shlex.quote(f'{key}={value}')}" for key, value in sorted(options.items())
            )
            raise Refused(
                f"volume {self._name} does not exist, and it was a tmpfs, which is gone as soon as no container uses it:"
                f" make it (docker volume create {given} {self._name}), start what uses it, and restore then"
            )
        if self._facts.get("options") and not options:
            raise Refused(
                f"volume {self._name} does not exist, and it had driver options ({self._facts['options']}) whose values may be"
                f" secret and are not in the backup: make it first (docker volume create, docker compose create)"
            )

    def receive(self, chunks: Iterable[bytes]) -> None:
        """Unpack; a missing volume is made first. Raises Refused when there is data behind one that was made again."""
        if self._found is None:
            self._folder = self._folder_of(self._make())
            if self._folder is not None:
                self._folder.check(overwrite=False)
        if self._folder is not None:
            self._folder.receive(chunks)
        elif is_filled(self._name, self._engine):
            raise Refused(
                f"volume {self._name} was made again with its driver options, and what they name holds data: nothing was"
                f" changed there; restore beside it with --to volume:{self._name}_restored"
            )
        else:
            self._engine.write_volume(self._name, chunks)

    def commit(self) -> None:
        """Swap. Raises Refused when a container was started meanwhile, or nothing keeps a volume in memory any more."""
        if self._found is not None and is_in_memory(self._found.options) and not self._users():
            raise Refused(
                f"volume {self._name} is a tmpfs, and what used it ended meanwhile: what was restored is gone with it;"
                f" start what uses it, and restore again"
            )
        if self.uses != Uses() and (users := " ".join(self._users())):
            raise Refused(
                f"volume {self._name} is in use by {users}: stop it first (docker stop {users}),"
                f" or restore beside it with --to volume:{self._name}_restored"
            )
        if self._folder is not None:
            self._folder.commit()
        self._placed = True

    def finish(self) -> None:
        """Drop the old data."""
        if self._folder is not None:
            self._folder.finish()

    def revert(self) -> None:
        """Put the old data back, or remove the volume that was made."""
        if self._folder is not None:
            self._folder.revert()
        self._unmake()

    def abort(self) -> None:
        """Remove what was unpacked, and a volume that was made for it. What the Engine wrote to an empty volume stays."""
        with contextlib.suppress(ReconcilerError):
            if self._folder is not None:
                self._folder.abort()
            self._unmake()

    def _unmake(self) -> None:
        """Remove the volume that was made for this restore; another one of that name is left alone."""
        found = self._engine.volume(self._name) if self._found is None else None
        if found is not None and is_left_over(found, self._mark, self._engine):
            self._engine.remove_volume(self._name)

    def _make(self) -> Volume:
        """The volume as it was; one whose content only the Engine can reach is marked, to be known again after a kill."""
        labels, options = _table(self._facts, "labels"), recorded_options(self._facts)
        plain = Volume(self._name, "", self._facts.get("driver", "local"), labels, options)
        marked = msgspec.structs.replace(plain, labels=labels | {MADE: self._mark})
        if options:
            log.warning("volume %s is made again with its driver options: %s", self._name, options)
            return self._created(marked)
        volume = self._created(plain)
        if _is_readable_here(volume, self._engine):
            return volume
        self._engine.remove_volume(self._name)
        return self._created(marked)

    def _created(self, made: Volume) -> Volume:
        self._engine.create_volume(made)
        volume = self._engine.volume(self._name)
        if volume is None:
            raise EngineError(f"volume {self._name} vanished as soon as it was made")
        ours = volume.labels == made.labels and (
            MADE in made.labels or is_left_over(volume, "", self._engine)
        )
        if not ours:
            raise Refused(f"volume {self._name} was made by somebody else meanwhile: it is left as it is")
        return volume

    def _folder_of(self, volume: Volume | None) -> TreeSink | None:
        if volume is None or not _is_readable_here(volume, self._engine):
            return None
        return TreeSink(Path(volume.mountpoint))

    def _users(self) -> list[str]:
        """The containers that run, or are paused, with it."""
        found = self._engine.containers()
        return [item.name for item in found if self._name in item.volumes and item.is_up]


def is_left_over(volume: Volume, mark: str, engine: Engine) -> bool:
    """Whether a restore that did not end made the volume, and nothing has come to use it.

    It carries the mark of that restore, or what is unpacked beside its data, or nothing at all. Raises EngineError.
    """
    if any(volume.name in item.volumes for item in engine.containers()):
        return False
    if mark and volume.labels.get(MADE) == mark:
        return True
    return Swap(Path(volume.mountpoint)).staging.exists() or not is_filled(volume.name, engine)


def is_filled(name: str, engine: Engine) -> bool:
    """Whether there is more in a volume than its root. Raises EngineError, SourceError."""
    source, check = engine.read_volume(name), TarCheck()
    try:
        for chunk in source.chunks():
            check.feed(chunk)
            if check.members > 1:
                return True
    finally:
        source.close()
    return False


def recorded_options(facts: Mapping[str, str]) -> dict[str, str]:
    """The driver options that a manifest holds; none where one of them may be secret."""
    return _table(facts, "optionValues")


def _table(facts: Mapping[str, str], name: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(facts.get(name, "{}"), type=dict[str, str])
    except msgspec.DecodeError as error:
        raise Corrupt(f"the manifest's {name} cannot be read: {error}") from None


def _public(options: Mapping[str, str]) -> bool:
    """Whether no value may be secret: the local driver's own keys, no password among mount options, no login in the device."""
    if options.keys() - {"type", "device", "o"} or "@" in options.get("device", ""):
        return False
    return not re.search(r"pass|secret|cred|key|user", options.get("o", ""), re.IGNORECASE)


def is_in_memory(options: Mapping[str, str]) -> bool:
    """Whether its content goes when no container mounts it."""
    return options.get("type") in ("tmpfs", "ramfs")


def _gone_from_memory(volume: Volume, engine: Engine) -> str:
    """Why there can be nothing in it to back up; empty where there can. Raises EngineError."""
    if not is_in_memory(volume.options):
        return ""
    if any(volume.name in item.volumes and item.is_up for item in engine.containers()):
        return ""
    return f"volume {volume.name} is a tmpfs, which has content only while a container uses it: none does"


def _is_readable_here(volume: Volume, engine: Engine) -> bool:
    """Whether its folder may be read as it is. With driver options the folder is a mount point that may not be mounted."""
    plain = volume.driver == "local" and not volume.options
    return plain and os.access(volume.mountpoint, os.R_OK | os.X_OK) and engine.is_here(volume)


def _seems_empty(volume: Volume) -> bool:
    """Whether a folder of that name here is empty; to ask the Engine whether it is the volume's costs more."""
    try:
        return not any(Path(volume.mountpoint).iterdir())
    except OSError:
        return False


def _facts(volume: Volume) -> dict[str, str]:
    """What it takes to make the volume again; of options whose values may be secret the names alone."""
    facts = {"volume": volume.name, "driver": volume.driver}
    if labels := {key: value for key, value in volume.labels.items() if key != MADE}:
        facts["labels"] = json.dumps(labels, sort_keys=True)
    if volume.options:
        facts["options"] = ", ".join(sorted(volume.options))
        if _public(volume.options):
            facts["optionValues"] = json.dumps(volume.options, sort_keys=True)
    return facts


def _missing(engine: Engine, name: str) -> str:
    close = difflib.get_close_matches(name, [volume.name for volume in engine.volumes()], 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"volume {name} does not exist{hint}: docker volume ls shows those that do"
