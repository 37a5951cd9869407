"""``kind: volume``: a Docker volume by its name."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from reconciler.errors import EngineError, ReconcilerError, Refused, SourceError
from reconciler.model import Probe, SourceReport, Target, Uses
from reconciler.model.fleet import Exclude
from reconciler.pipeline.archive import TreeSource
from reconciler.pipeline.checked import CheckedTar
from reconciler.pipeline.extract import TreeSink, holds_data
from reconciler.pipeline.tarcheck import TarCheck
from reconciler.ports import NO_FACTS, Engine, Host, Sink, Source, Traces, Volume

HOLDS_IT = ("running", "paused", "restarting")
"""States of a container in which it uses its volumes."""


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
        return Probe(empty=_seems_empty(volume) and _is_readable_here(volume, engine))

    def open(self, host: Host) -> Source:
        """Begin to read it. Raises SourceError, EngineError."""
        engine = host.engine()
        volume = engine.volume(self.volume)
        if volume is None:
            raise SourceError(_missing(engine, self.volume))
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
        self._facts = facts
        self._found = engine.volume(name)
        self._folder = self._folder_of(self._found)
        self._made = False
        self.staged = self._found is None or self._folder is not None

    @property
    def uses(self) -> Uses:
        """The volume."""
        return Uses(volumes=(self._name,)) if self._found is not None else Uses()

    @property
    def traces(self) -> Traces:
        """What lies beside its data, or the volume itself where it is made for this restore."""
        if self._found is None:
            return Traces(volume=self._name)
        return self._folder.traces if self._folder is not None else Traces()

    def check(self, overwrite: bool) -> None:
        """Raises Refused when it holds data that may not or cannot be replaced."""
        beside = f"--to volume:{self._name}_restored restores to a volume beside it"
        same = self._facts.get("volume") == self._name
        if self._found is None and same and self._facts.get("options") and not recorded_options(self._facts):
            raise Refused(
                f"volume {self._name} does not exist, and it had driver options ({self._facts['options']}) whose values are"
                f" secret and not in the backup: make it first (docker volume create, docker compose create)"
            )
        if self._folder is not None:
            if not overwrite and holds_data(self._folder.place):
                raise Refused(f"volume {self._name} holds data: --overwrite replaces it, {beside}")
            self._folder.check(overwrite)
        elif self._found is not None and self._is_filled():
            raise Refused(
                f"volume {self._name} holds data and can be reached only through the Engine, which cannot swap it: {beside}"
            )

    def receive(self, chunks: Iterable[bytes]) -> None:
        """Unpack; a missing volume is made first."""
        if self._found is None:
            self._folder = self._folder_of(self._make())
        if self._folder is not None:
            self._folder.receive(chunks)
        else:
            self._engine.write_volume(self._name, chunks)

    def commit(self) -> None:
        """Swap. Raises Refused when a container was started meanwhile."""
        self._refuse_while_in_use()
        if self._folder is not None:
            self._folder.commit()

    def finish(self) -> None:
        """Drop the old data."""
        if self._folder is not None:
            self._folder.finish()
        self._made = False

    def revert(self) -> None:
        """Put the old data back, or remove the volume that was made."""
        if self._made:
            if self._folder is not None:
                self._folder.finish()
            self._engine.remove_volume(self._name)
        elif self._folder is not None:
            self._folder.revert()
        self._made = False

    def abort(self) -> None:
        """Remove what was unpacked, and a volume that was made for it. What the Engine wrote to an empty volume stays."""
        with contextlib.suppress(ReconcilerError):
            if self._folder is not None:
                self._folder.abort()
            if self._made:
                self._engine.remove_volume(self._name)
        self._made = False

    def _make(self) -> Volume:
        same = self._facts.get("volume") == self._name  # one beside it gets no device of the first
        labels = json.loads(self._facts.get("labels", "{}")) if same else {}
        options = recorded_options(self._facts) if same else {}
        driver = self._facts.get("driver", "local") if same else "local"
        self._engine.create_volume(Volume(self._name, "", driver, labels, options))
        self._made = True
        volume = self._engine.volume(self._name)
        if volume is None:
            raise EngineError(f"volume {self._name} vanished as soon as it was made")
        return volume

    def _folder_of(self, volume: Volume | None) -> TreeSink | None:
        if volume is None or not _is_readable_here(volume, self._engine):
            return None
        return TreeSink(Path(volume.mountpoint))

    def _is_filled(self) -> bool:
        """Whether there is more in it than its root."""
        source, check = self._engine.read_volume(self._name), TarCheck()
        try:
            for chunk in source.chunks():
                check.feed(chunk)
                if check.members > 1:
                    return True
        finally:
            source.close()
        return False

    def _refuse_while_in_use(self) -> None:
        users = [c.name for c in self._engine.containers() if self._name in c.volumes and c.state in HOLDS_IT]
        if users:
            names = " ".join(users)
            raise Refused(
                f"volume {self._name} is in use by {names}: stop it first (docker stop {names}),"
                f" or restore beside it with --to volume:{self._name}_restored"
            )


def recorded_options(facts: Mapping[str, str]) -> dict[str, str]:
    """The driver options that a manifest holds; none where one of them may be secret."""
    options: dict[str, str] = json.loads(facts.get("optionValues", "{}"))
    return options


def _public(options: Mapping[str, str]) -> bool:
    """Whether no value may be secret: the local driver's own keys, and no password among mount options."""
    return options.keys() <= {"type", "device", "o"} and not re.search(
        r"pass|secret|cred|key|user", options.get("o", ""), re.IGNORECASE
    )


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
    """What it takes to make the volume again; of its options the names alone, since values may be secret."""
    facts = {"volume": volume.name, "driver": volume.driver}
    if volume.labels:
        facts["labels"] = json.dumps(volume.labels, sort_keys=True)
    if volume.options:
        facts["options"] = ", ".join(sorted(volume.options))
        if _public(volume.options):
            facts["optionValues"] = json.dumps(volume.options, sort_keys=True)
    return facts


def _missing(engine: Engine, name: str) -> str:
    close = difflib.get_close_matches(name, [volume.name for volume in engine.volumes()], 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"volume {name} does not exist{hint}: docker volume ls shows those that do"
