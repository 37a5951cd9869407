"""A child process between two streams, such as one that encrypts: bytes go in, other bytes come out, and its end is judged.

Used by encrypt and decrypt. One thread writes while another reads. Its secret goes through a pipe of its own: neither its
arguments nor its environment hold one, and it gets nothing of our environment that it does not need.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

from reconciler.errors import CipherError
from reconciler.pipeline.process import CHUNK, Drain, bare_environment, end_group, how_it_ended, widen
from reconciler.tail import Tail

_STATUS = b"[GNUPG:] "


class Said(NamedTuple):
    """What a child said: how it ended, the end of its stderr, and the first words of gpg's status lines."""

    status: int
    text: str
    words: frozenset[str]

    @property
    def how(self) -> str:
        """How it ended and what it said, for messages."""
        return f"{how_it_ended(self.status)}: {self.text}" if self.text else how_it_ended(self.status)


class Job(NamedTuple):
    """How to run a child. ``command`` gets the number of the pipe from which the child reads ``secret`` to its end.

    ``judge`` raises what is wrong after the child has ended; ``clean`` removes what it needed.
    """

    name: str
    command: Callable[[int], Sequence[str]]
    secret: bytes
    judge: Callable[[Said], None]
    environment: Mapping[str, str] = {}
    clean: Callable[[], None] = lambda: None


class Filter:
    """A running child. Nothing that ``read`` gave may count before ``finish`` has returned."""

    def __init__(self, job: Job) -> None:
        """Start it. Raises CipherError when it cannot be run."""
        self._job = job
        self._words: set[str] = set()
        self._said = Tail()
        try:
            self._process = _start(job)
        except BaseException:
            job.clean()
            raise
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._stdin = process.stdin
        self._stdout = io.BufferedReader(cast(io.RawIOBase, process.stdout), CHUNK)
        self._drain = Drain(io.BufferedReader(cast(io.RawIOBase, process.stderr)), self._take)
        self._closed = False

    def write(self, data: bytes) -> None:
        """Hand on the next bytes. Raises what ``judge`` raises when the child has ended."""
        left = memoryview(data)
        try:
            while left:
                left = left[self._stdin.write(left) :]
        except BrokenPipeError:
            self.finish()
            raise CipherError(f"{self._job.name} ended before it had read everything") from None

    def end(self) -> None:
        """There are no more bytes to write."""
        self._stdin.close()

    def read(self) -> bytes:
        """The next bytes, a chunk where there are as many; empty at the end."""
        return self._stdout.read(CHUNK)

    def read_some(self) -> bytes:
        """The first bytes that come; empty at the end."""
        return self._stdout.read1(CHUNK)

    def finish(self) -> None:
        """Wait for its end. Raises what ``judge`` raises: then nothing that was read counts."""
        status = self._process.wait()
        self._drain.join()
        self._job.judge(Said(status, self._said.text(), frozenset(self._words)))

    def kill(self) -> None:
        """End it at once, from any thread. Reads and writes that wait come to their end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """End it with its children and free everything, once no thread reads or writes. Safe twice."""
        if self._closed:
            return
        self._closed = True
        end_group(self._process)
        self._drain.join()
        self._stdout.close()
        self._job.clean()

    def _take(self, line: bytes) -> None:
        if line.startswith(_STATUS):
            self._words.add(line.split()[1].decode("ascii", "replace"))
        else:
            self._said.add(line)


def _start(job: Job) -> subprocess.Popen[bytes]:
    pipe = _filled(job)
    try:
        process = subprocess.Popen(
            job.command(pipe),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,
            pass_fds=(pipe,),
            env={**bare_environment(), **job.environment},
        )
    except OSError as error:
        raise CipherError(f"{job.name} cannot be run: {error.strerror}") from None
    finally:
        os.close(pipe)
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        widen(stream.fileno())
    return process


def _filled(job: Job) -> int:
    """The reading end of a pipe that holds the secret, and then its end."""
    reading, writing = os.pipe()
    with open(writing, "wb", buffering=0) as pipe:
        if len(job.secret) > (64 << 10):
            widen(writing)
        fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
        if pipe.write(job.secret) != len(job.secret):
            os.close(reading)
            raise CipherError(f"{job.name} was given more than a MiB of keys: give it fewer")
    return reading
