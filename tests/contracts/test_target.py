"""What every kind of target owes: it reads whole, says so, and its sink brings back exactly what was read."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

import docker
import pytest

from reconciler.adapters.docker import connect
from reconciler.errors import Corrupt, ReconcilerError, Refused
from reconciler.model import SourceReport, Target
from reconciler.ports import Engine, Host, TargetKind, Volume
from reconciler.targets import volume as volume_module
from reconciler.targets.command import CommandTarget
from reconciler.targets.container import ContainerTarget
from reconciler.targets.image import ImageTarget
from reconciler.targets.path import PathTarget
from reconciler.targets.volume import VolumeTarget
from tests.parts.engine import EngineHost
from tests.trees import build_nasty_tree, snapshot

NEEDS_ENGINE = ["volume", "volume by the Engine", "image", "command in a container", "tmpfs of a container"]
KINDS = ["path", "file", "command here", *NEEDS_ENGINE]


class Case(NamedTuple):
    """One kind with data in place, the means to look at the data, and to lose it."""

    target: Target
    host: Host
    look: Callable[[], object]
    lose: Callable[[], None]

    @property
    def kind(self) -> TargetKind:
        return cast(TargetKind, self.target)


@pytest.fixture
def engine(engine_host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("DOCKER_HOST", engine_host.url)
    engine = connect()
    yield engine
    engine.close()


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    name = cast(str, request.param)
    if name in NEEDS_ENGINE:
        yield from on_the_engine(name, request)
    else:
        yield here(name, tmp_path)


def no_engine() -> Engine:
    raise AssertionError("this kind needs no Engine")


def here(name: str, folder: Path) -> Case:
    """The kinds that need no Engine."""
    host, place = Host(no_engine, folder), folder / "place"
    if name == "path":
        build_nasty_tree(place)
        return Case(PathTarget(name="a", path="place"), host, lambda: snapshot(place), lambda: empty(place))
    place.write_bytes(os.urandom(3_000_000))

    def lose() -> None:
        place.write_bytes(b"lost")

    if name == "file":
        return Case(
            PathTarget(name="a", path=str(place)),
            host,
            place.read_bytes,
            lose,
        )
    target = CommandTarget(name="a", backup=("cat", str(place)), restore=f"cat > {place}")
    return Case(target, host, place.read_bytes, lose)


def empty(folder: Path) -> None:
    """Lose everything in a folder."""
    for path in folder.iterdir():
        subprocess.run(["rm", "-rf", "--", path], check=True)
    (folder / "lost").touch()


def on_the_engine(name: str, request: pytest.FixtureRequest) -> Iterator[Case]:
    """The kinds that need the Engine."""
    engine: Engine = request.getfixturevalue("engine")
    engine_host: EngineHost = request.getfixturevalue("engine_host")
    host = Host(lambda: engine, Path("/"))
    if name.startswith("volume"):
        yield from volume_case(name, host, request)
        return
    client = engine_host.client()
    try:
        if name == "image":
            yield from image_case(host, client)
        elif name == "tmpfs of a container":
            yield from tmpfs_case(host, client, engine_host.image)
        else:
            yield from command_case(host, client, engine_host.image)
    finally:
        client.close()


def volume_case(name: str, host: Host, request: pytest.FixtureRequest) -> Iterator[Case]:
    engine = host.engine()

    def root() -> Path:
        made = engine.volume("contract")
        assert made is not None
        return Path(made.mountpoint)

    def lose() -> None:
        if name == "volume":
            empty(root())
        else:
            engine.remove_volume("contract")
            engine.create_volume(Volume("contract", ""))

    engine.create_volume(Volume("contract", ""))
    if name == "volume":
        build_nasty_tree(root())
    else:
        monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        monkeypatch.setattr(volume_module, "_is_readable_here", lambda volume, engine: False)
        build_plain_tree(root())
    yield Case(VolumeTarget(name="a", volume="contract"), host, lambda: snapshot(root()), lose)
    engine.remove_volume("contract")


def build_plain_tree(root: Path) -> None:
    """What the Engine's own archiver keeps: owners, modes, links, times to the second.

    Not ACLs, not holes, and of hard-linked files not setuid.
    """
    (root / "sub/empty").mkdir(parents=True)
    (root / "sub/file").write_bytes(os.urandom(100_000))
    (root / "setuid").write_bytes(b"setuid")
    (root / ("n" * 200)).write_bytes(b"long name")
    (root / "ümläut\n").write_bytes(b"name")
    os.link(root / "sub/file", root / "hard")
    (root / "soft").symlink_to("nowhere")
    os.chown(root / "sub/file", 12345, 54321)
    os.chmod(root / "sub/file", 0o640)
    os.chmod(root / "setuid", 0o4755)
    os.chown(root, 999, 998)
    os.chmod(root, 0o2750)
    for number, path in enumerate([*sorted(root.rglob("*"), reverse=True), root]):
        os.utime(path, ns=(0, (1_700_000_000 + number) * 10**9), follow_symlinks=False)


def image_case(host: Host, client: docker.DockerClient) -> Iterator[Case]:
    client.images.get("busybox:test").tag("contract-image", "v1.0_RC")
    client.api.import_image_from_data(bytes(1024), "contract-image", "v1.0_RC", changes=["ENV A=b"])
    target = ImageTarget(name="a", image="contract-image:v1.0_RC")

    def look() -> object:
        return host.engine().image(target.image)

    yield Case(target, host, look, lambda: client.images.remove(target.image))
    client.images.remove(target.image, force=True)


def command_case(host: Host, client: docker.DockerClient, image: str) -> Iterator[Case]:
    made = client.containers.run(
        image, ["sleep", "100000"], name="contract-db", network_mode="none", detach=True
    )
    made.exec_run(["sh", "-c", "head -c 3000000 /dev/urandom > /tmp/db"])
    target = CommandTarget(name="a", container="contract-db", backup="cat /tmp/db", restore="cat > /tmp/db")

    def look() -> object:
        return made.exec_run(["sha256sum", "/tmp/db"]).output

    def lose() -> None:
        made.exec_run(["sh", "-c", "echo lost > /tmp/db"])

    yield Case(target, host, look, lose)
    made.remove(force=True)


def tmpfs_case(host: Host, client: docker.DockerClient, image: str) -> Iterator[Case]:
    made = client.containers.run(
        image,
        ["sleep", "100000"],
        name="contract-tmpfs",
        network_mode="none",
        detach=True,
        tmpfs={"/data": ""},
    )
    found = host.engine().container("contract-tmpfs")
    assert found is not None
    root = Path(f"/proc/{found.pid}/root/data")
    build_nasty_tree(root, sparse_size=0)

    def look() -> object:
        ours = b".reconciler-restoring-"  # the old data, which stays until the restore is finished
        return {name: entry for name, entry in snapshot(root).items() if not name.startswith(ours)}

    yield Case(
        ContainerTarget(name="a", container="contract-tmpfs", mounts=("/data",)),
        host,
        look,
        lambda: empty(root),
    )
    made.remove(force=True)


def read(case: Case) -> tuple[bytes, SourceReport]:
    source = case.kind.open(case.host)
    try:
        return b"".join(source.chunks()), source.finish()
    finally:
        source.close()
        source.close()


def pieces(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 77_777] for at in range(0, len(data), 77_777))


def test_what_is_lost_comes_back(case: Case) -> None:
    before = case.look()
    assert case.kind.probe(case.host).problem == ""
    data, report = read(case)
    assert report.warnings == ()
    case.lose()
    assert case.look() != before
    sink = case.kind.sink(case.host)
    sink.check(True)
    sink.receive(pieces(data))
    sink.commit()
    assert case.look() == before


def test_pieces_are_small_and_reading_changes_nothing(case: Case) -> None:
    before = case.look()
    source = case.kind.open(case.host)
    assert all(0 < len(chunk) <= 2 << 20 for chunk in source.chunks())
    source.finish()
    source.close()
    assert case.look() == before


def test_close_in_the_middle_is_clean(case: Case) -> None:
    source = case.kind.open(case.host)
    next(source.chunks())
    source.close()
    source.close()


def test_a_restore_that_breaks_off_leaves_what_was_there_or_was_verified_before(case: Case) -> None:
    """A sink that cannot stage says so: it gets no byte before all of them were checked."""
    before = case.look()
    data, _ = read(case)

    def failing() -> Iterator[bytes]:
        yield data[: len(data) // 2]
        raise Corrupt("rotten")

    sink = case.kind.sink(case.host)
    if not sink.staged:
        return
    sink.check(True)
    with pytest.raises((Corrupt, ReconcilerError)):
        sink.receive(failing())
    sink.abort()
    sink.abort()
    assert case.look() == before


def test_nothing_is_overwritten_unasked(case: Case) -> None:
    if isinstance(case.target, ImageTarget):
        case.kind.sink(case.host).check(False)  # loading destroys nothing
        return
    with pytest.raises(Refused, match=r"--overwrite|--to volume:contract_restored"):
        case.kind.sink(case.host).check(False)


def test_the_command_to_restore_by_hand_is_one_line(case: Case) -> None:
    command = case.kind.restore_command("daily/key")
    assert command
    assert "\n" not in command
