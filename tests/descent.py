"""The processes that a process has started, found by their parents: ``/proc/PID/task/TID/children`` may leave some out."""

from collections.abc import Collection, Iterator
from pathlib import Path


def children(pid: int, besides: Collection[int] = ()) -> list[int]:
    """The living children of ``pid`` that are not among ``besides``, such as the servers that tests share."""
    return sorted(child for child, parent in _living() if parent == pid and child not in besides)


def descendants(pid: int, besides: Collection[int] = ()) -> list[int]:
    """The living children of ``pid`` that are not among ``besides``, theirs, and so on."""
    return [found for child in children(pid, besides) for found in (child, *descendants(child))]


def is_dead(pid: int) -> bool:
    """Whether it has ended, also when nobody has reaped it yet."""
    return _state(pid)[0] in "ZX"


def _living() -> Iterator[tuple[int, int]]:
    """Every process that has not ended, and its parent."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            state, parent = _state(int(folder.name))
            if state not in "ZX":
                yield int(folder.name), parent


def _state(pid: int) -> tuple[str, int]:
    """Its state, as ps shows it, and its parent; of one that is gone, X and 0."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "X", 0
    return words[0], int(words[1])
