"""What sinks have in common that replace nothing that could come back. A base of those in ``targets`` and ``restore``."""

from __future__ import annotations

from reconciler.model import Uses
from reconciler.model.restores import Traces


class PlainSink:
    """No container is stopped for it, a kill leaves nothing, and what was done stays done."""

    @property
    def uses(self) -> Uses:
        """Nothing is replaced."""
        return Uses()

    @property
    def traces(self) -> Traces:
        """Nothing is left."""
        return Traces()

    @property
    def kept(self) -> str:
        """Nothing."""
        return ""

    def finish(self) -> None:
        """Nothing is kept."""

    def revert(self) -> None:
        """Nothing can come back."""
