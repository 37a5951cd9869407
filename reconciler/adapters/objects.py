"""What git says of the objects in its store, taken apart, and bounds: whoever pushes decides what is in it. Used by ``git``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reconciler.errors import GitError

MOST_LISTED = 8 << 20
"""Bytes of a list of files: a tree of few bytes can name more files than any memory holds."""

MOST_BYTES = 64 << 20
"""Bytes of a status, with the parts of all machines."""


class TooMuchError(GitError):
    """A command printed more than anything of use does."""


class Blob(NamedTuple):
    """A file of a commit. ``mode`` is git's: 100644, 100755, or 120000 for a symbolic link."""

    mode: str
    name: str
    size: int
    path: str

    @property
    def is_text(self) -> bool:
        """Whether its path is."""
        return os.fsencode(self.path).decode(errors="replace") == self.path


def blobs(listing: bytes) -> Iterator[Blob]:
    """The files that ``git ls-tree -r -z -l`` lists; submodules are left out."""
    for line in filter(None, listing.split(b"\0")):
        meta, _, name = line.partition(b"\t")
        mode, kind, blob, size = meta.decode().split()
        if kind == "blob":
            yield Blob(mode, blob, int(size), os.fsdecode(name))


def contents(read: bytes, names: Sequence[bytes]) -> Iterator[bytes]:
    """What ``git cat-file --batch`` says of some objects. Raises GitError for one that is missing."""
    at = 0
    for name in names:
        begin = read.find(b"\n", at) + 1
        head = read[at:begin].split()
        if len(head) != 3:
            raise GitError(f"cannot read the status: {name.decode()} is missing")
        at = begin + int(head[2]) + 1
        yield read[begin : at - 1]
