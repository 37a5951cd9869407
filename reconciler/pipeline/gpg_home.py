"""Folders in which gpg works for one job: private, in memory where there is such a place, and gone afterwards. Used by gpg.

A run that is killed leaves its folder; the next one removes it. A gpg-agent ends by itself when its folder goes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from reconciler.pipeline.process import bare_environment

_PREFIX = "reconciler-gpg-"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a tmpfs, and writable for everybody


class Home:
    """A folder for ``--homedir``, locked while it is used."""

    def __init__(self) -> None:
        base = _base()
        _sweep(base)
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
            self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if self.path.exists():  # between the two lines above another run may have swept it
                return
            os.close(self._lock)

    def close(self) -> None:
        """End the agent that gpg started here, and remove everything. Safe twice."""
        if self._lock < 0:
            return
        for what in (["--kill", "all"], ["--remove-socketdir"]):
            command = ["gpgconf", "--homedir", str(self.path), *what]
            with contextlib.suppress(OSError):
                subprocess.run(command, env=bare_environment(), capture_output=True, check=False)
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)
        self._lock = -1


def _base() -> Path:
    """In memory, so that a private key that gpg imports never reaches a disk; the user's own such folder comes first.

    XDG_RUNTIME_DIR is one by the XDG Base Directory Specification.
    """
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    places = [Path(own)] if own else []
    return next(
        (place for place in (*places, _SHARED_MEMORY) if os.access(place, os.W_OK)),
        Path(tempfile.gettempdir()),
    )


def _sweep(base: Path) -> None:
    """Remove the folders of runs that were killed: nobody holds their lock."""
    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, or held
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
