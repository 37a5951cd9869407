"""The place in which the commands run."""

from pathlib import Path

import pytest

from tests.cli.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Specs, data and two destinations on disk; nothing is backed up yet."""
    return Place(tmp_path)


@pytest.fixture
def applied(place: Place) -> Place:
    """The same, after the first apply."""
    ran = place.run("apply")
    assert (ran.code, ran.err) == (0, "")
    return place
