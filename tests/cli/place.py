"""A folder of specs with data and two destinations, and commands run in it: in this process, on pipes, or on a terminal."""

import contextlib
import fcntl
import io
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple
from unittest import mock

from reconciler.cli import main

PROGRAM = str(Path(sys.executable).parent / "reconciler")
FIRST_DAY = "2026-01-20T03:10:00Z"  # a Tuesday
NEXT_DAY = "2026-01-21T03:10:00Z"

DESTINATIONS = """\
apiVersion: reconciler/v1
kind: Destination
metadata: {name: local}
spec: {url: "file://../copies/local", media: hdd}
---
apiVersion: reconciler/v1
kind: Destination
metadata: {name: offsite}
spec: {url: "file://../copies/offsite", media: usb, offsite: true}
"""
BACKUP = """\
apiVersion: reconciler/v1
kind: Backup
metadata: {name: shop}
spec:
  schedule: "0 3 * * *"
  destinations: [local, offsite]
  retention: {daily: 2, weekly: 1}
  targets:
    - {name: shop, kind: path, path: ../uploads, type: uploads}
    - {name: shop, kind: path, path: ../config.ini, type: config}
    - {name: wiki, kind: path, path: ../wiki}
"""


class Ran(NamedTuple):
    """What a command left behind: exit code and both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout as JSON."""
        return json.loads(self.out)


class Place:
    """The folder. ``backup.d`` is where the specs are, ``copies`` where the destinations are."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = FIRST_DAY
        self.env: dict[str, str] = {}
        (root / "copies").mkdir(parents=True)
        (root / "backup.d").mkdir()
        self.write("backup.d/destinations.yaml", DESTINATIONS)
        self.write("backup.d/shop.yaml", BACKUP)
        self.write("uploads/photo.jpg", "a photo " * 100_000)
        self.write("uploads/empty/.keep", "")
        self.write("config.ini", "[shop]\n")
        self.write("wiki/home.txt", "hello\n")

    def write(self, name: str, text: str) -> Path:
        """Write one file below the root."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def into_git(self) -> None:
        """Make the folder a repository with one commit of the specs."""
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", "backup.d")
        self.git("-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "Specs")

    def git(self, *arguments: str) -> str:
        """Run git in the folder; its stdout."""
        return subprocess.run(
            ["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True
        ).stdout

    def environment(self) -> dict[str, str]:
        """What the commands see: this process's environment, the folder's clock, and nothing of this user's state."""
        state = {"XDG_STATE_HOME": str(self.root / "state"), "RECONCILER_NODE": "here"}
        state["RECONCILER_STATE_DIR"] = str(self.root / "state")
        return {**os.environ, **state, "RECONCILER_NOW": self.now, **self.env}

    def run(self, *arguments: str) -> Ran:
        """Run a command in this process, which is quick."""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
        with (
            contextlib.chdir(self.root),
            mock.patch.dict(os.environ, self.environment(), clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(list(arguments))
        return Ran(code, _text(out), _text(err))

    def start(self, *arguments: str, stdout: IO[str] | int = subprocess.PIPE) -> "subprocess.Popen[str]":
        """Begin a command as a process of its own, on pipes; ``stdout`` may go elsewhere."""
        return subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.root,
            env=self.environment(),
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    def process(self, *arguments: str, stdout: IO[str] | int = subprocess.PIPE) -> Ran:
        """Run a command as a process of its own, to its end."""
        with self.start(*arguments, stdout=stdout) as process:
            out, err = process.communicate()
        return Ran(process.returncode, out or "", err)

    def terminal(self, *arguments: str, columns: int = 80, stdout: int | None = None) -> Ran:
        """Run a command on a terminal; ``stdout`` may go elsewhere. What the terminal got is ``out``, escape codes included."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.root,
            env={**self.environment(), "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs if stdout is None else stdout,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b"".join(_received(ours))
        os.close(ours)
        return Ran(process.wait(), shown.decode().replace("\r\n", "\n"), "")

    def copies(self, destination: str, pattern: str = "*") -> list[Path]:
        """The artifacts that lie at a destination, sorted; without manifests."""
        found = (self.root / "copies" / destination).glob(f"*ly/{pattern}")
        return sorted(path for path in found if path.suffix != ".json")


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def _received(terminal: int) -> Iterator[bytes]:
    """Everything that is written to a terminal, until its last writer has gone (Linux then says EIO)."""
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 65536):
            yield data
