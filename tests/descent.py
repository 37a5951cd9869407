"""The processes that a process has started, as /proc shows them."""

from collections.abc import Collection
from pathlib import Path


def children(pid: int, besides: Collection[int] = ()) -> list[int]:
    """The living children of ``pid`` that are not among ``besides``, such as the servers that tests share."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(text) for text in (task / "children").read_text().split()]
    return [child for child in found if child not in besides and not is_dead(child)]


def descendants(pid: int, besides: Collection[int] = ()) -> list[int]:
    """The living children of ``pid`` that are not among ``besides``, theirs, and so on."""
    return [found for child in children(pid, besides) for found in (child, *descendants(child))]


def is_dead(pid: int) -> bool:
    """Whether it has ended, also when nobody has reaped it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return True
