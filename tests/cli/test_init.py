import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli.writing import write_new
from reconciler.errors import ReconcilerError
from tests.cli.place import PROGRAM, Place
from tests.trees import snapshot

WROTE = """\
made new a git repository
wrote new/backup.d/destinations.yaml
wrote new/backup.d/policy.yaml
wrote new/backup.d/example.yaml
wrote new/schemas/reconciler.json
wrote new/.pre-commit-config.yaml
wrote new/.github/workflows/backups.yaml
wrote new/.gitlab-ci.yml
wrote new/.gitignore
wrote new/README.md
next: read new/backup.d, then
  cd new
  reconciler plan
  git add . && git commit -m 'Back up what runs here'
  reconciler apply
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place without an Engine."""
    place = Place(tmp_path)
    place.env["DOCKER_HOST"] = f"unix://{tmp_path}/nothing.sock"
    return place


def inside(place: Place) -> Place:
    """The new repository, as the place where commands run."""
    new = Place.__new__(Place)
    new.root, new.now, new.env = place.root / "new", place.now, place.env
    return new


def test_without_an_engine_an_example_that_works_at_once(place: Place) -> None:
    ran = place.process("init", "new")
    assert (ran.code, ran.out) == (0, WROTE)
    first, second = ran.err.splitlines()
    assert first.startswith("warning: so this is an example: no Docker Engine answers at unix://")
    assert second == (
        "warning: copies go to new/copies, on the disk of these specs: name another one in destinations.yaml"
    )
    new = inside(place)
    assert new.git("symbolic-ref", "HEAD") == "refs/heads/main\n"
    before = snapshot(new.root / "backup.d")
    validated = new.run("validate")
    assert (validated.code, validated.out) == (0, "3 files, 0 errors, 1 warning\n")
    assert new.run("plan").code == 2
    assert new.run("apply").code == 0
    assert new.run("plan").out == "Nothing to do: the backups are as the specs want them.\n"
    assert new.git("status", "--porcelain", "--", "copies") == ""
    assert new.run("restore", "specs", "--to", "path:back").code == 0
    assert snapshot(new.root / "back") == before


def test_the_new_repository_passes_its_own_pre_commit(place: Place, tmp_path: Path) -> None:
    """The real pre-commit, with the file as it was written; a mistake fails it."""
    assert place.run("init", "new").code == 0
    new = inside(place)

    def pre_commit() -> tuple[int, str]:
        new.git("add", "--all")
        path = f"{Path(PROGRAM).parent}:{os.environ['PATH']}"
        env = {**new.environment(), "PATH": path, "PRE_COMMIT_HOME": str(tmp_path / "home")}
        command = [str(Path(sys.executable).parent / "pre-commit"), "run", "--all-files", "--color=never"]
        done = subprocess.run(command, cwd=new.root, env=env, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    code, said = pre_commit()
    assert (code, said.endswith(".Passed\n")) == (0, True), said
    policy = new.root / "backup.d/policy.yaml"
    policy.write_text(policy.read_text().replace("rule321", "rule123"))
    code, said = pre_commit()
    assert code == 1
    assert re.search(r"backup\.d/policy\.yaml:6:3: .*rule123", said), said


def test_another_destination(place: Place) -> None:
    ran = place.run("init", "new", "--destination", "s3://acme-backups/docker")
    assert ran.code == 0
    assert "copies go to" not in ran.err
    assert ".gitignore" not in ran.out
    text = (place.root / "new/backup.d/destinations.yaml").read_text()
    assert "metadata: {name: s3}\n" in text
    assert "  url: s3://acme-backups/docker\n" in text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/srv/copies", "expected a URL: a folder is written as file:///folder"),
        ("s3://canary@bucket/x", "credentials in the URL"),
        ("gopher://x", 'unknown protocol "gopher"'),
    ],
)
def test_a_destination_that_is_none(place: Place, url: str, said: str) -> None:
    ran = place.run("init", "new", "--destination", url)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"error: --destination: {said}")
    assert "canary" not in ran.err
    assert not (place.root / "new").exists()


