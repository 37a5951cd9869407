"""``kind: command``: what a command writes to stdout, in a container or on this machine; ``restore`` reads it on stdin."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from io import BufferedReader
from typing import Annotated, ClassVar, cast

from msgspec import Meta

from reconciler.errors import Refused, SourceError
from reconciler.model import Probe, SourceReport, Target, Uses
from reconciler.model.restores import NO_FACTS
from reconciler.pipeline.endmark import WholeSource
from reconciler.pipeline.process import CHUNK, Drain, end_group, how_it_ended, pour, start
from reconciler.pipeline.sink import PlainSink
from reconciler.ports import Host, Sink, Source
from reconciler.sizes import PATTERN, size_of
from reconciler.tail import Tail

Script = Annotated[str, Meta(pattern=r"\S")]
Argv = Annotated[tuple[str, ...], Meta(min_length=1)]


class CommandTarget(Target, frozen=True, kw_only=True, tag="command"):
    """The stdout of a command, as a database's dump. It counts only if it is whole and ended with exit code 0."""

    default_type: ClassVar[str] = "dump"

    backup: Annotated[
        Script | Argv,
        Meta(
            title="Backup command",
            description="Its stdout is the backup. Text is run by /bin/sh -c, a list as it stands.",
            examples=['pg_dump -U "$POSTGRES_USER" -Fc "$POSTGRES_DB"'],
        ),
    ]
    restore: Annotated[
        Script | Argv | None,
        Meta(
            title="Restore command",
            description="It gets the backup on stdin. Without it the backup can be restored by hand alone.",
            examples=['pg_restore -U "$POSTGRES_USER" --clean --if-exists -d "$POSTGRES_DB"'],
        ),
    ] = None
    container: Annotated[
        Annotated[str, Meta(pattern="^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")] | None,
        Meta(
            title="Container",
            description="Name of the running container where the commands run. Default: on this machine.",
            examples=["shop-db"],
        ),
    ] = None
    user: Annotated[
        Annotated[str, Meta(pattern="^[a-zA-Z0-9_][a-zA-Z0-9_.:-]*$")] | None,
        Meta(
            title="User",
            description="User that runs the commands in the container, as name, uid or uid:gid. Default: the container's.",
            examples=["postgres"],
        ),
    ] = None
    extension: Annotated[
        str,
        Meta(
            title="Extension",
            description="Extension before that of the compression; not json (the manifest's) nor part (an unfinished file's).",
            pattern=r"^[a-z0-9]+(\.[a-z0-9]+)*$",
            examples=["sql"],
            extra_json_schema={"not": {"pattern": r"(^|\.)(json|part)$"}},
        ),
    ] = "dump"

    min_size: Annotated[
        Annotated[str, Meta(pattern=PATTERN)] | None,
        Meta(
            title="Smallest size",
            description="A dump of fewer bytes, before compression, is a warning: is it whole? Default: none.",
            examples=["1MB"],
        ),
    ] = None

    @property
    def least(self) -> int:
        """The smallest size that raises no doubt, in bytes."""
        return size_of(self.min_size) if self.min_size else 0

    @property
    def uses(self) -> Uses:
        """The container where the commands run."""
        return Uses(container=self.container or "")

    @property
    def stem_extension(self) -> str:
        """The extension that the spec gives."""
        return self.extension

    def probe(self, host: Host) -> Probe:
        """Whether the container is there and runs. Raises EngineError when the Engine does not answer."""
        return Probe(_problem(self.container, host)) if self.container else Probe()

    def open(self, host: Host) -> Source:
        """Start the command. Raises SourceError, EngineError."""
        if self.container:
            return WholeSource(host.engine().run(self.container, _argv(self.backup), self.user or ""))
        return WholeSource(LocalCommand(_argv(self.backup)))

    def sink(self, host: Host, _facts: Mapping[str, str] = NO_FACTS, /) -> Sink:
        """Restores go to the stdin of the restore command, where the backup came from."""
        return sink_for(self, self.container, host)

    def restore_command(self, key: str) -> str:  # noqa: ARG002 - a port's signature
        """By hand: the restore command on stdin, or only the bytes where there is none."""
        if self.restore is None:
            return "cat"
        command = shlex.join(_argv(self.restore))
        if not self.container:
            return command
        user = f"-u {shlex.quote(self.user)} " if self.user else ""
        return f"docker exec -i {user}{shlex.quote(self.container)} {command}"


