"""Each folder of samples holds a compose file and the specs that it becomes, comments included. HERE stands for the folder."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler import spec
from reconciler.importers import Imported, imported

SAMPLES = sorted(path for path in (Path(__file__).parent / "samples").iterdir() if path.is_dir())
ENVIRONMENT = {"HOME": "/home/me"}
sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)


def take(sample: Path) -> Imported:
    """Import the sample where it is."""
    return imported(sample / "compose.yaml", ENVIRONMENT)


def comments(text: str) -> list[str]:
    """What the comments say, in order."""
    return re.findall(r"(?:^ *|(?<= ))#+ *(.*)$", text, re.MULTILINE)


def documents(text: str) -> list[Any]:
    """The data of the specs."""
    return list(yaml.safe_load_all(text))


@sample
def test_it_becomes_what_is_expected(sample: Path) -> None:
    expected = (sample / "expected.yaml").read_text()
    text = take(sample).text.replace(str(sample), "HERE")
    assert documents(text) == documents(expected)
    assert comments(text) == comments(expected)


@sample
def test_it_validates(sample: Path, tmp_path: Path) -> None:
    found = take(sample)
    for name, text in {"specs.yaml": found.text, **found.files}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    report = spec.check([tmp_path / "specs.yaml"])
    assert [str(problem) for problem in report.problems if problem.severity == "error"] == []
    assert report.fleet is not None
    assert report.fleet.backups


@sample
def test_no_secret_of_it_is_written(sample: Path) -> None:
    """Every secret in the samples has the word canary in it."""
    assert "canary" not in repr(take(sample))


def test_the_samples_hold_secrets() -> None:
    files = [path for sample in SAMPLES for path in (*sample.glob("compose.yaml"), *sample.glob("*.env"))]
    assert sum(path.read_text().count("canary") for path in files) >= 20


@sample
def test_twice_is_the_same(sample: Path) -> None:
    assert take(sample) == take(sample)


@sample
def test_where_it_lies_is_named_for_paths_alone(sample: Path, tmp_path: Path) -> None:
    """In another folder of the same name it becomes the same, but for absolute paths."""
    other = tmp_path / sample.name
    shutil.copytree(sample, other)
    assert documents(take(other).text.replace(str(other), "HERE")) == documents(
        (sample / "expected.yaml").read_text()
    )
