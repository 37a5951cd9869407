"""The mounts of a container as targets: which, under which names, and what is no data of it."""

import os
import socket
from pathlib import Path

import msgspec
import pytest

from reconciler.model import Hook, Quiesce, Target
from reconciler.observe.mounts import expand, slug
from reconciler.ports import Container, Mount, Volume
from reconciler.targets.container import ContainerTarget
from reconciler.targets.path import PathTarget
from reconciler.targets.volume import VolumeTarget

ASKED = ContainerTarget(name="shop", container="shop-db")
ANONYMOUS = "0f" * 32


def volume(name: str, place: str, *, writable: bool = True) -> Mount:
    return Mount("volume", place, name, f"/var/lib/docker/volumes/{name}/_data", writable)


def made(
    *mounts: Mount, labels: dict[str, str] | None = None, asked: ContainerTarget = ASKED, folder: str = ""
) -> tuple[Target, ...]:
    """The targets of a container that does not run."""
    found = expand(asked, _container(mounts, labels, folder), _volumes(mounts))
    assert not found.problem
    return found.targets


def refused(*mounts: Mount, labels: dict[str, str] | None = None, asked: ContainerTarget = ASKED) -> str:
    return expand(asked, _container(mounts, labels), _volumes(mounts)).problem


def _container(mounts: tuple[Mount, ...], labels: dict[str, str] | None, folder: str = "") -> Container:
    return Container(
        id="1", name="shop-db", state="exited", mounts=mounts, labels=labels or {}, folder=folder
    )


def _volumes(mounts: tuple[Mount, ...]) -> dict[str, Volume]:
    """Those whose names begin with `shop_` are docker compose's."""
    labels = {
        name: {"com.docker.compose.volume": name.removeprefix("shop_")} for name in ("shop_data", "shop_logs")
    }
    return {mount.name: Volume(mount.name, "", labels=labels.get(mount.name, {})) for mount in mounts}


def ids(targets: tuple[Target, ...]) -> list[str]:
    return [str(target.id) for target in targets]


def test_each_mount_becomes_what_it_is(tmp_path: Path) -> None:
    targets = made(
        volume("shop_data", "/var/lib/db"),
        Mount("bind", "/srv/files", source=str(tmp_path)),
        Mount("tmpfs", "/scratch"),
        folder=str(tmp_path),
    )
    assert targets == (
        ContainerTarget(name="shop", type="scratch", container="shop-db", mounts=("/scratch",)),
        PathTarget(name="shop", type="files", path=str(tmp_path)),
        VolumeTarget(name="shop", type="data", volume="shop_data"),
    )


def test_a_bind_mount_whose_machine_is_not_known_is_read_in_the_container(tmp_path: Path) -> None:
    """A folder of the same name here may be another one."""
    bind = Mount("bind", "/srv/files", source=str(tmp_path))
    (target,) = made(bind, folder="/nowhere/containers/1")
    assert target == ContainerTarget(name="shop", type="files", container="shop-db", mounts=("/srv/files",))
    running = msgspec.structs.replace(
        _container((bind,), None, str(tmp_path)), pid=os.getpid(), state="running"
    )
    (target,) = expand(ASKED, running, {}).targets
    assert isinstance(target, ContainerTarget)


@pytest.mark.parametrize(
    ("mount", "type_"),
    [
        (volume("shop_data", "/x"), "data"),
        (volume("My_Volume.1", "/x"), "my-volume.1"),
        (volume(ANONYMOUS, "/var/lib/postgresql/data"), "data"),
        (Mount("tmpfs", "/Some Place"), "some-place"),
        (Mount("tmpfs", "/"), "root"),
        (Mount("tmpfs", "/ä"), "data"),
        (volume("v" * 80, "/x"), "v" * 63),
    ],
)
def test_types(mount: Mount, type_: str) -> None:
    assert ids(made(mount)) == [f"shop/{type_}"]


def test_types_that_would_be_the_same_are_told_apart_by_their_paths() -> None:
    mounts = [Mount("tmpfs", "/b/data"), Mount("tmpfs", "/a/data"), volume("shop_logs", "/logs")]
    assert ids(made(*mounts)) == ["shop/a-data", "shop/b-data", "shop/logs"]
    assert ids(made(*reversed(mounts))) == ["shop/a-data", "shop/b-data", "shop/logs"]


