"""Commands: a failed one is never a backup, its last words are told, and it is ended when we are."""

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from reconciler.adapters.docker import connect
from reconciler.errors import Corrupt, Refused, SourceError
from reconciler.ports import Engine, Host, Source
from reconciler.targets.command import CommandTarget, sink_for
from tests.parts.engine import EngineHost
from tests.parts.process import until


def no_engine() -> Engine:
    raise AssertionError("a command of this machine needs no Engine")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(no_engine, tmp_path)


@pytest.fixture
def engine(engine_host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("DOCKER_HOST", engine_host.url)
    engine = connect()
    yield engine
    engine.close()


def target(backup: str | tuple[str, ...], **fields: str) -> CommandTarget:
    return msgspec.structs.replace(CommandTarget(name="shop", backup=backup), **fields)


def read(source: Source) -> bytes:
    try:
        data = b"".join(source.chunks())
        source.finish()
        return data
    finally:
        source.close()


@pytest.mark.parametrize(
    ("extension", "good"),
    [
        ("dump", True),
        ("sql", True),
        ("tar.x", True),
        ("SQL", False),
        (".sql", False),
        ("a/b", False),
        ("a_b", False),
    ],
)
def test_extensions(extension: str, good: bool) -> None:
    data = {"kind": "command", "name": "shop", "backup": "x", "extension": extension}
    if good:
        assert msgspec.convert(data, CommandTarget).stem_extension == extension
    else:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(data, CommandTarget)


def test_defaults() -> None:
    assert (str(target("x").id), target("x").stem_extension) == ("shop/dump", "dump")


@pytest.mark.parametrize("backup", ["", "  ", []])
def test_an_empty_command_is_refused(backup: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"kind": "command", "name": "shop", "backup": backup}, CommandTarget)


def test_text_goes_through_a_shell_and_a_list_does_not(host: Host) -> None:
    assert read(target("echo $((1+1)) | tr 2 3").open(host)) == b"3\n"
    assert read(target(("echo", "$((1+1))", "| tr")).open(host)) == b"$((1+1)) | tr\n"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo out; echo why >&2; exit 3", r"exit code 3: why$"),
        ("echo only out; exit 3", r"exit code 3: only out$"),
        ("exit 3", r"exit code 3: it said nothing$"),
        ("kill -9 $$", "SIGKILL"),
        ("no-such-program", "exit code 127: .*not found"),
        ("head -c 5000000 /dev/zero | tr '\\0' x >&2; echo last >&2; exit 1", r"last$"),
    ],
)
def test_a_failure_is_an_error_with_the_last_words(host: Host, script: str, said: str) -> None:
    with pytest.raises(SourceError, match=said) as raised:
        read(target(script).open(host))
    assert len(str(raised.value)) < 3000


def test_a_program_that_does_not_exist_is_an_error(host: Host) -> None:
    with pytest.raises(SourceError, match="no-such-program cannot be run"):
        target(("no-such-program",)).open(host)


def test_a_large_dump_needs_little_memory(host: Host) -> None:
    source = target("head -c 200000000 /dev/zero").open(host)
    tracemalloc.start()
    try:
        assert sum(map(len, source.chunks())) == 200_000_000
        source.finish()
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
        source.close()


def test_close_ends_the_command_with_its_children(host: Host, tmp_path: Path) -> None:
    source = target(f"sleep 5555 & echo $! > {tmp_path}/pid; yes").open(host)
    chunks = source.chunks()
    assert next(iter(chunks))
    child = int((tmp_path / "pid").read_text())
    source.close()
    source.close()
    until(lambda: is_gone(child), "the child ends")


def is_gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that nobody reaps counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class TestRestoring:
    def test_without_a_command_it_is_refused(self, host: Host) -> None:
        with pytest.raises(Refused, match="shop/dump has no restore command"):
            target("x").sink(host).check(True)

    def test_it_needs_permission(self, host: Host) -> None:
        with pytest.raises(Refused, match="writes into what runs: --overwrite allows it"):
            target("x", restore="cat").sink(host).check(False)

    def test_a_container_that_does_not_run_is_refused(
        self, engine: Engine, engine_host: EngineHost, tmp_path: Path
    ) -> None:
        host = Host(lambda: engine, tmp_path)
        client = engine_host.client()
        made = client.containers.create("busybox:test", ["true"], name="command-stopped", network_mode="none")
        try:
            stopped = target("x", restore="cat", container="command-stopped")
            assert "command-stopped is created: start it first" in stopped.probe(host).problem
            with pytest.raises(Refused, match="start it first"):
                stopped.sink(host).check(True)
            with pytest.raises(Refused, match="no-such-container does not exist"):
                sink_for(stopped, "no-such-container", host).check(True)
        finally:
            made.remove(force=True)
            client.close()

    def test_data_that_breaks_off_never_looks_complete(self, host: Host, tmp_path: Path) -> None:
        def failing() -> Iterator[bytes]:
            yield b"x" * 3_000_000
            raise Corrupt("rotten")

        sink = target("x", restore=f"cat >/dev/null; touch {tmp_path}/committed").sink(host)
        with pytest.raises(Corrupt):
            sink.receive(failing())
        sink.abort()
        assert list(tmp_path.iterdir()) == []

    def test_a_failure_is_an_error(self, host: Host) -> None:
        sink = target("x", restore="echo no >&2; exit 3").sink(host)
        with pytest.raises(SourceError, match="exit code 3: no"):
            sink.receive([os.urandom(1 << 20)] * 4)

    def test_the_command_by_hand(self) -> None:
        there = target("x", restore='psql -U "$U"', container="db", user="postgres")
        assert there.restore_command("k") == "docker exec -i -u postgres db /bin/sh -c 'psql -U \"$U\"'"
        assert target("x", restore="psql").restore_command("k") == "/bin/sh -c psql"
        assert target("x").restore_command("k") == "cat"