def test_a_folder_that_holds_other_things_gets_only_more(place: Place) -> None:
    kept = place.write("new/notes.txt", "mine")
    place.write("new/backup.d/hooks/dump.sh", "mine")
    ran = place.run("init", "new")
    assert ran.code == 0
    assert kept.read_text() == "mine"
    assert inside(place).run("validate").code == 0


def test_no_file_is_overwritten(place: Place) -> None:
    place.write("new/README.md", "mine")
    (place.root / "new/.gitlab-ci.yml").symlink_to("nowhere")
    before = snapshot(place.root / "new")
    ran = place.run("init", "new")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[-1] == (
        "error: new/.gitlab-ci.yml, new/README.md are there already: move them away, or name another folder"
    )
    assert snapshot(place.root / "new") == before


@pytest.mark.parametrize("name", ["new/backup.d/mine.yaml", "new/backup.d/deep/mine.yml"])
def test_specs_that_are_there_are_not_begun_again(place: Place, name: str) -> None:
    place.write(name, "")
    ran = place.run("init", "new")
    assert (ran.code, ran.out) == (1, "")
    assert "new/backup.d is there already, and init only begins: reconciler coverage" in ran.err
    assert [path.name for path in (place.root / "new").iterdir()] == ["backup.d"]


def test_a_repository_that_is_there_keeps_its_branch_and_its_origin(place: Place) -> None:
    (place.root / "new").mkdir()
    new = inside(place)
    new.git("init", "--quiet", "--initial-branch=trunk")
    new.git("remote", "add", "origin", "https://canary@github.com/me/backups.git")
    ran = new.run("init", ".")
    assert ran.code == 0
    assert "git repository" not in ran.out
    assert "  cd " not in ran.out
    assert "branches: [trunk]" in (new.root / ".github/workflows/backups.yaml").read_text()
    assert not (new.root / ".gitlab-ci.yml").exists()
    written = [
        path.read_text() for path in new.root.rglob("*") if path.is_file() and ".git" not in path.parts
    ]
    assert written
    assert "canary" not in "".join(written)


def test_a_part_of_a_repository(place: Place) -> None:
    place.into_git()
    ran = place.run("init", "new")
    assert ran.code == 0
    assert (
        "warning: no CI and no pre-commit, which belong to the root of the repository: docs/ci.md" in ran.err
    )
    assert sorted(path.name for path in (place.root / "new").iterdir()) == [
        ".gitignore",
        "README.md",
        "backup.d",
        "schemas",
    ]


def test_an_engine_that_cannot_be_asked_is_an_error(place: Place) -> None:
    place.env["DOCKER_HOST"] = "tcp://127.0.0.1:1"
    ran = place.run("init", "new")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: DOCKER_HOST=tcp://127.0.0.1:1 has no TLS")
    assert not (place.root / "new").exists()


def test_without_git_nothing_is_written(place: Place) -> None:
    place.env["PATH"] = str(place.root)
    ran = place.run("init", "new")
    assert (ran.code, ran.out) == (1, "")
    assert (
        "error: new cannot become a git repository: there is no git program in PATH; install git\n" in ran.err
    )
    assert list((place.root / "new").iterdir()) == []


def test_a_folder_that_cannot_be_made(place: Place) -> None:
    place.write("file", "")
    ran = place.run("init", "file/new")
    assert (ran.code, ran.out) == (1, "")
    assert "error: file/new cannot be made: Not a directory\n" in ran.err


def test_what_cannot_be_written_whole_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    before = snapshot(tmp_path)
    with pytest.raises(ReconcilerError, match="cannot be written: File exists"):
        write_new(tmp_path, {tmp_path / "first": "x", tmp_path / "file/inside": "x"})
    assert snapshot(tmp_path).keys() == before.keys()
