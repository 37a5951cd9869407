"""A mailbox for each test."""

from collections.abc import Iterator

import pytest

from tests.parts.mailbox import Mailbox, mailbox


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as opened:
        yield opened
