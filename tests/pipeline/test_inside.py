"""Files of a container as this machine sees them: links lead where they lead in the container, and never out of it."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.adapters.engine_forms import container_of_inspection
from reconciler.pipeline.inside import is_same, look_inside
from reconciler.ports import Container
from tests.parts.engine import EngineHost
from tests.parts.process import until

LINKS = {
    "/place": "/data/folder",
    "/data/up": "../data/folder",
    "/out": "../../../../../etc",
    "/two": "/place",
    "/round": "/round",
}


@pytest.fixture(scope="module")
def container(engine_host: EngineHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A running container with a tmpfs at /data, links around it, and a bind mount."""
    bound = tmp_path_factory.mktemp("bound")
    (bound / "file").write_text("bound")
    links = "; ".join(f"ln -s {target} {link}" for link, target in LINKS.items())
    command = f"mkdir -p /data/folder /etc; touch /etc/of-the-container; echo inside > /data/folder/name; {links}; sleep 600"
    with closing(engine_host.client()) as client:
        made = client.containers.run(
            engine_host.image,
            ["sh", "-c", command],
            detach=True,
            network_mode="none",
            tmpfs={"/data": ""},
            volumes={str(bound): {"bind": "/bound"}},
        )
        until(lambda: made.exec_run(["test", "-h", "/round"]).exit_code == 0, "it has made its links")
        yield container_of_inspection(client.api.inspect_container(str(made.id)))
        made.remove(force=True)


@pytest.mark.parametrize(
    "place", ["/data/folder", "/place", "/data/up", "/two", "/data/./up//", "/data/folder/.."]
)
def test_links_are_followed_in_the_container(container: Container, place: str) -> None:
    found = look_inside(container, place)
    assert found is not None
    with closing(found):
        if place.endswith(".."):
            assert (found.place, sorted(os.listdir(found.path))) == ("/data", ["folder", "up"])
        else:
            assert found.place == "/data/folder"
            assert (found.path / "name").read_text() == "inside\n"


def test_a_path_never_leads_out(container: Container) -> None:
    found = look_inside(container, "/out")
    assert found is not None
    with closing(found):
        assert found.place == "/etc"
        assert not os.path.samefile(found.path, "/etc")
        assert (found.path / "of-the-container").exists()
    top = look_inside(container, "/../..")
    assert top is not None
    with closing(top):
        assert top.place == "/"
        assert (top.path / "data/folder").is_dir()


@pytest.mark.parametrize("place", ["/round", "/nowhere", "/data/folder/name/x"])
def test_what_is_not_there_is_none(container: Container, place: str) -> None:
    assert look_inside(container, place) is None


def test_a_folder_that_is_held_stays_the_same(container: Container, engine_host: EngineHost) -> None:
    found = look_inside(container, "/data/folder")
    assert found is not None
    with closing(found), closing(engine_host.client()) as client:
        swap = "mv /data/folder /data/moved; ln -s /etc /data/folder"
        client.containers.get(container.id).exec_run(["sh", "-c", swap])
        assert os.listdir(found.path) == ["name"]
        client.containers.get(container.id).exec_run(
            ["sh", "-c", "rm /data/folder; mv /data/moved /data/folder"]
        )


def test_another_process_under_its_number_is_not_the_container(container: Container) -> None:
    other = Container(id=container.id, name="x", state="running", pid=os.getpid())
    assert look_inside(other, "/") is None
    assert look_inside(Container(id=container.id, name="x", state="exited"), "/") is None
    assert look_inside(Container(id=container.id, name="x", state="running", pid=2**22 + 1), "/") is None


def test_whether_a_bind_mount_is_a_folder_of_this_machine(container: Container, tmp_path: Path) -> None:
    (bound,) = (mount.source for mount in container.mounts if mount.type == "bind")
    assert is_same(container, "/bound", bound)
    assert is_same(container, "/bound/file", f"{bound}/file")
    assert not is_same(container, "/bound", str(tmp_path))
    assert not is_same(container, "/bound", str(tmp_path / "missing"))


def test_nothing_stays_open(container: Container) -> None:
    before = os.listdir("/proc/self/fd")
    for place in ("/two", "/out", "/round", "/nowhere"):
        found = look_inside(container, place)
        if found:
            found.close()
            found.close()
    is_same(container, "/bound", "/")
    assert os.listdir("/proc/self/fd") == before
