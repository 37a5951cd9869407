"""A restore into a volume in memory, which lives only while a container uses it, on a real Engine."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from reconciler.targets.volume import VolumeSink
from tests.faults.project import Project, backup, destination, policy
from tests.lifecycle.yard import Yard


class Memory:
    """A tmpfs volume that the container ``user`` uses; a backup of it was made, and its data is lost."""

    def __init__(self, yard: Yard, folder: Path) -> None:
        self.yard = yard
        self.volume = yard.name("memory")
        yard.client.volumes.create(
            self.volume, driver_opts={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
        )
        self.user = yard.run("user", volumes={self.volume: {"bind": "/d", "mode": "rw"}})
        self.inside(
            "umask 027; mkdir /d/deep; echo row > /d/deep/rows; chown 70:71 /d/deep/rows; ln -s deep /d/link"
        )
        self.before = self.look()
        env = {"DOCKER_HOST": yard.host.url, "RECONCILER_STATE_DIR": str(yard.state)}
        self.project = Project(folder / "project", env)
        target = {"name": "shop", "kind": "volume", "volume": self.volume}
        self.project.write(
            policy(), destination("disk", f"file://{folder}/disk"), backup("b", [target], ["disk"])
        )
        made = self.project.do("apply")
        assert made.code == 0, made
        self.inside("rm -r /d/deep /d/link")

    def inside(self, command: str) -> str:
        """Run it in the container; what it said."""
        done = self.user.exec_run(["sh", "-c", command])
        assert done.exit_code == 0, done
        assert isinstance(done.output, bytes)
        return done.output.decode()

    def look(self) -> str:
        """Names, modes, owners, links and content."""
        return self.inside("cd /d; find . ! -name . | sort | xargs stat -c '%N %a %u:%g'; cat deep/rows")


@pytest.fixture
def memory(yard: Yard, tmp_path: Path) -> Iterator[Memory]:
    made = Memory(yard, tmp_path)
    yield made
    made.user.remove(force=True)
    yard.client.volumes.get(made.volume).remove()


def test_what_uses_it_runs_on_and_sees_the_data(memory: Memory) -> None:
    started = memory.yard.started("user")
    ran = memory.project.do("restore", "shop/data")
    assert ran.code == 0, ran
    assert memory.look() == memory.before
    assert memory.yard.started("user") == started
    again = memory.project.do("restore", "shop/data", "--overwrite")
    assert again.code == 1
    assert "cannot swap it" in again.err
    assert memory.look() == memory.before


def test_without_a_user_nothing_could_stay(memory: Memory) -> None:
    memory.user.kill()
    memory.user.wait()
    ran = memory.project.do("restore", "shop/data")
    assert ran.code == 1
    assert "start what uses it first" in ran.err


def test_a_user_that_ends_meanwhile_is_no_success(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = VolumeSink.receive

    def receive(self: VolumeSink, chunks: Iterable[bytes]) -> None:
        whole(self, chunks)
        memory.user.kill()
        memory.user.wait()

    with monkeypatch.context() as patched:
        patched.setattr(VolumeSink, "receive", receive)
        ran = memory.project.do("restore", "shop/data")
    assert ran.code == 1, ran
    assert "ended meanwhile" in ran.err
    memory.user.start()
    assert memory.project.do("restore", "shop/data").code == 0
    assert memory.look() == memory.before
