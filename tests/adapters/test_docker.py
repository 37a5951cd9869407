"""The Engine's adapter against a real Engine: volumes, images, commands, and an Engine that freezes or dies."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
import pytest

from reconciler.adapters import docker as adapter
from reconciler.adapters.docker import connect
from reconciler.errors import EngineError, SourceError
from reconciler.model import SourceReport
from reconciler.ports import Engine, Source, Volume
from tests.parts.engine import EngineHost
from tests.parts.engine import engine_host as start_engine
from tests.parts.process import MissingPart, own_folder, until

SH = "/bin/sh", "-c"


@pytest.fixture
def engine(engine_host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("DOCKER_HOST", engine_host.url)
    engine = connect()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def api(engine_host: EngineHost) -> Iterator[docker.APIClient]:
    client = docker.APIClient(base_url=engine_host.url, version="auto")
    yield client
    client.close()


@pytest.fixture
def volume(engine: Engine) -> Iterator[Volume]:
    engine.create_volume(Volume("adapter-test", "", labels={"a": "b"}))
    made = engine.volume("adapter-test")
    assert made is not None
    yield made
    engine.remove_volume("adapter-test")


@contextmanager
def running(api: docker.APIClient, image: str, name: str) -> Iterator[str]:
    """A container that does nothing until it is told to."""
    host = api.create_host_config(network_mode="none", init=False)
    made = api.create_container(image, ["sleep", "100000"], name=name, host_config=host)["Id"]
    try:
        api.start(made)
        yield name
    finally:
        api.remove_container(made, force=True)


@pytest.fixture(scope="module")
def container(api: docker.APIClient, engine_host: EngineHost) -> Iterator[str]:
    """A running container that the tests share."""
    with running(api, engine_host.image, "adapter-app") as name:
        yield name


@pytest.fixture
def doomed(api: docker.APIClient, engine_host: EngineHost) -> Iterator[str]:
    """A running container for one test."""
    with running(api, engine_host.image, "adapter-doomed") as name:
        yield name


def everything(source: Source) -> tuple[bytes, SourceReport]:
    try:
        return b"".join(source.chunks()), source.finish()
    finally:
        source.close()


def processes(api: docker.APIClient, name: str) -> list[str]:
    """What runs in a container beside its first process. What stands in brackets has ended, and is not reaped yet."""
    named = [str(entry[-1]) for entry in api.top(name)["Processes"][1:]]
    return [name for name in named if not name.startswith("[")]


def kill_itself(code: str, host: EngineHost) -> None:
    """Run Python code that ends with SIGKILL."""
    env = {**os.environ, "DOCKER_HOST": host.url}
    killed = subprocess.run([sys.executable, "-c", code], env=env, check=False)
    assert killed.returncode == -signal.SIGKILL


def drained(source: Source, chunks: Iterator[bytes]) -> SourceReport:
    """The verdict after the rest of the chunks."""
    for _ in chunks:
        pass
    return source.finish()


def scratch(api: docker.APIClient) -> list[str]:
    """Everything that carries the label of scratch containers."""
    labelled = {"label": adapter.SCRATCH}
    found = api.containers(all=True, filters=labelled) + api.images(filters=labelled)
    return [entry["Id"] for entry in found]


class TestConnecting:
    def test_no_engine_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
        with pytest.raises(
            EngineError, match=r"no Docker Engine answers at unix://.*none\.sock.*DOCKER_HOST"
        ):
            connect()

    @pytest.mark.parametrize(
        ("host", "why"),
        [
            ("tcp://localhost:2375", "has no TLS"),
            ("ssh://me@far", "only unix:// is"),
            ("npipe:////./pipe/x", "only"),
        ],
    )
    def test_other_ways_are_refused(self, monkeypatch: pytest.MonkeyPatch, host: str, why: str) -> None:
        monkeypatch.setenv("DOCKER_HOST", host)
        with pytest.raises(EngineError, match=why):
            connect()


class TestVolumes:
    def test_looking(self, engine: Engine, volume: Volume) -> None:
        assert volume.labels == {"a": "b"}
        assert volume in engine.volumes()
        assert engine.volume("no-such-volume") is None
        engine.remove_volume("no-such-volume")

    def test_a_volume_is_here_only_if_the_engine_sees_the_same_folder(
        self, engine: Engine, volume: Volume, tmp_path: Path
    ) -> None:
        assert engine.is_here(volume)
        (tmp_path / "x").touch()
        assert not engine.is_here(Volume(volume.name, str(tmp_path)))
        assert not engine.is_here(Volume(volume.name, str(tmp_path / "nowhere")))

    def test_reading_and_writing_leave_nothing_behind(
        self, engine: Engine, volume: Volume, api: docker.APIClient
    ) -> None:
        data = tar({"sub/file": b"content" * 1000, "empty": b""})
        engine.write_volume(volume.name, [data[:700], data[700:]])
        root = Path(volume.mountpoint)
        assert (root / "sub/file").read_bytes() == b"content" * 1000
        assert (root / "sub/file").stat().st_uid == 12345
        read, report = everything(engine.read_volume(volume.name))
        assert report == SourceReport()
        with tarfile.open(fileobj=io.BytesIO(read)) as found:
            assert sorted(found.getnames()) == [".", "./empty", "./sub", "./sub/file"]
        engine.close()
        assert scratch(api) == []

    def test_a_missing_volume_is_not_made_by_looking(self, engine: Engine) -> None:
        with pytest.raises(EngineError, match="does not exist"):
            engine.read_volume("no-such-volume")
        with pytest.raises(EngineError, match="does not exist"):
            engine.write_volume("no-such-volume", [b""])
        assert engine.volume("no-such-volume") is None

    def test_a_broken_tar_is_refused(self, engine: Engine, volume: Volume) -> None:
        with pytest.raises(EngineError, match="writing volume adapter-test"):
            engine.write_volume(volume.name, [b"no tar" * 1000])

    def test_chunks_that_fail_pass_their_error_on(
        self, engine: Engine, volume: Volume, api: docker.APIClient
    ) -> None:
        def failing() -> Iterator[bytes]:
            yield tar({"file": b"x" * 100_000})[:5000]
            raise SourceError("rotten")

        with pytest.raises(SourceError, match="rotten"):
            engine.write_volume(volume.name, failing())
        engine.close()
        assert scratch(api) == []

    def test_what_a_killed_run_left_is_removed_by_the_next(
        self, engine_host: EngineHost, engine: Engine, volume: Volume, api: docker.APIClient
    ) -> None:
        code = (
            "import os, signal; from reconciler.adapters.docker import connect;"
            f"s = connect().read_volume({volume.name!r}); next(s.chunks()); os.kill(os.getpid(), signal.SIGKILL)"
        )
        kill_itself(code, engine_host)
        assert len(scratch(api)) == 2
        assert all(c.name for c in engine.containers())
        assert not any("reconciler" in tag for image in engine.images() for tag in image.tags)
        everything(engine.read_volume(volume.name))
        engine.close()
        assert scratch(api) == []
        kill_itself(code, engine_host)
        connect().close()  # also where nothing has to be read
        assert scratch(api) == []

    def test_another_process_keeps_its_scratch_containers(
        self, engine: Engine, volume: Volume, api: docker.APIClient
    ) -> None:
        source = engine.read_volume(volume.name)
        other = connect()
        everything(other.read_volume(volume.name))
        other.close()
        assert len(scratch(api)) == 2
        assert everything(source)[0]


class TestImages:
    def test_looking(self, engine: Engine, engine_host: EngineHost) -> None:
        image = engine.image(engine_host.image)
        assert image is not None
        assert image.id.startswith("sha256:")
        assert image in engine.images()
        assert engine.image("no/such:image") is None

    def test_a_missing_image_cannot_be_saved(self, engine: Engine) -> None:
        with pytest.raises(EngineError, match="saving image no/such:image"):
            everything(engine.save_image("no/such:image"))

    def test_rubbish_cannot_be_loaded(self, engine: Engine) -> None:
        with pytest.raises(EngineError):
            engine.load_image([b"rubbish" * 1000])


class TestReadingCommands:
    def test_stdout_is_exact_and_alone(self, engine: Engine, container: str) -> None:
        said, report = everything(engine.run(container, (*SH, r"printf 'a\nb\r\n\0'; echo noise >&2")))
        assert (said, report) == (b"a\nb\r\n\0", SourceReport())

    def test_a_list_runs_as_it_stands(self, engine: Engine, container: str) -> None:
        assert everything(engine.run(container, ("echo", "a  b", "$HOME")))[0] == b"a  b $HOME\n"

    def test_stdin_is_empty(self, engine: Engine, container: str) -> None:
        assert everything(engine.run(container, ("cat",)))[0] == b""

    def test_the_user_is_the_one_asked_for(self, engine: Engine, container: str) -> None:
        assert everything(engine.run(container, ("id", "-u"), "4321"))[0] == b"4321\n"

    @pytest.mark.parametrize(
        ("script", "said"),
        [
            ("echo out; echo why it failed >&2; exit 3", "exit code 3: why it failed$"),
            ("echo only on stdout; exit 3", "exit code 3: only on stdout$"),
            ("exit 3", "exit code 3: it said nothing$"),
            ("echo out; kill -9 $$", "exit code 137"),
            ("no-such-program", "exit code 127: .*not found"),
            ("echo out | false", "exit code 1"),
            (r"printf '\377\033[31m' >&2; exit 1", "exit code 1: \ufffd"),
        ],
    )
    def test_a_failure_is_an_error_with_the_last_words(
        self, engine: Engine, container: str, script: str, said: str
    ) -> None:
        with pytest.raises(SourceError, match=said):
            everything(engine.run(container, (*SH, script)))

    def test_a_large_dump_needs_little_memory(self, engine: Engine, container: str) -> None:
        source = engine.run(container, (*SH, "head -c 200000000 /dev/zero"))
        tracemalloc.start()
        try:
            assert sum(map(len, source.chunks())) == 200_000_000
            source.finish()
            assert tracemalloc.get_traced_memory()[1] < 16 << 20
        finally:
            tracemalloc.stop()
            source.close()

    def test_a_flood_on_stderr_needs_little_memory(self, engine: Engine, container: str) -> None:
        script = "head -c 30000000 /dev/zero | tr '\\0' e >&2; echo fine; echo the end >&2; exit 5"
        tracemalloc.start()
        try:
            with pytest.raises(SourceError, match=r"the end$") as raised:
                everything(engine.run(container, (*SH, script)))
            assert tracemalloc.get_traced_memory()[1] < 16 << 20
        finally:
            tracemalloc.stop()
        assert len(str(raised.value)) < 3000

    @pytest.mark.parametrize(
        "script", ["sleep 5555 | cat & yes", "trap '' TERM; echo x; sleep 5555", "sleep 5555"]
    )
    def test_close_ends_the_command_in_the_container(
        self, engine: Engine, container: str, api: docker.APIClient, script: str
    ) -> None:
        source = engine.run(container, (*SH, script))
        until(lambda: any("sleep 5555" in p for p in processes(api, container)), "the command starts")
        source.close()
        source.close()
        assert processes(api, container) == []

    def test_a_killed_reconciler_leaves_no_command_running(
        self, engine_host: EngineHost, container: str, api: docker.APIClient
    ) -> None:
        code = (
            "import os, signal; from reconciler.adapters.docker import connect;"
            f"s = connect().run({container!r}, ('/bin/sh', '-c', 'sleep 5555 & yes'));"
            "next(s.chunks()); os.kill(os.getpid(), signal.SIGKILL)"
        )
        kill_itself(code, engine_host)
        until(lambda: processes(api, container) == [], "the command ends")

    def test_a_finished_command_leaves_no_zombie(
        self, engine: Engine, container: str, api: docker.APIClient
    ) -> None:
        everything(engine.run(container, (*SH, "echo x")))
        assert processes(api, container) == []

    def test_a_container_that_is_killed_in_the_middle_is_an_error(
        self, engine: Engine, doomed: str, api: docker.APIClient
    ) -> None:
        source = engine.run(doomed, (*SH, "yes"))
        chunks = source.chunks()
        next(chunks)
        api.kill(doomed)
        with pytest.raises((SourceError, EngineError)):
            drained(source, chunks)
        source.close()

    def test_a_container_that_is_restarted_is_an_error(
        self, engine: Engine, doomed: str, api: docker.APIClient
    ) -> None:
        source = engine.run(doomed, (*SH, "echo whole"))
        assert b"".join(source.chunks()) == b"whole\n"
        api.restart(doomed, timeout=0)
        with pytest.raises(SourceError, match="restarted or replaced"):
            source.finish()
        source.close()

    def test_a_container_that_does_not_run_is_an_error(
        self, engine: Engine, doomed: str, api: docker.APIClient
    ) -> None:
        api.pause(doomed)
        with pytest.raises(EngineError, match="adapter-doomed is paused"):
            engine.run(doomed, ("true",))
        api.unpause(doomed)
        api.kill(doomed)
        with pytest.raises(EngineError, match="adapter-doomed is exited: start it first"):
            engine.run(doomed, ("true",))
        with pytest.raises(EngineError, match="no-such-container"):
            engine.run("no-such-container", ("true",))

    def test_a_container_without_a_shell(self, engine: Engine, api: docker.APIClient) -> None:
        """A list needs no shell."""
        image = Path("/usr/bin/busybox") if Path("/usr/bin/busybox").exists() else Path("/bin/busybox")
        made = api.import_image_from_data(
            tar({"sleep": image.read_bytes(), "echo": image.read_bytes()}, 0o755)
        )
        identity = json.loads(made.splitlines()[-1])["status"]
        try:
            host = api.create_host_config(network_mode="none")
            bare = api.create_container(identity, ["/sleep", "1000"], name="adapter-bare", host_config=host)[
                "Id"
            ]
            try:
                api.start(bare)
                assert everything(engine.run("adapter-bare", ("/echo", "hello")))[0] == b"hello\n"
            finally:
                api.remove_container(bare, force=True)
        finally:
            api.remove_image(identity)


class TestFeedingCommands:
    def test_all_bytes_arrive(self, engine: Engine, container: str) -> None:
        data = os.urandom(1 << 20)
        engine.feed(container, (*SH, "cat > /tmp/fed; echo talk; echo talk >&2"), [data] * 20)
        read, _ = everything(engine.run(container, ("cat", "/tmp/fed")))
        assert read == data * 20

    @pytest.mark.parametrize(
        ("script", "said"),
        [
            ("cat >/dev/null; echo no good >&2; exit 4", "exit code 4: no good$"),
            ("echo gone at once; exit 1", "exit code 1: gone at once$"),
            ("no-such-program", "exit code 127: .*not found"),
        ],
    )
    def test_a_failure_is_an_error(self, engine: Engine, container: str, script: str, said: str) -> None:
        with pytest.raises(SourceError, match=said):
            engine.feed(container, (*SH, script), [b"x" * (1 << 20)] * 5)

    def test_a_command_may_stop_reading(self, engine: Engine, container: str) -> None:
        engine.feed(container, ("head", "-c", "10"), [b"x" * (1 << 20)] * 5)

    def test_data_that_breaks_off_never_looks_complete(
        self, engine: Engine, container: str, api: docker.APIClient
    ) -> None:
        """The command is killed before its stdin ends: it must not take half of the data for all of it."""

        def failing() -> Iterator[bytes]:
            yield b"x" * 100_000
            raise SourceError("rotten")

        with pytest.raises(SourceError, match="rotten"):
            engine.feed(container, (*SH, "cat >/tmp/half; echo committed >/tmp/committed"), failing())
        assert processes(api, container) == []
        assert b"committed" not in everything(engine.run(container, ("ls", "/tmp")))[0]


class TestAnEngineThatFreezesOrDies:
    """An Engine of its own, since it does not survive."""

    @pytest.fixture
    def own(self) -> Iterator[EngineHost]:
        try:
            with start_engine() as host:
                yield host
        except MissingPart as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(str(error))

    @pytest.fixture
    def impatient(self, own: EngineHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
        """An Engine that has to answer within two seconds, with the container `frozen`."""
        monkeypatch.setenv("DOCKER_HOST", own.url)
        client = own.client()
        client.containers.run(own.image, ["sleep", "100000"], name="frozen", network_mode="none", detach=True)
        client.close()
        engine = connect(idle=2)
        yield engine
        engine.close()

    def test_streams_end_with_an_error_in_time(self, own: EngineHost, impatient: Engine) -> None:
        """But a command may be silent for longer than that."""
        quiet = impatient.run("frozen", (*SH, "echo begun; sleep 5; echo whole"))
        assert everything(quiet)[0] == b"begun\nwhole\n"
        pid = int((own.log.parent / "pid").read_text())
        source = impatient.run("frozen", (*SH, "echo begun; sleep 1000"))
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(EngineError, match="stopped answering while running a command"):
                b"".join(source.chunks())
            with pytest.raises(EngineError, match="cannot be reached while looking at volume x"):
                impatient.volume("x")
            source.close()
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def cut(engine_host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The Engine through a proxy that cuts a connection as soon as 200,000 bytes of answer have passed."""
    with own_folder("cut") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = str(folder / "cut.sock")
        listener.bind(path)
        listener.listen()
        proxy = threading.Thread(target=cut_every, args=(listener, engine_host.url.removeprefix("unix://")))
        proxy.start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        engine = connect()
        yield engine
        engine.close()
        listener.shutdown(socket.SHUT_RDWR)
        proxy.join()


