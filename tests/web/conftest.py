from collections.abc import Iterator

import pytest

from tests.web.place import SECRET, TOKEN, Served, served


@pytest.fixture
def site() -> Iterator[Served]:
    """Open to this machine."""
    with served(secret=SECRET) as opened:
        yield opened


@pytest.fixture
def closed() -> Iterator[Served]:
    """Open to whoever has the token."""
    with served(token=TOKEN) as opened:
        yield opened
