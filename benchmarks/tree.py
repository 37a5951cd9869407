"""A generated tree of mixed files: text, random bytes, small files, large ones. The same for the same size."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

_MIB = 1 << 20
_WORDS = [
    f"{verb} {noun} {number:04d}\n".encode()
    for number, (verb, noun) in enumerate(
        (verb, noun)
        for verb in ("created", "updated", "deleted", "restored", "copied", "listed")
        for noun in ("order", "invoice", "customer", "backup", "photo", "message", "session", "volume")
    )
]


def build(root: Path, size: int) -> int:
    """Make a tree of about ``size`` bytes at ``root``; returns the number of files. Nothing is done when it is there.

    In a process of its own: what a parent once held counts as the peak memory of the children that it measures.
    """
    subprocess.run([sys.executable, "-m", "benchmarks.tree", str(root), str(size)], check=True)
    return int(root.with_suffix(".made").read_text())


def _build(root: Path, size: int) -> None:
    """A quarter is large incompressible files, a quarter large text, and half small files of both sorts (4 to 128 KiB)."""
    mark = root.with_suffix(".made")
    if mark.exists():
        return
    source = random.Random(20260120)
    noise = source.randbytes(16 * _MIB)
    text = b"".join(source.choices(_WORDS, k=16 * _MIB // 20))[: 12 * _MIB]
    count = _large(root / "media", noise, size // 4, source) + _large(root / "logs", text, size // 4, source)
    count += _small(root / "www", (noise, text), size // 2, source)
    mark.write_text(str(count))


def _large(folder: Path, material: bytes, size: int, source: random.Random) -> int:
    folder.mkdir(parents=True)
    piece, count = 32 * _MIB, 0
    while count * piece < size:
        with (folder / f"file-{count:03d}").open("wb") as file:
            for _ in range(piece // (4 * _MIB)):
                start = source.randrange(len(material) - 4 * _MIB)
                file.write(material[start : start + 4 * _MIB])
        count += 1
    return count


def _small(folder: Path, materials: tuple[bytes, bytes], size: int, source: random.Random) -> int:
    written = count = 0
    while written < size:
        home = folder / f"{count // 1000:03d}" / f"{count // 50 % 20:02d}"
        home.mkdir(parents=True, exist_ok=True)
        material = materials[count % 2]
        length = source.randrange(4 << 10, 128 << 10)
        start = source.randrange(len(material) - length)
        (home / f"{count:06d}.dat").write_bytes(material[start : start + length])
        written += length
        count += 1
    return count


if __name__ == "__main__":
    _build(Path(sys.argv[1]), int(sys.argv[2]))
