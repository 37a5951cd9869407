"""Whatever a compose file holds, it becomes specs or an error of one line: never a traceback, never a secret."""

import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import ReconcilerError
from reconciler.importers import imported
from reconciler.importers.settings import LOST, NEEDLESS, TAKEN
from reconciler.spec.reader import read
from tests.cli.place import Place
from tests.importers.test_samples import SAMPLES

QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
NAMES = sorted({*TAKEN, *LOST, *NEEDLESS})
VALUES = st.text(st.sampled_from("/:@.[]{}$#*?-_ ~0129azAZ\n\\'\"%|,é"), max_size=14) | st.sampled_from(
    [
        "http://[::1",
        "s3://x",
        "/",
        "//",
        "-1",
        "9" * 400,
        "1e9",
        "nan",
        "1.2.3h",
        "@every x",
        "* * * * * * *",
        "0 0 30 2 *",
    ]
)


def attempt(folder: Path) -> str:
    """Import the file in ``folder``; an empty text when it is refused, and then in one line."""
    try:
        text, message = imported(folder / "compose.yaml", {"HOME": "/home/me"}).text, ""
    except ReconcilerError as error:
        text, message = "", str(error)
    assert "\n" not in message
    documents, problems, whole = read("specs.yaml", text)
    assert (problems, whole) == ([], True)
    assert bool(documents) == bool(text)
    return text


@QUICK
@given(
    st.dictionaries(st.sampled_from(NAMES) | st.sampled_from(NAMES).map("{}_FILE".format), VALUES, max_size=8)
)
def test_any_values_of_settings(tmp_path: Path, environment: dict[str, str]) -> None:
    service = {
        "image": "offen/docker-volume-backup",
        "environment": {name: value.replace("$", "$$") for name, value in environment.items()},
        "volumes": ["data:/backup/data", "/srv/keys:/keys", "./here:/archive"],
    }
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump({"services": {"backup": service}}))
    assert attempt(tmp_path) or environment


@QUICK
@given(
    st.sampled_from(SAMPLES),
    st.integers(0, 10_000),
    st.sampled_from(["", " ", "\n", ":", "- ", "{", "*a", "&a ", "<<: ", "$"]),
)
def test_files_that_were_damaged(tmp_path: Path, sample: Path, position: int, put: str) -> None:
    folder = tmp_path / sample.name
    shutil.copytree(sample, folder, dirs_exist_ok=True)
    text = (sample / "compose.yaml").read_text()
    at = position % len(text)
    (folder / "compose.yaml").write_text(text[:at] + put + text[at + 1 :])
    assert "canary" not in attempt(folder)


@pytest.mark.parametrize(
    "bad", ['environment: {"A\\e[31m\\r\\nB": x}', 'labels: {"docker-volume-backup.\\e[2J": x}']
)
def test_nothing_of_it_speaks_to_the_terminal(tmp_path: Path, bad: str) -> None:
    place = Place(tmp_path)
    backup = f"{{image: offen/docker-volume-backup, {bad}, volumes: ['data:/backup/data']}}"
    place.write("compose.yaml", f"services: {{app: {{{bad}}}, backup: {backup}}}\n")
    ran = place.run("import", "compose", "compose.yaml")
    assert ran.code == 0
    assert "\x1b" not in ran.out + ran.err
    assert "\r" not in ran.out + ran.err
    assert "an odd name" in ran.err


def test_folders_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(
        "services: {backup: {image: offen/docker-volume-backup, volumes: ['./conf:/etc/dockervolumebackup/conf.d']}}\n"
    )
    with pytest.raises(ReconcilerError, match="conf is not there: import where all files are"):
        imported(tmp_path / "compose.yaml", {})