def cut_every(listener: socket.socket, target: str) -> None:
    """Pass every connection on, with a limit, until the listener is shut down."""
    threads = []
    with suppress(OSError):
        while True:
            near, _ = listener.accept()
            far = socket.socket(socket.AF_UNIX)
            far.connect(target)
            threads += [
                threading.Thread(target=forward, args=(near, far, 1 << 60)),
                threading.Thread(target=forward, args=(far, near, 200_000)),
            ]
            for thread in threads[-2:]:
                thread.start()
    for thread in threads:
        thread.join()


def forward(source: socket.socket, sink: socket.socket, limit: int) -> None:
    """Copy up to ``limit`` bytes, then end both directions."""
    with source, suppress(OSError):
        while limit > 0 and (data := source.recv(min(limit, 65536))):
            sink.sendall(data)
            limit -= len(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def test_a_connection_that_breaks_is_an_error(
    cut: Engine, engine: Engine, volume: Volume, container: str
) -> None:
    (Path(volume.mountpoint) / "large").write_bytes(os.urandom(3 << 20))
    for source in (
        cut.read_volume(volume.name),
        cut.save_image("busybox:test"),
        cut.run(container, (*SH, "head -c 1000000 /dev/zero; sleep 5555")),
    ):
        with pytest.raises((EngineError, SourceError), match=r"broke|not known|refused"):
            everything(source)


def tar(files: dict[str, bytes], mode: int = 0o640) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.uid, info.gid, info.mode = len(content), 12345, 54321, mode
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
