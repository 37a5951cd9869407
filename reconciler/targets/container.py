"""``kind: container``: the mounts of a container, one artifact each.

``observe`` makes a volume or path target of every mount that has a place of its own; what is left for this kind to read is
what exists in the container alone, as a tmpfs.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from reconciler.errors import Refused, SourceError
from reconciler.model import Probe, SourceReport, Target, Uses
from reconciler.model.fleet import Exclude
from reconciler.model.restores import NO_FACTS
from reconciler.pipeline.archive import TreeSource
from reconciler.pipeline.checked import CheckedTar
from reconciler.pipeline.inside import Inside, look_inside
from reconciler.pipeline.mounted import MountSink
from reconciler.ports import Container, Host, Sink, Source


class ContainerTarget(Target, frozen=True, kw_only=True, tag="container"):
    """A container's mounts: volumes, folders of this machine, and tmpfs; one artifact for each."""

    container: Annotated[
        str,
        Meta(
            title="Container",
            description="Name of the container.",
            pattern="^[a-zA-Z0-9][a-zA-Z0-9_.-]*$",
            examples=["shop-db"],
        ),
    ]
    mounts: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[^\x00]+$")], ...],
        Meta(
            title="Mounts",
            description=(
                "Which of them: by path in the container, name of the volume, or last part of either. Default: those that the"
                " label backup.velero.io/backup-volumes names, else all."
            ),
            examples=[["data", "/scratch"]],
        ),
    ] = ()
    exclude: Exclude = ()

    @property
    def uses(self) -> Uses:
        """The container: what is left to this kind exists in it alone."""
        return Uses(container=self.container, inside=True)

    def probe(self, host: Host) -> Probe:
        """Whether the container runs, which it must for what lives in it alone. Raises EngineError."""
        found = host.engine().container(self.container)
        if found is None:
            return Probe(_missing(self.container, host))
        if found.state not in ("running", "paused"):
            return Probe(
                f"container {self.container} is {found.state}: a tmpfs has content only while it runs"
            )
        return Probe()

    def open(self, host: Host) -> Source:
        """Begin to read the one mount. Raises SourceError, EngineError."""
        found, place = self._found(host), self._place()
        facts = {"container": self.container, "mount": place}
        if here := _folder_of(found, place):
            return _MountSource(here, self.exclude, facts, f"{self.container}:{place}")
        if self.exclude:
            raise SourceError(
                f"{self.container}:{place} can be read inside the container alone, where exclude is not known"
            )
        command = ("tar", "-c", "-C", place, ".")
        return CheckedTar(
            host.engine().run(self.container, command, "0"),
            lambda report: SourceReport(report.files, report.warnings, facts),
        )

    def sink(self, host: Host, facts: Mapping[str, str] = NO_FACTS, /) -> Sink:
        """Restores go into the running container. Raises Refused."""
        place = facts.get("mount") or self._place()
        found = self._found(host)
        here = _folder_of(found, place)
        if here is None:
            raise Refused(
                f"{self.container}:{place} exists in the container alone, which does not run on this machine:"
                f" restore with --to path:DIR and copy it in with docker cp"
            )
        # Never let go: whoever cleans up after a failure must not find another folder under the same number.
        lasting = Path(f"/proc/{found.pid}/root{here.place}")
        return MountSink(here.path, f"{self.container}:{place}", lasting)

    def restore_command(self, key: str) -> str:  # noqa: ARG002 - a port's signature
        """By hand: unpack in the container."""
        place = self.mounts[0] if self.mounts else "/"
        return f"docker exec -i -u 0 {shlex.quote(self.container)} tar -x -p -C {shlex.quote(place)}"

    def _place(self) -> str:
        """The path of the one mount that is left to this kind."""
        if len(self.mounts) != 1 or not self.mounts[0].startswith("/"):
            raise SourceError(f"container {self.container} was not looked at: its mounts are not known")
        return self.mounts[0]

    def _found(self, host: Host) -> Container:
        found = host.engine().container(self.container)
        if found is None:
            raise SourceError(_missing(self.container, host))
        return found


class _MountSource(TreeSource):
    """A tree that is held open while it is read, since only the container knows its path."""

    def __init__(self, here: Inside, exclude: Sequence[str], facts: dict[str, str], shown: str) -> None:
        self._here = here
        try:
            super().__init__(here.path, exclude, facts, shown=shown)
        except BaseException:
            here.close()
            raise

    def close(self) -> None:
        """End tar, and let the tree go."""
        super().close()
        self._here.close()


def _folder_of(container: Container, place: str) -> Inside | None:
    """The folder at ``place``, where this machine can reach it."""
    here = look_inside(container, place)
    if here is not None and not here.path.is_dir():
        here.close()
        return None
    return here


def _missing(name: str, host: Host) -> str:
    names = [item.name for item in host.engine().containers()]
    close = difflib.get_close_matches(name, names, 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"container {name} does not exist{hint}: docker ps -a shows those that do"
