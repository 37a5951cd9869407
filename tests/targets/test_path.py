"""A path target: what it finds, what it reads, and that its data comes back."""

import os
import socket
import subprocess
from pathlib import Path

import msgspec
import pytest

from reconciler.errors import SourceError
from reconciler.ports import Engine, Host
from reconciler.targets.path import PathTarget


def no_engine() -> Engine:
    raise AssertionError("a path needs no Engine")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(no_engine, tmp_path)


def test_identity_and_extension() -> None:
    target = PathTarget(name="grafana", path="x")
    assert (str(target.id), target.kind, target.stem_extension) == ("grafana/files", "path", "tar")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data", "/specs/data"),
        ("./a/../b", "/specs/b"),
        ("/abs/x", "/abs/x"),
        ("../up", "/up"),
        ("~/x", "~/x"),
    ],
)
def test_a_relative_path_starts_at_the_spec(path: str, expected: str) -> None:
    target = PathTarget(name="n", path=path, exclude=("x",)).located(Path("/specs"))
    assert target == PathTarget(name="n", path=os.path.expanduser(expected), exclude=("x",))


def test_probe_tells_what_is_missing(tmp_path: Path, host: Host) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert PathTarget(name="n", path=str(tmp_path / "folder")).probe(host).problem == ""
    assert PathTarget(name="n", path=str(tmp_path / "file")).probe(host).problem == ""
    assert "does not exist" in PathTarget(name="n", path=str(tmp_path / "nowhere")).probe(host).problem
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        assert "neither a folder nor" in PathTarget(name="n", path=str(tmp_path / "s")).probe(host).problem


def test_what_is_missing_cannot_be_opened(tmp_path: Path, host: Host) -> None:
    with pytest.raises(SourceError, match="No such file"):
        PathTarget(name="n", path=str(tmp_path / "nowhere")).open(host)


@pytest.mark.parametrize("pattern", ["", "/", "a\nb", "//"])
def test_a_pattern_that_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"kind": "path", "name": "n", "path": "x", "exclude": [pattern]}, PathTarget)


@pytest.mark.parametrize("single", [False, True])
def test_restore_by_hand_works(tmp_path: Path, host: Host, single: bool) -> None:
    place = tmp_path / "with space"
    place.mkdir()
    (place / "file").write_bytes(b"content")
    target = PathTarget(name="n", path=str(place / "file" if single else place))
    command = target.restore_command("key")
    source = target.open(host)
    data = b"".join(source.chunks())
    assert source.finish().files == (1 if single else 2)
    source.close()
    (place / "file").unlink()
    subprocess.run(["sh", "-c", command], input=data, check=True)
    assert (place / "file").read_bytes() == b"content"
