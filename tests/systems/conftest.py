"""The home server of each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.engine import EngineHost
from tests.systems.site import Site, opened


@pytest.fixture
def site(tmp_path: Path, engine_host: EngineHost) -> Iterator[Site]:
    """Specs, a destination and an Engine; nothing runs yet."""
    with opened(tmp_path, engine_host) as site:
        yield site
