"""Bytes written past the page cache arrive as they were given, whatever their pieces and whatever the filesystem."""

from __future__ import annotations

import fcntl
import os
import random
from pathlib import Path

import pytest

from reconciler.adapters.direct import SIZE, DirectWriter


def write(file: Path, pieces: list[bytes]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        writer = DirectWriter(descriptor)
        for piece in pieces:
            writer.write(piece)
        writer.finish()
        assert not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("place", ["disk", "memory"])
@pytest.mark.parametrize("size", [0, 1, 511, SIZE - 1, SIZE, SIZE + 1, 2 * SIZE, 2 * SIZE + 4097])
@pytest.mark.parametrize("step", [SIZE * 3, 1 << 20, 100_003])
def test_what_is_written_is_there(tmp_path: Path, place: str, size: int, step: int) -> None:
    folder = tmp_path if place == "disk" else Path("/dev/shm")
    file = folder / f"reconciler-direct-{os.getpid()}"
    data = random.Random(size).randbytes(size)
    try:
        write(file, [data[start : start + step] for start in range(0, size, step)])
        assert file.read_bytes() == data
    finally:
        file.unlink(missing_ok=True)


def test_a_full_disk_is_an_error() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        writer = DirectWriter(descriptor)
        with pytest.raises(OSError, match="No space left"):
            writer.write(bytes(SIZE))
    finally:
        os.close(descriptor)


def test_half_a_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A direct write may take less than it was given, at a place where no direct write can go on."""
    real = os.write
    calls = iter([1000, 512, 4096])
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[: next(calls, len(data))]))
    data = random.Random(1).randbytes(SIZE + 5)
    write(tmp_path / "x", [data])
    assert (tmp_path / "x").read_bytes() == data
