"""A project with a source and one good destination, and small disks of its own, for the tests of bad input."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import in_ci
from tests.faults.project import Project
from tests.parts.process import MissingPart, need_root


class Disks:
    """Filesystems in memory, mounted by root."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder

    def mount(self, name: str, options: str) -> Path:
        """A new filesystem; where it is mounted."""
        place = self._folder / name
        place.mkdir()
        self._run("mount", "-t", "tmpfs", "-o", options, "tmpfs", place)
        self._stack.callback(self._run, "umount", "--lazy", place)
        return place

    def remount(self, place: Path, options: str) -> None:
        """Change the options."""
        self._run("mount", "-o", f"remount,{options}", place)

    def bind(self, source: Path, place: Path) -> None:
        """Show ``source`` at ``place``."""
        self._run("mount", "--bind", source, place)

    def unmount(self, place: Path) -> None:
        """Take what is mounted away."""
        self._run("umount", place)

    def _run(self, *command: str | Path) -> None:
        subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    """Needs root."""
    try:
        need_root("mounting a small disk")
    except MissingPart as error:
        if in_ci():
            pytest.fail(f"missing part: {error}", pytrace=False)
        pytest.skip(f"missing part: {error}")
    folder = tmp_path / "disks"
    folder.mkdir()
    with ExitStack() as stack:
        yield Disks(stack, folder)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Specs that are still to be written."""
    return Project(tmp_path / "project")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree of 3 MB that does not compress."""
    tree = tmp_path / "source"
    (tree / "folder").mkdir(parents=True)
    (tree / "folder" / "text").write_text("words\n" * 1000)
    with Path("/dev/urandom").open("rb") as random:
        (tree / "random").write_bytes(random.read(3_000_000))
    return tree