def sink_for(target: CommandTarget, container: str | None, host: Host) -> Sink:
    """Where a restore of ``target`` goes: its restore command in ``container``, or on this machine without one."""
    return CommandSink(target, container, host)


class CommandSink(PlainSink):
    """A ports.Sink that feeds the restore command."""

    staged = False

    def __init__(self, target: CommandTarget, container: str | None, host: Host) -> None:
        self._target = target
        self._container = container
        self._host = host

    def check(self, overwrite: bool) -> None:
        """Raises Refused without a restore command, without ``overwrite``, or when the container does not run."""
        identity = self._target.id
        if self._target.restore is None:
            raise Refused(
                f"{identity} has no restore command: add restore to its target, or use --to - for the bytes"
            )
        if not overwrite:
            raise Refused(
                f"the restore command of {identity} writes into what runs{f' in {self._container}' if self._container else ''}:"
                f" --overwrite allows it"
            )
        problem = _problem(self._container, self._host) if self._container else ""
        if problem:
            raise Refused(problem)

    def receive(self, chunks: Iterable[bytes]) -> None:
        """Feed everything. When ``chunks`` break off the command is killed before it could take that for the end.

        Raises SourceError when the command fails.
        """
        assert self._target.restore is not None
        command = _argv(self._target.restore)
        if self._container:
            self._host.engine().feed(self._container, command, chunks, self._target.user or "")
        else:
            _feed_here(command, chunks)

    def commit(self) -> None:
        """The command has done it already."""

    def abort(self) -> None:
        """What the command did before it failed is its own affair."""


class LocalCommand:
    """A ports.Source: the stdout of a command on this machine."""

    def __init__(self, command: tuple[str, ...]) -> None:
        """Start it. Raises SourceError."""
        self._process = _started(command, fed=False)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._stdout = cast(BufferedReader, self._process.stdout)
        self._said = Tail()
        self._wrote = Tail(1024)
        self._drain = Drain(self._process.stderr, self._said.add)

    def chunks(self) -> Iterator[bytes]:
        """Its stdout as it comes, in pieces of at most 1 MiB."""
        # read1, not read: between two calls an interrupt is noticed, also while the command is silent.
        while chunk := self._stdout.read1(CHUNK):
            self._wrote.add(chunk)
            yield chunk

    def finish(self) -> SourceReport:
        """The verdict. Raises SourceError unless it ended with exit code 0."""
        status = self._process.wait()
        if status != 0:
            self._drain.join()
            said = self._said.text() or self._wrote.text() or "it said nothing"
            raise SourceError(f"the command ended with {how_it_ended(status)}: {said}")
        return SourceReport()

    def close(self) -> None:
        """End the command with all of its group, if it still runs."""
        end_group(self._process)
        self._stdout.close()


def _feed_here(command: tuple[str, ...], chunks: Iterable[bytes]) -> None:
    process = _started(command, fed=True)
    assert process.stdout is not None
    said = Tail()
    drain = Drain(process.stdout, said.add)
    try:
        pour(chunks, process)
        status = process.wait()
        drain.join()
    finally:
        end_group(process)
    if status != 0:
        raise SourceError(
            f"the restore command ended with {how_it_ended(status)}: {said.text() or 'it said nothing'}"
        )


def _started(command: tuple[str, ...], *, fed: bool) -> subprocess.Popen[bytes]:
    try:
        return start(command, fed=fed)
    except OSError as error:
        raise SourceError(f"{command[0]} cannot be run: {error.strerror}") from None


def _argv(command: str | tuple[str, ...]) -> tuple[str, ...]:
    return ("/bin/sh", "-c", command) if isinstance(command, str) else command


def _problem(name: str, host: Host) -> str:
    """Why no command can be run in a container; empty when one can."""
    for container in host.engine().containers():
        if name in (container.name, container.id, container.id[:12]):
            return (
                ""
                if container.state == "running"
                else f"container {name} is {container.state}: start it first"
            )
    return f"container {name} does not exist: docker ps -a shows those that do"
