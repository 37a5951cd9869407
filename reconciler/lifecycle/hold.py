"""Containers are held while their data is read or replaced, and come back whatever happens. Used by apply and restore.

The journal says what runs before anything is stopped; who finds an abandoned record brings back what it names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reconciler.model import LabelStop, Quiesce, Uses
from reconciler.ports import World


class Hold:
    """What is held. ``release`` brings it back, once; after that only ``settle`` follows."""

    warnings: tuple[str, ...] = ()
    trouble: str = ""
    """Why something did not come back; empty when all did."""

    def release(self) -> None:
        """Start or continue everything that ran before, and wait until it runs. Never raises: see ``trouble``. Safe twice."""

    def check(self) -> None:
        """After the last byte was read. Raises SourceError when something started meanwhile, or it took too long."""

    def settle(self) -> None:
        """Wait until what came back is healthy, where it has a health check; if it does not get so, a warning."""

    def on_expiry(self, end: Callable[[], None]) -> None:
        """Call ``end`` when the longest downtime has passed, so that whoever reads stops reading."""


@contextmanager
def held(
    uses: Uses, quiesce: Quiesce | None, stops: tuple[LabelStop, ...], world: World, why: str
) -> Iterator[Hold]:
    """Hold for the block what ``quiesce`` and ``stops`` ask for; nothing where both ask for nothing.

    Raises EngineError, Refused when that cannot be done; then everything is as it was.
    """
    del uses, quiesce, stops, world, why
    yield Hold()
