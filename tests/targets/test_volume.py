"""Volumes on a real Engine: who may be overwritten, what is read where, and what the application sees afterwards."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from reconciler.adapters.docker import connect
from reconciler.errors import ReconcilerError, Refused, SourceError
from reconciler.model import SourceReport
from reconciler.model.restores import Traces
from reconciler.ports import Engine, Host, Source, Volume
from reconciler.targets import volume as module
from reconciler.targets.volume import VolumeTarget, sink_for
from tests.parts.engine import IMAGE, EngineHost
from tests.trees import snapshot

NAME = "target_volume"


@pytest.fixture
def engine(engine_host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("DOCKER_HOST", engine_host.url)
    engine = connect()
    yield engine
    for volume in engine.volumes():
        if volume.name.startswith(NAME):
            engine.remove_volume(volume.name)
    engine.close()


@pytest.fixture
def host(engine: Engine) -> Host:
    return Host(lambda: engine, Path("/"))


@pytest.fixture
def root(engine: Engine) -> Path:
    """The folder of a volume with data."""
    engine.create_volume(Volume(NAME, "", labels={"com.example": "shop"}))
    made = engine.volume(NAME)
    assert made is not None
    (Path(made.mountpoint) / "cache").mkdir()
    (Path(made.mountpoint) / "cache/x").write_text("x")
    (Path(made.mountpoint) / "data").write_text("old")
    return Path(made.mountpoint)


@pytest.fixture
def client(engine_host: EngineHost) -> Iterator[docker.DockerClient]:
    client = engine_host.client()
    yield client
    client.close()


@pytest.fixture
def only_by_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the Engine's folders were not on this machine."""
    monkeypatch.setattr(module, "_is_readable_here", lambda volume, engine: False)


def read(source: Source) -> tuple[bytes, SourceReport]:
    try:
        return b"".join(source.chunks()), source.finish()
    finally:
        source.close()


