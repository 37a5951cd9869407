"""What lives in a container alone: read where this machine can reach it, else in the container; restored into the mount."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.errors import ReconcilerError, Refused, SourceError
from reconciler.model import SourceReport
from reconciler.ports import Host, Source
from reconciler.targets import container as module
from reconciler.targets.container import ContainerTarget
from tests.lifecycle.yard import Yard
from tests.parts.engine import EngineHost
from tests.parts.process import until

MAKE = "mkdir -p /data/cache; echo one > /data/a; echo two > /data/cache/b; touch /made; sleep infinity"


@pytest.fixture
def yard(engine_host: EngineHost, tmp_path: Path) -> Iterator[Yard]:
    """An Engine with a container ``db`` that has files in a tmpfs at /data, and nothing else mounted."""
    with closing(Yard(engine_host, tmp_path)) as yard:
        run(yard)
        yield yard


def run(yard: Yard, command: str = MAKE, **tmpfs: str) -> None:
    made = yard.run("db", command, volumes={}, tmpfs=tmpfs or {"/data": ""})
    until(lambda: made.exec_run(["test", "-e", "/made"]).exit_code == 0, "it has made its files")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the container ran on another machine."""
    monkeypatch.setattr(module, "look_inside", lambda container, place: None)


def host(yard: Yard) -> Host:
    return yard.world().host


def target(yard: Yard, place: str = "/data", exclude: tuple[str, ...] = ()) -> ContainerTarget:
    return ContainerTarget(name="shop", container=yard.name("db"), mounts=(place,), exclude=exclude)


def read(source: Source) -> tuple[dict[str, bytes], SourceReport, bytes]:
    """Files and their content, the report, and the archive."""
    with closing(source):
        data = b"".join(source.chunks())
        report = source.finish()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = {item.name: tar.extractfile(item) for item in tar if item.isfile()}
        return {name: file.read() for name, file in files.items() if file}, report, data


def inside(yard: Yard, command: str) -> str:
    """What a command in the container says."""
    code, output = yard.client.containers.get(yard.name("db")).exec_run(["sh", "-c", command])
    assert isinstance(output, bytes)
    assert code == 0, output
    return output.decode()


def test_it_is_read_where_it_is(yard: Yard) -> None:
    files, report, _ = read(target(yard).open(host(yard)))
    assert files == {"./a": b"one\n", "./cache/b": b"two\n"}
    assert report == SourceReport(4, (), {"container": yard.name("db"), "mount": "/data"})
    assert target(yard).probe(host(yard)).problem == ""


def test_exclude(yard: Yard) -> None:
    assert list(read(target(yard, exclude=("cache/",)).open(host(yard)))[0]) == ["./a"]


@pytest.mark.usefixtures("elsewhere")
def test_elsewhere_it_is_read_in_the_container(yard: Yard) -> None:
    files, report, _ = read(target(yard).open(host(yard)))
    assert files == {"./a": b"one\n", "./cache/b": b"two\n"}
    assert report.facts == {"container": yard.name("db"), "mount": "/data"}
    with pytest.raises(SourceError, match="exclude is not known"):
        target(yard, exclude=("cache/",)).open(host(yard))
    with pytest.raises(Refused, match=r"does not run on this machine: restore with --to path:DIR"):
        target(yard).sink(host(yard))


@pytest.mark.usefixtures("elsewhere")
def test_a_place_that_is_not_there_is_an_error(yard: Yard) -> None:
    with pytest.raises(SourceError, match="nowhere"):
        read(target(yard, "/nowhere").open(host(yard)))


def test_a_link_on_the_way_is_the_containers_and_not_this_machines(yard: Yard) -> None:
    """The kernel would take /var/run → /run below /proc/PID/root for /run of this machine."""
    yard.client.containers.get(yard.name("db")).remove(force=True)
    run(
        yard,
        "mkdir -p /run /var; ln -s /run /var/run; echo in > /run/pid; touch /made; sleep infinity",
        **{"/run": ""},
    )
    files, _, _ = read(target(yard, "/var/run").open(host(yard)))
    assert files == {"./pid": b"in\n"}
    sink = target(yard, "/var/run").sink(host(yard))
    assert sink.traces.mounts[0].endswith("/root/run")


def test_a_paused_container_is_read(yard: Yard) -> None:
    yard.client.containers.get(yard.name("db")).pause()
    assert list(read(target(yard).open(host(yard)))[0]) == ["./a", "./cache/b"]
    assert target(yard).probe(host(yard)).problem == ""


def test_one_that_does_not_run_has_nothing(yard: Yard) -> None:
    yard.client.containers.get(yard.name("db")).kill()
    yard.await_status("exited", "db")
    expected = f"container {yard.name('db')} is exited: a tmpfs has content only while it runs"
    assert target(yard).probe(host(yard)).problem == expected
    with pytest.raises(ReconcilerError):
        read(target(yard).open(host(yard)))
    with pytest.raises(Refused, match="does not run on this machine"):
        target(yard).sink(host(yard))


def test_one_that_is_missing_gets_a_hint(yard: Yard) -> None:
    wrong = ContainerTarget(name="shop", container=yard.name("dbb"), mounts=("/data",))
    expected = f"container {yard.name('dbb')} does not exist (did you mean {yard.name('db')}?)"
    assert wrong.probe(host(yard)).problem.startswith(expected)
    for attempt in (wrong.open, wrong.sink):
        with pytest.raises(SourceError, match="does not exist"):
            attempt(host(yard))


@pytest.mark.parametrize("mounts", [(), ("a", "b"), ("data",)])
def test_one_that_nobody_looked_at_is_not_read(yard: Yard, mounts: tuple[str, ...]) -> None:
    vague = ContainerTarget(name="shop", container=yard.name("db"), mounts=mounts)
    with pytest.raises(SourceError, match="its mounts are not known"):
        vague.open(host(yard))


def test_a_restore_goes_into_the_running_container(yard: Yard) -> None:
    _, _, data = read(target(yard).open(host(yard)))
    inside(yard, "rm -r /data/cache; echo changed > /data/a; echo more > /data/more; chmod 700 /data")
    sink = target(yard).sink(host(yard))
    with pytest.raises(Refused, match=rf"{yard.name('db')}:/data holds data: --overwrite replaces it"):
        sink.check(False)
    sink.check(True)
    sink.receive([data])
    assert inside(yard, "cat /data/a") == "changed\n"
    sink.commit()
    sink.finish()
    assert inside(yard, "cd /data; find . | sort; cat a cache/b") == ".\n./a\n./cache\n./cache/b\none\ntwo\n"
    assert inside(yard, "stat -c %a /data") == "1777\n"  # as the Engine makes a tmpfs


def test_data_that_does_not_fit_leaves_what_was_there(yard: Yard) -> None:
    yard.client.containers.get(yard.name("db")).remove(force=True)
    run(yard, MAKE, **{"/data": "size=1m"})
    with io.BytesIO() as large:
        with tarfile.open(fileobj=large, mode="w") as tar:
            tar.addfile(_file("./large", 2 << 20), io.BytesIO(bytes(range(256)) * (2 << 12)))
        data = large.getvalue()
    sink = target(yard).sink(host(yard))
    sink.check(True)
    with pytest.raises(
        ReconcilerError, match=rf"could not unpack into {yard.name('db')}:/data \(exit code 2, 0 MiB are free"
    ):
        sink.receive([data])
    sink.abort()
    assert inside(yard, "cd /data; find . | sort; cat a") == ".\n./a\n./cache\n./cache/b\none\n"


def _file(name: str, size: int) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.size = size
    return found
