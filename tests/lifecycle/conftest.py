"""Yards on the shared Engine, and on one that the test may kill."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.lifecycle.yard import Yard
from tests.parts.engine import EngineHost


@pytest.fixture
def yard(engine_host: EngineHost, tmp_path: Path) -> Iterator[Yard]:
    """On the Engine of all tests."""
    with closing(Yard(engine_host, tmp_path)) as yard:
        yield yard


@pytest.fixture
def own_yard(own_engine: EngineHost, tmp_path: Path) -> Iterator[Yard]:
    """On an Engine that this test may kill, restart and freeze; the reconciler waits two seconds for each answer."""
    with closing(Yard(own_engine, tmp_path, idle=2)) as yard:
        yield yard
