from pathlib import Path

import pytest

from tests.cli.place import Place

SAMPLES = Path(__file__).parent.parent / "importers/samples"
COMPOSE = """\
services:
  backup:
    image: offen/docker-volume-backup:v2
    environment: {BACKUP_LATEST_SYMLINK: latest, AWS_S3_BUCKET_NAME: copies, AWS_SECRET_ACCESS_KEY: canary}
    volumes: ["data:/backup/data"]
volumes: {data: }
"""


@pytest.fixture
def web(place: Place) -> Place:
    """The place, with a compose file in the folder `web`."""
    place.write("web/compose.yaml", COMPOSE)
    return place


def test_specs_on_stdout_and_what_is_left_on_stderr(web: Place) -> None:
    ran = web.process("import", "compose", "web/compose.yaml")
    assert ran.code == 0
    assert "url: s3://copies" in ran.out
    assert ran.err == (
        "Not needed here:\n"
        "  compose.yaml:4: BACKUP_LATEST_SYMLINK: restore finds the newest itself\n"
        "Secrets that the reconciler needs in its environment:\n"
        "  AWS_SECRET_ACCESS_KEY: its value is at compose.yaml:4\n"
    )
    assert "canary" not in ran.out
    web.write("imported/web.yaml", ran.out)
    assert web.run("validate", "imported").code == 0


def test_specs_as_files_that_are_part_of_the_fleet(web: Place) -> None:
    ran = web.run("import", "compose", "web/compose.yaml", "--output", "backup.d")
    assert (ran.code, ran.out) == (0, "wrote backup.d/web.yaml\nnext: reconciler validate backup.d\n")
    assert (
        web.run("import", "compose", "web/compose.yaml").out == (web.root / "backup.d/web.yaml").read_text()
    )


def test_nothing_is_overwritten(place: Place) -> None:
    sample = str(SAMPLES / "key-ring/compose.yaml")
    key = place.write("new/keys/key-ring.asc", "mine")
    ran = place.run("import", "compose", sample, "--output", "new")
    assert ran.code == 1
    assert ran.err == "error: new/keys/key-ring.asc is there already: move it away, or name another folder\n"
    assert sorted(path.name for path in (place.root / "new").rglob("*")) == ["key-ring.asc", "keys"]
    key.unlink()
    assert place.run("import", "compose", sample, "--output", "new").code == 0
    assert key.read_text().startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    assert place.run("validate", "new").code == 0


def test_public_keys_need_a_folder(place: Place) -> None:
    ran = place.run("import", "compose", str(SAMPLES / "key-ring/compose.yaml"))
    assert (ran.code, ran.out) == (1, "")
    assert "name a folder with --output" in ran.err


def test_a_folder_that_cannot_be_written_is_said(web: Place) -> None:
    web.write("file", "")
    ran = web.run("import", "compose", "web/compose.yaml", "--output", "file/inside")
    assert (ran.code, ran.err) == (1, "error: file/inside cannot be written: Not a directory\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: [a", "wrong.yaml:2:1: a list [ … ] is not closed"),
        ("services: {web: {image: nginx}}", "no docker-volume-backup, no volume and no known database in it"),
        (
            COMPOSE.replace("/backup/data", "/elsewhere"),
            "nothing is mounted where its docker-volume-backup looks",
        ),
        (
            "services:\n  web:\n    env_file: missing.env\n",
            "wrong.yaml:3:15: the env_file missing.env is not there",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(place: Place, text: str, message: str) -> None:
    place.write("wrong.yaml", text)
    ran = place.run("import", "compose", "wrong.yaml")
    assert (ran.code, ran.out) == (1, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1


def test_a_file_that_is_not_there(place: Place) -> None:
    ran = place.run("import", "compose", "missing.yaml")
    assert (ran.code, ran.err) == (1, "missing.yaml:1:1: cannot be read: No such file or directory\n")
