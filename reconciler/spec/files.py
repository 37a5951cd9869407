"""Which files hold specs, and their text. Used by check; every oddity of the file system is a problem, never an exception."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from reconciler.spec.problems import Problem

MAX_BYTES = 256 * 1024
SUFFIXES = (".yaml", ".yml")

# Control characters, exotic line breaks and what turns the reading direction around. Tab, LF and CR are YAML's own business.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
)


class SpecFile(NamedTuple):
    """A file to read: ``path`` as people named it, ``where`` relative to the folder that was asked for."""

    path: Path
    where: str


class _Problems(Exception):
    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line, self.column = line, column


def find(paths: Sequence[Path]) -> tuple[list[SpecFile], list[Problem]]:
    """Every spec file below ``paths``, each once, in a stable order, and what stands in the way."""
    files: dict[str, SpecFile] = {}
    problems = []
    if not paths:
        problems.append(Problem("backup.d", 1, 1, "", "no file or folder was given"))
    for path in paths:
        found: list[SpecFile] = []
        for entry in _below(path):
            if isinstance(entry, Problem):
                problems.append(entry)
            else:
                found.append(entry)
        if not found and not any(problem.file.startswith(str(path)) for problem in problems):
            problems.append(_problem(path, "no spec files here (*.yaml, *.yml; hidden ones do not count)"))
        for file in found:
            files.setdefault(os.path.realpath(file.path), file)
    return list(files.values()), problems


def read_text(file: SpecFile) -> str | Problem:
    """The whole text of a file of at most 256 KiB of UTF-8, or the problem with it."""
    try:
        return _decode(_read(file.path))
    except _Problems as problem:
        return Problem(str(file.path), problem.line, problem.column, "", str(problem))
    except OSError as error:
        return _problem(file.path, f"cannot be read: {error.strerror}")


def _below(path: Path) -> Iterator[SpecFile | Problem]:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        yield _problem(path, "no such file or folder")
        return
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the name is impossible"
        yield _problem(path, f"cannot be looked at: {reason}")
        return
    if stat.S_ISDIR(mode):
        yield from _in_folder(path)
    elif stat.S_ISREG(mode):
        yield SpecFile(path, path.name)
    else:
        yield _problem(path, "neither a file nor a folder: pipes, devices and sockets are not read")


def _in_folder(root: Path) -> Iterator[SpecFile | Problem]:
    errors: list[OSError] = []
    for folder, folders, names in os.walk(root, onerror=errors.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if (Path(folder) / name).is_symlink() and not _stays(Path(folder) / name, root):
                yield _problem(
                    Path(folder) / name, f"a link that leaves {root}: put the files there themselves"
                )
        for name in sorted(names):
            if not name.startswith(".") and name.endswith(SUFFIXES):
                yield _entry(Path(folder) / name, root)
    for error in errors:
        yield _problem(Path(str(error.filename)), f"cannot be read: {error.strerror}")


def _entry(path: Path, root: Path) -> SpecFile | Problem:
    if path.is_symlink() and not path.exists():
        return _problem(path, "a link that leads nowhere")
    if path.is_symlink() and not _stays(path, root):
        return _problem(path, f"a link that leaves {root}: put the file there itself")
    if not path.is_file():
        return _problem(path, "not a file: pipes, devices and sockets are not read")
    return SpecFile(path, f"{root.absolute().name}/{path.relative_to(root)}")


def _stays(path: Path, root: Path) -> bool:
    real, base = os.path.realpath(path), os.path.realpath(root)
    return os.path.commonpath([real, base]) == base


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _Problems("not a file: pipes, devices and sockets are not read")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _Problems(f"larger than {MAX_BYTES // 1024} KiB: split it into several files")
    return data


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:4]:
        raise _Problems("UTF-16 or UTF-32 text, or binary data: save it as UTF-8")
    if data.startswith(b"\xef\xbb\xbf"):
        raise _Problems("starts with a byte order mark: save it as UTF-8 without one")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode("utf-8"))
        raise _Problems(
            f"not UTF-8: byte 0x{data[error.start]:02x}; save it as UTF-8", line, column
        ) from None
    unseen = _UNSEEN.search(text)
    if unseen:
        line, column = _place(text[: unseen.start()])
        raise _Problems(f"the invisible character U+{ord(unseen[0]):04X}: remove it", line, column)
    return text


def _place(before: str) -> tuple[int, int]:
    lines = before.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return len(lines), len(lines[-1]) + 1


def _problem(path: Path, message: str) -> Problem:
    return Problem(str(path), 1, 1, "", message)
