"""The git repository of the specs, as a port; ``adapters.git`` is the one that there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

Files = Mapping[str, bytes]
"""Small files by their path; at most one folder deep."""

Join = Callable[[Files, Files], Files]
"""What a branch becomes from the files that are there and from ours."""


class Repository(Protocol):
    """The git repository that holds the specs. Raises GitError."""

    def head(self) -> str | None:
        """The commit that is checked out; None before the first one."""

    def changed(self, path: Path) -> bool:
        """Whether anything at ``path`` differs from the commit that is checked out."""

    def read(self, branch: str, name: str) -> bytes | None:
        """A file of a branch by its path; None when the branch or the file is not there."""

    def commit(
        self, branch: str, files: Files, message: str, time: datetime, join: Join | None = None
    ) -> str | None:
        """Commit ``files`` as the whole tree of ``branch`` (an orphan at first), touching neither index nor work tree.

        ``join`` puts them together with what is there, instead. Returns the new commit, or None when the tree is already so.
        Refuses the branch that is checked out.
        """
