"""The pinned packages are what pyproject.toml asks for, each with hashes, from no particular place."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
RUNTIME = PROJECT["dependencies"] + [
    need for name in ("s3", "sftp", "webdav", "age", "metrics") for need in EXTRAS[name]
]


def pins(name: str) -> dict[str, str]:
    """Versions by package name of one requirements file."""
    found = re.findall(r"(?m)^([\w.-]+)==([^\s;]+)", (REPOSITORY / name).read_text())
    return {package.lower(): version for package, version in found}


@pytest.mark.parametrize(
    ("file", "asked"), [("requirements.txt", RUNTIME), ("requirements-dev.txt", RUNTIME + EXTRAS["dev"])]
)
def test_every_dependency_is_pinned_in_its_range(file: str, asked: list[str]) -> None:
    """After a change of dependencies `make requirements` resolves them again."""
    pinned = pins(file)
    for need in map(Requirement, asked):
        name = need.name.lower().replace("_", "-").replace(".", "-")
        assert name == PROJECT["name"] or need.specifier.contains(pinned.get(name, "0")), f"{need} in {file}"


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt", "requirements-uv.txt"])
def test_every_pin_has_hashes_and_no_address(file: str) -> None:
    text = (REPOSITORY / file).read_text()
    for line in text.replace("\\\n", " ").splitlines():
        assert re.fullmatch(r"[\w.-]+==\S+( ; [^\\]+?)?(\s+--hash=sha256:[0-9a-f]{64})+", line), line


def test_both_files_pin_the_same_versions() -> None:
    runtime, development = pins("requirements.txt"), pins("requirements-dev.txt")
    assert {name: development[name] for name in runtime} == runtime
