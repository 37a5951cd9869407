"""A source whose tar is checked on the way past. Used by the targets that read tar streams out of the Engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from reconciler.model import SourceReport
from reconciler.pipeline.tarcheck import TarCheck
from reconciler.ports import Source


class CheckedTar:
    """A ports.Source around another one. ``complete`` may add to its report, and raise SourceError."""

    def __init__(self, source: Source, complete: Callable[[SourceReport], SourceReport]) -> None:
        self._source = source
        self._complete = complete
        self._check = TarCheck()

    def chunks(self) -> Iterator[bytes]:
        """The same bytes. Raises SourceError where they are no tar."""
        for chunk in self._source.chunks():
            self._check.feed(chunk)
            yield chunk

    def finish(self) -> SourceReport:
        """The verdict of the source, then of the tar. Raises SourceError when its end is missing."""
        report = self._source.finish()
        self._check.finish()
        return self._complete(msgspec.structs.replace(report, files=self._check.members))

    def close(self) -> None:
        """Close the source."""
        self._source.close()
