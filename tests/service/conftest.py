"""The site in which the service runs."""

from pathlib import Path

import pytest

from tests.service.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A remote without commits; one destination is written, nothing is pushed."""
    return Site(tmp_path)
