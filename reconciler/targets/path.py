"""``kind: path``: a folder or one file of this machine."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from reconciler.model import Probe, Target, Uses
from reconciler.model.fleet import Exclude
from reconciler.model.restores import NO_FACTS
from reconciler.pipeline.archive import TreeSource
from reconciler.pipeline.extract import TreeSink
from reconciler.ports import Host, Sink, Source


class PathTarget(Target, frozen=True, kw_only=True, tag="path"):
    """A folder or one file. Folders are archived whole: links, holes, xattrs, ACLs, owners and nanoseconds included."""

    default_type: ClassVar[str] = "files"

    path: Annotated[
        str,
        Meta(
            title="Path",
            description="Folder or file to protect; a relative path starts at the folder of the file that names it.",
            pattern=r"^[^\x00]+$",
            examples=["./grafana/provisioning"],
        ),
    ]
    exclude: Exclude = ()

    @property
    def uses(self) -> Uses:
        """The path."""
        return Uses(paths=(self.path,))

    def located(self, folder: Path) -> PathTarget:
        """The same target with an absolute path; a relative one starts at ``folder``."""
        place = os.path.normpath(folder.absolute() / Path(self.path).expanduser())
        return msgspec.structs.replace(self, path=place)

    def probe(self, host: Host) -> Probe:
        """Whether there is a readable folder or file."""
        place = self._place(host)
        if not os.path.lexists(place):
            return Probe(f"{place} does not exist")
        if not (place.is_dir() or place.is_file()):
            return Probe(f"{place} is neither a folder nor a file")
        if not os.access(place, os.R_OK):
            return Probe(
                f"{place} may not be read by this user (uid {os.geteuid()}): run as root or change its mode"
            )
        return Probe(empty=place.is_dir() and not any(place.iterdir()))

    def open(self, host: Host) -> Source:
        """Begin to archive it. Raises SourceError."""
        place = self._place(host)
        return TreeSource(place, self.exclude, {"path": str(place)})

    def sink(self, host: Host, _facts: Mapping[str, str] = NO_FACTS, /) -> Sink:
        """Restores go to where the data came from."""
        return TreeSink(self._place(host))

    def restore_command(self, key: str) -> str:  # noqa: ARG002 - a port's signature
        """By hand: unpack into the folder, which must exist; a single file goes into the folder that it was in."""
        place = os.path.realpath(self.path)
        folder = os.path.dirname(place) if os.path.isfile(place) else place
        return f"tar -x -p --xattrs --xattrs-include='*' --acls --numeric-owner -C {shlex.quote(folder)}"

    def _place(self, host: Host) -> Path:
        return host.base / self.path
