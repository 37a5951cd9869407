"""Writes a new file past the page cache, where its filesystem lets us. Used by the destination ``file``.

A backup is written once and not read again soon: cached, it would push out the pages of the applications that it protects,
cost a copy of every byte (measured: 0.4 s of processor time for 600 MB), and leave the final fsync all the waiting.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os

SIZE = 4 << 20
"""Bytes written at a time. A whole number of any disk's blocks, as direct writes must be; the buffer is aligned, too."""


class DirectWriter:
    """Appends to a file descriptor, which stays its owner's. What is smaller than ``SIZE`` goes the ordinary way."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._buffer = mmap.mmap(-1, SIZE)
        self._filled = 0
        self._direct = False

    def write(self, data: bytes) -> None:
        """Append ``data``; all of it is written after ``finish``. Raises OSError."""
        with memoryview(data) as view:
            taken = 0
            while taken < len(view):
                step = min(len(view) - taken, SIZE - self._filled)
                self._buffer[self._filled : self._filled + step] = view[taken : taken + step]
                self._filled += step
                taken += step
                if self._filled == SIZE:
                    self._direct = self._direct or self._set_direct(True)
                    self._flush()

    def finish(self) -> None:
        """Write the rest, which is no whole number of blocks. Raises OSError."""
        self._leave_direct()
        self._flush()

    def _flush(self) -> None:
        with memoryview(self._buffer) as view:
            written = 0
            while written < self._filled:
                try:
                    written += os.write(self._file, view[written : self._filled])
                except OSError as error:
                    if error.errno != errno.EINVAL or not self._direct:
                        raise
                    self._leave_direct()  # this filesystem wants another alignment, or half a write was taken
        self._filled = 0

    def _leave_direct(self) -> None:
        if self._direct:
            self._set_direct(False)
            self._direct = False

    def _set_direct(self, wanted: bool) -> bool:
        """Whether direct writing is on now: some filesystems know none."""
        flags = fcntl.fcntl(self._file, fcntl.F_GETFL) & ~os.O_DIRECT
        try:
            fcntl.fcntl(self._file, fcntl.F_SETFL, flags | (os.O_DIRECT if wanted else 0))
        except OSError:
            return False
        return wanted