def names(data: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return set(tar.getnames())


def restore(data: bytes, name: str, host: Host, facts: dict[str, str] | None = None) -> None:
    sink = sink_for(name, host, facts or {})
    sink.check(overwrite=True)
    sink.receive([data])
    sink.commit()
    sink.finish()


def test_a_misspelt_volume_gets_a_hint(host: Host, root: Path) -> None:
    target = VolumeTarget(name="a", volume="target_volum")
    expected = "volume target_volum does not exist (did you mean target_volume?)"
    assert target.probe(host).problem.startswith(expected)
    with pytest.raises(SourceError, match="does not exist"):
        target.open(host)


def test_the_folder_is_read_where_it_is(host: Host, root: Path) -> None:
    data, report = read(VolumeTarget(name="a", volume=NAME, exclude=("cache/",)).open(host))
    assert names(data) == {".", "./cache", "./data"}
    assert report.facts == {"volume": NAME, "driver": "local", "labels": '{"com.example": "shop"}'}


@pytest.mark.usefixtures("only_by_the_engine")
def test_exclude_needs_the_folder(host: Host, root: Path) -> None:
    assert names(read(VolumeTarget(name="a", volume=NAME).open(host))[0]) == {
        ".",
        "./cache",
        "./cache/x",
        "./data",
    }
    with pytest.raises(SourceError, match="knows no exclude"):
        VolumeTarget(name="a", volume=NAME, exclude=("cache/",)).open(host)


def test_a_volume_that_is_a_mount_is_read_mounted(host: Host, engine: Engine, tmp_path: Path) -> None:
    """The folder of a volume with driver options is empty while no container uses it."""
    (tmp_path / "real").write_text("data")
    options = {"type": "none", "o": "bind", "device": str(tmp_path)}
    engine.create_volume(Volume(NAME, "", options=options))
    data, report = read(VolumeTarget(name="a", volume=NAME).open(host))
    assert "./real" in names(data)
    assert report.facts["options"] == "device, o, type"
    with pytest.raises(Refused, match="holds data and can be reached only through the Engine"):
        sink_for(NAME, host).check(True)


def test_a_container_started_afterwards_sees_the_restored_data(
    host: Host, root: Path, client: docker.DockerClient
) -> None:
    """One made before the restore too: the folder was swapped below it."""
    data, _ = read(VolumeTarget(name="a", volume=NAME).open(host))
    volumes = {NAME: {"bind": "/v", "mode": "rw"}}
    sees = [
        "grep",
        "-qx",
        "old",
        "/v/data",
    ]  # told by its exit code: the Engine may hand out logs before they are whole
    older = client.containers.create("busybox:test", sees, volumes=volumes, network_mode="none")
    (root / "data").write_text("newer")
    restore(data, NAME, host)
    try:
        older.start()
        assert older.wait()["StatusCode"] == 0
    finally:
        older.remove(force=True)
    younger = client.containers.create("busybox:test", sees, volumes=volumes, network_mode="none")
    try:
        younger.start()
        assert younger.wait()["StatusCode"] == 0
    finally:
        younger.remove(force=True)


@pytest.mark.parametrize("paused", [False, True])
def test_a_volume_in_use_is_refused(
    host: Host, root: Path, client: docker.DockerClient, paused: bool
) -> None:
    volumes = {NAME: {"bind": "/v", "mode": "rw"}}
    user = client.containers.run(
        "busybox:test",
        ["sleep", "1000"],
        name="user-of-it",
        volumes=volumes,
        network_mode="none",
        detach=True,
    )
    try:
        if paused:
            user.pause()
        sink = sink_for(NAME, host)
        sink.check(True)  # whoever restores stops it before the commit
        with pytest.raises(Refused, match="in use by user-of-it: stop it first"):
            sink.commit()
    finally:
        user.remove(force=True)


def test_a_container_started_meanwhile_stops_the_swap(
    host: Host, root: Path, client: docker.DockerClient
) -> None:
    data, _ = read(VolumeTarget(name="a", volume=NAME).open(host))
    before, sink = snapshot(root), sink_for(NAME, host)
    sink.check(True)
    sink.receive([data])
    volumes = {NAME: {"bind": "/v", "mode": "rw"}}
    user = client.containers.run(
        "busybox:test", ["sleep", "1000"], volumes=volumes, network_mode="none", detach=True
    )
    try:
        with pytest.raises(Refused, match="in use"):
            sink.commit()
        sink.abort()
    finally:
        user.remove(force=True)
    assert snapshot(root) == before
    assert [path.name for path in root.parent.iterdir() if path.name != "opts.json"] == ["_data"]


def test_a_missing_volume_is_made_as_it_was(host: Host, root: Path, engine: Engine) -> None:
    data, report = read(VolumeTarget(name="a", volume=NAME).open(host))
    before = snapshot(root)
    engine.remove_volume(NAME)
    restore(data, NAME, host, report.facts)
    made = engine.volume(NAME)
    assert made is not None
    assert made.labels == {"com.example": "shop"}
    assert snapshot(Path(made.mountpoint)) == before
    restore(data, f"{NAME}_restored", host, report.facts)
    beside = engine.volume(f"{NAME}_restored")
    assert beside is not None
    assert beside.labels == {}


def test_a_missing_volume_with_options_is_not_guessed(host: Host) -> None:
    with pytest.raises(Refused, match=r"had driver options \(device, o\).*make it first"):
        sink_for(NAME, host, {"volume": NAME, "options": "device, o"}).check(False)


@pytest.mark.parametrize("by_engine", [False, True])
def test_a_failed_restore_to_a_missing_volume_leaves_none(
    host: Host, engine: Engine, by_engine: bool, request: pytest.FixtureRequest
) -> None:
    if by_engine:
        request.getfixturevalue("only_by_the_engine")
    sink = sink_for(NAME, host)
    assert sink.staged
    sink.check(False)
    with pytest.raises(ReconcilerError):
        sink.receive([os.urandom(5000)])
    sink.abort()
    assert engine.volume(NAME) is None


@pytest.mark.usefixtures("only_by_the_engine")
def test_the_engine_writes_to_new_or_empty_volumes_alone(host: Host, root: Path, engine: Engine) -> None:
    data, _ = read(VolumeTarget(name="a", volume=NAME).open(host))
    sink = sink_for(NAME, host)
    with pytest.raises(Refused, match=f"--to volume:{NAME}_restored"):
        sink.check(True)
    restore(data, f"{NAME}_restored", host)
    engine.create_volume(Volume(f"{NAME}_empty", ""))
    sink = sink_for(f"{NAME}_empty", host)
    assert (sink.staged, sink.traces) == (False, Traces(filled=f"{NAME}_empty"))
    restore(data, f"{NAME}_empty", host)
    for name in ("restored", "empty"):
        made = engine.volume(f"{NAME}_{name}")
        assert made is not None
        assert (Path(made.mountpoint) / "data").read_text() == "old"


def test_a_tmpfs_that_nothing_uses_is_no_empty_backup(host: Host, client: docker.DockerClient) -> None:
    """It was emptied with the last container that used it; an empty artifact would push the good ones out."""
    memory = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    client.volumes.create(NAME, driver_opts=memory)
    target = VolumeTarget(name="shop", volume=NAME)
    told = f"volume {NAME} is a tmpfs, which has content only while a container uses it: none does"
    assert target.probe(host).problem == told
    with pytest.raises(SourceError, match=told):
        target.open(host)
    box = client.containers.run(
        IMAGE, ["sleep", "600"], volumes={NAME: {"bind": "/d"}}, network_mode="none", detach=True
    )
    assert target.probe(host).problem == ""
    target.open(host).close()
    box.remove(force=True)
