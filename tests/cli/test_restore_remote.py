"""``kind: Restore`` as people use it: a commit pushed to a remote, pulled by the machine that has the data, done once."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.place import Place
from tests.trees import snapshot

AUTHOR = ("-c", "user.name=A", "-c", "user.email=a@example.com")
ORDER = """\
apiVersion: reconciler/v1
kind: Restore
metadata: {name: after-bad-upgrade}
spec:
  target: {service: shop, type: uploads}
  at: "2026-01-20T12:00:00Z"
  overwrite: true
"""


class Remote:
    """A bare repository, the machine that pulls from it and pushes its status there, and somebody who commits elsewhere."""

    def __init__(self, machine: Place, folder: Path) -> None:
        self.machine = machine
        self.hub = folder / "hub.git"
        self.desk = folder / "desk"
        machine.into_git()
        machine.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.hub))
        machine.git("remote", "add", "origin", str(self.hub))
        machine.git("push", "--quiet", "--set-upstream", "origin", "main")
        machine.git("clone", "--quiet", str(self.hub), str(self.desk))

    def commit(self, text: str) -> None:
        """Somebody asks for a restore, or takes the document away (no text), and pushes."""
        file = self.desk / "backup.d/restore.yaml"
        if text:
            file.write_text(text)
        else:
            file.unlink()
        for arguments in (
            ("add", "--all"),
            (*AUTHOR, "commit", "--quiet", "-m", "Order"),
            ("push", "--quiet"),
        ):
            subprocess.run(["git", *arguments], cwd=self.desk, check=True)

    def pull(self) -> None:
        """The machine gets the specs of now."""
        self.machine.git("pull", "--quiet", "--ff-only")

    def clone_afresh(self) -> None:
        """The machine's repository is replaced by a new clone; its data stays."""
        for name in (".git", "backup.d"):
            shutil.rmtree(self.machine.root / name)
        new = self.machine.root / "new"
        self.machine.git("clone", "--quiet", str(self.hub), str(new))
        for name in (".git", "backup.d"):
            (new / name).rename(self.machine.root / name)


@pytest.fixture
def remote(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Remote:
    """A backup was made, the data was damaged then, and nobody has asked for anything yet."""
    made = Remote(place, tmp_path_factory.mktemp("remote"))
    assert place.run("apply").code == 0
    return made


def state(machine: Place) -> list[str]:
    return [item["state"] for item in machine.run("status", "--output", "json").json["restores"]]


def test_a_pulled_document_is_planned_then_done_and_never_again(remote: Remote) -> None:
    machine = remote.machine
    photo = machine.root / "uploads/photo.jpg"
    good = snapshot(machine.root / "uploads")
    photo.write_text("damaged")
    remote.commit(ORDER)
    assert "restore" not in machine.run("plan").out, "not pulled yet"
    remote.pull()
    planned = machine.run("plan")
    assert (planned.code, "~ restore   shop/uploads" in planned.out) == (2, True), planned
    assert photo.read_text() == "damaged", "a plan changes nothing"
    ran = machine.run("apply")
    assert ran.code == 0, ran.err
    assert snapshot(machine.root / "uploads") == good
    assert state(machine) == ["done"]
    assert machine.git("status", "--porcelain", "backup.d") == "", "no work tree is touched"

    photo.write_text("newer work")
    again = machine.run("apply")
    assert (again.code, "restore" in again.out) == (0, False), again
    remote.commit("")
    remote.pull()
    assert machine.run("apply").code == 0
    remote.commit(ORDER)  # the same once more, as a revert of a revert brings it
    remote.pull()
    assert "restore" not in machine.run("plan").out
    assert machine.run("apply").code == 0
    assert photo.read_text() == "newer work"


@pytest.mark.parametrize("memory", ["pushed status", "journal"])
def test_a_fresh_clone_knows_what_was_done(remote: Remote, memory: str) -> None:
    machine = remote.machine
    photo = machine.root / "uploads/photo.jpg"
    remote.commit(ORDER)
    remote.pull()
    assert machine.run("apply").code == 0
    if memory == "pushed status":
        machine.git("push", "--quiet", "origin", "backup-status")
        shutil.rmtree(machine.root / "state")
    remote.clone_afresh()
    photo.write_text("newer work")
    ran = machine.run("apply")
    assert (ran.code, "restore" in ran.out) == (0, False), ran
    assert photo.read_text() == "newer work"
    assert state(machine) == ["done"]


def test_a_fresh_clone_that_remembers_nothing_leaves_the_data_alone(remote: Remote) -> None:
    machine = remote.machine
    photo = machine.root / "uploads/photo.jpg"
    remote.commit(ORDER)
    remote.pull()
    assert machine.run("apply").code == 0
    shutil.rmtree(machine.root / "state")
    remote.clone_afresh()
    photo.write_text("newer work")
    for _ in range(2):
        ran = machine.run("apply")
        assert ran.code == 1
        assert "nothing here remembers" in ran.err
        assert photo.read_text() == "newer work"
