"""A file tree, or one file, as a tar stream made by GNU tar. Used by the targets ``path`` and ``volume``.

GNU tar is faster than anything in Python, and keeps holes, xattrs, ACLs and hard links. What it says on stderr
is judged line by line: a file that changed or vanished is a warning, everything else means that data is missing.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from reconciler.errors import SourceError
from reconciler.model import SourceReport
from reconciler.pipeline.process import CHUNK, Drain, end_group, how_it_ended, start
from reconciler.pipeline.tarcheck import TarCheck

MOST_WARNINGS = 20
"""Warnings that a report quotes; the others are counted."""

MOST_LINE = 500
"""Bytes of one message of tar that are kept: a path may have 4,095."""

RECORD = 10_240
"""An archive ends on a multiple of this, as ``tar -x`` reads it: whatever unpacks one would stop before longer padding, and
kill the ``zstd`` that feeds it.
"""

_OPTIONS = (
    "--create",
    "--file=-",
    "--format=posix",
    "--blocking-factor=128",  # 64 KiB a write: a fraction of the system calls of the default
    "--sparse",
    "--hole-detection=seek",
    "--xattrs",
    "--xattrs-include=*",
    "--acls",
    "--numeric-owner",
    "--sort=name",
    # No times but the mtime, and no process id in the names of headers: the same tree gives the same headers.
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
    "--quoting-style=escape",
    "--no-unquote",
)
_HARMLESS = re.compile(
    r": (file changed as we read it"
    r"|File shrank by \d+ bytes?; padding with zeros"
    r"|File removed before we read it"
    r"|(Warning: Cannot [a-z_]+|Cannot [a-z_]+): No such file or directory"
    r"|socket ignored|door ignored)$"
)
_FAREWELL = "Exiting with failure status due to previous errors"


class TreeSource:
    """A ports.Source over GNU tar. ``facts`` go into the report as they are.

    Patterns in ``exclude``: ``*.tmp`` leaves out what has such a name, at any depth; ``cache/`` empties every folder
    of that name and keeps the folder; a pattern with a slash before its end counts from the root. ``*`` stops at ``/``.
    """

    def __init__(
        self,
        root: Path,
        exclude: Sequence[str] = (),
        facts: dict[str, str] | None = None,
        *,
        shown: str = "",
    ) -> None:
        """Start tar on ``root``, a folder or a file. Raises SourceError when there is no such thing, or no tar.

        ``shown``: what messages call a root whose path is to be taken as it stands, such as ``/proc/PID/fd/3``.
        """
        self._root = root if shown else Path(os.path.realpath(root))
        self._shown = shown or str(self._root)
        self._facts = facts or {}
        self._check = TarCheck()
        self._identity = self._seen()
        self._root_is_folder = self._root.is_dir()
        try:
            self._tar = start(_command(self._root, exclude), {"LC_ALL": "C", "TAR_OPTIONS": ""})
        except FileNotFoundError:
            raise SourceError("GNU tar is not installed: install the package tar") from None
        assert self._tar.stdout is not None
        assert self._tar.stderr is not None
        self._stdout = self._tar.stdout
        self._messages = Messages()
        self._drain = Drain(self._tar.stderr, self._messages.take)

    def chunks(self) -> Iterator[bytes]:
        """The archive in pieces of 1 MiB, padded as tar pads by default. Raises SourceError where tar writes no tar."""
        passed = 0
        while chunk := self._stdout.read(CHUNK):
            self._check.feed(chunk)
            if self._check.end is None:
                yield chunk
            elif passed < self._check.end:
                yield chunk[: self._check.end - passed]
            passed += len(chunk)
        if self._check.end is not None:
            yield bytes(-self._check.end % RECORD)

    def finish(self) -> SourceReport:
        """The verdict, after the last chunk. Raises SourceError unless everything that is there was read."""
        status = self._tar.wait()
        self._drain.join()
        if status < 0:
            raise SourceError(f"tar was ended by {how_it_ended(status)} while it read {self._shown}")
        if self._messages.grave or status > 2 or (status and not self._messages.harmless):
            said = "; ".join(self._messages.grave) or "it did not say why"
            raise SourceError(f"tar could not read all of {self._shown} ({how_it_ended(status)}): {said}")
        self._check.finish()
        if self._root_is_folder and self._seen() != self._identity:
            raise SourceError(f"{self._shown} was replaced by another folder while it was read")
        if not self._check.members:
            raise SourceError(f"{self._shown} vanished before it was read")
        return SourceReport(self._check.members, self._messages.warnings, self._facts)

    def close(self) -> None:
        """End tar, if it still runs."""
        end_group(self._tar)
        self._drain.join()
        self._stdout.close()

    def _seen(self) -> tuple[int, int]:
        """What tells the root from another thing of the same name. Raises SourceError when it is gone."""
        try:
            status = self._root.stat()
        except OSError as error:
            raise SourceError(f"{self._shown} cannot be read: {error.strerror}") from None
        return status.st_dev, status.st_ino


class Messages:
    """What tar says, line by line and in bounded memory: harmless messages and grave ones apart."""

    def __init__(self) -> None:
        self.grave: deque[str] = deque(maxlen=5)
        self.harmless = 0
        self._first_harmless: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """The first harmless messages, and how many more there were."""
        more = self.harmless - len(self._first_harmless)
        return (*self._first_harmless, *([f"… and {more} more warnings"] if more else []))

    def take(self, line: bytes) -> None:
        """Judge one line."""
        text = line.decode(errors="backslashreplace").strip().removeprefix("tar: ")
        if not text or text == _FAREWELL:
            return
        if not _HARMLESS.search(text):
            self.grave.append(_shortened(text))
            return
        self.harmless += 1
        if self.harmless <= MOST_WARNINGS:
            self._first_harmless.append(_shortened(text))


def _command(root: Path, exclude: Sequence[str]) -> list[str]:
    """The command of tar: members are ``./…`` of a folder, or the one ``./NAME`` of a file."""
    folder, member = (root, ".") if root.is_dir() else (root.parent, f"./{root.name}")
    patterns = [option for pattern in exclude for option in _exclusion(pattern)]
    return ["tar", *_OPTIONS, "--no-wildcards-match-slash", *patterns, f"--directory={folder}", "--", member]


def _exclusion(pattern: str) -> tuple[str, str]:
    """The options of tar for one pattern. The second one is a value: it never starts an option."""
    name = pattern.removesuffix("/")
    tail = "/*" if pattern.endswith("/") else ""
    if "/" in name:
        return "--anchored", f"--exclude=./{name.removeprefix('/')}{tail}"
    return "--no-anchored", f"--exclude={name}{tail}"


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_LINE else f"{text[: MOST_LINE // 2]} … {text[-MOST_LINE // 2 :]}"
