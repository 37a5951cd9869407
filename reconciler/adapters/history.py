"""Makes one commit of all that is old on a branch. Called by ``git`` and ``clone``, which move the branch afterwards.

It adds commits to the object store and moves nothing. Files stay as they are: every commit keeps its tree.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from reconciler.errors import GitError

Git = Callable[..., bytes]
"""Standard output of a git command; told first what it is for, and with ``data`` on its standard input."""

Contents = Callable[[Sequence[bytes]], Iterator[bytes]]
"""What is in some objects."""

_KEPT = (b"author ", b"committer ", b"encoding ")
"""Of a commit's header. A signature would not be one of the new commit."""

_FIRST = b"The history begins here: what was older is squashed\n\n"


class Squashed(NamedTuple):
    """A shorter history that ends in the commit ``tip``: of ``older`` commits one was made, ``newer`` follow it."""

    tip: str
    older: int
    newer: int


def squashed(git: Git, contents: Contents, tip: str, before: datetime) -> Squashed | None:
    """The history of ``tip`` in which all that was committed before ``before`` is one commit: the last of these, without parents.

    Newer ones keep their files, authors, dates and messages. None when at most one commit is older. Raises GitError.
    """
    first = _last_of_old(git, tip, before)
    if first is None:
        return None
    older = int(git("count what is old", "rev-list", "--count", first))
    if older == 1:
        return None
    listed = git("list what is new", "rev-list", "--topo-order", "--reverse", "--parents", f"^{first}", tip)
    newer = [line.split() for line in listed.decode().splitlines()]
    bodies = contents([first.encode(), *(words[0].encode() for words in newer)])
    begun = _written(next(bodies), (), _FIRST)
    made, names = [begun], {first: _name(begun, tip)}
    for (commit, *parents), body in zip(newer, bodies, strict=True):
        on = dict.fromkeys(names.get(parent, names[first]) for parent in parents)
        made.append(_written(body, tuple(on), b""))
        names[commit] = _name(made[-1], tip)
    _store(git, made, list(names.values()))
    return Squashed(names[tip], older, len(newer))


def _last_of_old(git: Git, tip: str, before: datetime) -> str | None:
    """The last commit of the branch before the first that is not old: one with an old date that came later stays."""
    last = None
    listed = git("list the history", "rev-list", "--first-parent", "--reverse", "--timestamp", tip)
    for line in listed.decode().splitlines():
        time, commit = line.split()
        if int(time) >= before.timestamp():
            break
        last = commit
    return last


def _written(body: bytes, parents: Sequence[str], note: bytes) -> bytes:
    """A commit once more, with other parents, and with ``note`` above its message."""
    header, _, message = body.partition(b"\n\n")
    tree, *rest = header.split(b"\n")
    lines = [tree, *(b"parent " + parent.encode() for parent in parents)]
    lines += [line for line in rest if line.startswith(_KEPT)]
    return b"\n".join(lines) + b"\n\n" + note + message


def _name(body: bytes, like: str) -> str:
    """What git calls a commit, in a repository in which another one is called ``like``."""
    kind = hashlib.sha256 if len(like) == 64 else hashlib.sha1
    return kind(b"commit %d\0" % len(body) + body).hexdigest()


def _store(git: Git, bodies: Sequence[bytes], names: Sequence[str]) -> None:
    """Have git store commits, all by one command. Raises GitError when it names them differently."""
    with tempfile.TemporaryDirectory(prefix="reconciler-") as folder:
        paths = [Path(folder, str(number)) for number in range(len(bodies))]
        for path, body in zip(paths, bodies, strict=True):
            path.write_bytes(body)
        data = "".join(f"{path}\n" for path in paths).encode()
        stored = git(
            "store the commits",
            "hash-object",
            "-w",
            "-t",
            "commit",
            "--no-filters",
            "--stdin-paths",
            data=data,
        )
    if stored.decode().split() != list(names):
        raise GitError("git stored other commits than it was given; nothing was changed")
