"""A running container's files as this machine sees them, below ``/proc/PID/root``. Used by ``container`` targets and observe.

The kernel would follow an absolute link in there from the root of this process, not of the container: so each step of a
path is taken here, and none leads out.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from reconciler.ports import Container

_MOST_LINKS = 40
_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Inside:
    """One folder or file of a container, held open: whatever its processes move about, this stays the same.

    ``place`` is its path in the container, links resolved; ``path`` works in this process and its children.
    """

    def __init__(self, descriptor: int, place: str) -> None:
        self._descriptor = descriptor
        self.place = place
        self.path = Path(f"/proc/{os.getpid()}/fd/{descriptor}")

    def close(self) -> None:
        """Let it go. Safe twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def look_inside(container: Container, place: str) -> Inside | None:
    """``place`` (an absolute path) in a container; None where it has no such thing, or runs elsewhere, or not at all."""
    if not container.pid:
        return None
    try:
        root = os.open(f"/proc/{container.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Opened first, asked then: a process that has taken the number meanwhile is not the container's.
        return Inside(*_walked(root, place)) if _is_of(container) else None
    except OSError:
        return None
    finally:
        os.close(root)


def is_same(container: Container, place: str, source: str) -> bool:
    """Whether ``source`` is a path of this machine and what a running container has at ``place``."""
    found = look_inside(container, place)
    if found is None:
        return False
    try:
        return os.path.samefile(found.path, source)
    except OSError:
        return False
    finally:
        found.close()


def _is_of(container: Container) -> bool:
    """Whether the process of that number is the container's: its control group, or its mounts, tell the id."""
    groups = Path(f"/proc/{container.pid}/cgroup").read_text(encoding="utf-8", errors="replace")
    return container.id in groups or any(f"/{container.id}/" in line for line in _mounts(container.pid))


def _mounts(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    return text.splitlines()


def _walked(root: int, place: str) -> tuple[int, str]:
    """A descriptor of ``place`` below ``root``, and its path without links. Raises OSError where there is none."""
    steps, links = deque(place.split("/")), 0
    trail = _Trail(root)
    try:
        while steps:
            target = trail.step(steps.popleft())
            if target:
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(f"too many links on the way to {place}")
                steps.extendleft(reversed(target.split("/")))
        return trail.end()
    finally:
        trail.close()


class _Trail:
    """The way from a root to where a walk is: a name and a descriptor for each folder."""

    def __init__(self, root: int) -> None:
        self._way = [("", os.dup(root))]

    def step(self, name: str) -> str:
        """Go on to ``name``; where that is a link, stay, or go back to the root, and return where it points."""
        if name in ("", "."):
            return ""
        if name == "..":
            self._back(max(1, len(self._way) - 1))
            return ""
        self._way.append((name, os.open(name, _STEP, dir_fd=self._way[-1][1])))
        try:
            target = os.readlink("", dir_fd=self._way[-1][1])
        except OSError:
            return ""  # no link
        self._back(1 if target.startswith("/") else len(self._way) - 1)
        return target

    def end(self) -> tuple[int, str]:
        """The descriptor and the path that were reached."""
        place = "/".join(name for name, _ in self._way) or "/"
        return self._way.pop()[1], place

    def close(self) -> None:
        """Let every folder go."""
        self._back(0)

    def _back(self, length: int) -> None:
        for _, descriptor in self._way[length:]:
            os.close(descriptor)
        del self._way[length:]