def test_a_type_that_was_given_is_that_of_the_one_mount_or_stands_before_each() -> None:
    asked = msgspec.structs.replace(ASKED, type="db")
    assert ids(made(volume("shop_data", "/x"), asked=asked)) == ["shop/db"]
    two = (volume("shop_data", "/x"), volume("shop_logs", "/y"))
    assert ids(made(*two, asked=asked)) == ["shop/db-data", "shop/db-logs"]


@pytest.mark.parametrize("word", ["data", "shop_data", "/var/lib/db", "db"])
def test_a_mount_is_chosen_by_any_of_its_names(word: str) -> None:
    asked = msgspec.structs.replace(ASKED, mounts=(word,))
    mounts = (volume("shop_data", "/var/lib/db"), volume("shop_logs", "/logs"))
    assert ids(made(*mounts, asked=asked)) == ["shop/data"]
    assert ids(made(*mounts, labels={"backup.velero.io/backup-volumes": f" {word} ,"})) == ["shop/data"]
    excluded = {"backup.velero.io/backup-volumes-excludes": word}
    assert ids(made(*mounts, labels=excluded)) == ["shop/logs"]
    assert ids(made(*mounts, labels=excluded, asked=asked)) == ["shop/data"]  # the spec has the last word


def test_a_mount_that_is_not_there_is_an_error() -> None:
    mounts = (volume("shop_data", "/var/lib/db"), Mount("tmpfs", "/scratch"))
    asked = msgspec.structs.replace(ASKED, mounts=("data", "dta"))
    expected = "container shop-db has no mount dta; there are: scratch (/scratch), data (/var/lib/db)"
    assert refused(*mounts, asked=asked) == expected
    assert "no mount x;" in refused(*mounts, labels={"backup.velero.io/backup-volumes": "x"})
    assert "no mount y;" in refused(*mounts, labels={"backup.velero.io/backup-volumes-excludes": "y"})
    assert refused() == "container shop-db has no mount that holds data"


def test_what_is_no_data_of_the_container_is_left_out_and_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
    mounts = (
        volume("shop_data", "/data"),
        volume("shop_data", "/data2"),
        volume("shop_logs", "/logs", writable=False),
        Mount("bind", "/config", source=str(tmp_path), writable=False),
        Mount("bind", "/far.sock", source="/nowhere/docker.sock"),
        Mount("bind", "/s", source=str(tmp_path / "s")),
        Mount("bind", "/null", source="/dev/null"),
        Mount("bind", "/host", source="/"),
        Mount("bind", "/host-sys", source="/sys/fs"),
    )
    found = expand(ASKED, _container(mounts, None), _volumes(mounts))
    assert ids(found.targets) == ["shop/data"]
    assert [text.partition(" is left out: ")[0] for text in found.left_out] == sorted(
        mount.destination for mount in mounts[1:]
    )
    assert "/data2 is left out: volume shop_data is mounted twice" in found.left_out
    assert "/s is left out: it is no folder and no file" in found.left_out


def test_what_is_named_is_read_even_where_it_is_read_only() -> None:
    asked = msgspec.structs.replace(ASKED, mounts=("/logs",))
    assert ids(made(volume("shop_logs", "/logs", writable=False), asked=asked)) == ["shop/logs"]


def test_hooks_quiesce_and_exclude_go_to_each_artifact() -> None:
    def hook(**where: str) -> Hook:
        return msgspec.convert({"phase": "archive-pre", "exec": {"command": ["id"], **where}}, Hook)

    quiesce = Quiesce(mode="pause")
    plain, placed = hook(), hook(container="other")
    asked = msgspec.structs.replace(ASKED, hooks=(plain, placed), quiesce=quiesce, exclude=("*.tmp",))
    for target in made(volume("shop_data", "/data"), Mount("tmpfs", "/scratch"), asked=asked):
        assert target.hooks == (hook(container="shop-db"), placed)
        assert target.quiesce == quiesce
        assert getattr(target, "exclude", None) == ("*.tmp",)


@pytest.mark.parametrize(("text", "name"), [("Shop_DB", "shop-db"), ("--", "data"), ("a" * 70, "a" * 63)])
def test_slug(text: str, name: str) -> None:
    assert slug(text) == name
