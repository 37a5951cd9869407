"""The files of the status: of one machine alone, or a part for each of several and a page put together from all. Pure.

Used by ``publish``; the sources give a ``Part`` to the ledger and to the clone that is pushed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from reconciler.model.status import Condition, Status
from reconciler.report.markdown import PICTURE, render
from reconciler.report.merged import merged
from reconciler.report.picture import picture
from reconciler.report.stored import NAME, decode

MACHINES = "status.json"
PEOPLE = "STATUS.md"
_PART = re.compile(rf"nodes/({NAME})\.json")
_NOBODY = "unknown"  # whose status is at the top, if that cannot be read


class Part:
    """What the machine ``node`` says on a branch on which others may write, too; implements ``ledger.Part``.

    ``alone``: nobody else is expected there, so a status of another name is an older one of this machine's.
    """

    def __init__(self, node: str, *, alone: bool = False) -> None:
        self.path = _path(node)
        self._node = node
        self._alone = alone

    def join(self, there: Mapping[str, bytes], ours: Mapping[str, bytes]) -> dict[str, bytes]:
        """The files of the branch: ours alone at its top, or a part for each machine and all of them put together."""
        mine = _parts(ours)
        own = mine.get(self._node) if len(mine) > 1 else next(iter(mine.values()), None)
        if own is None:
            return dict(there)
        others = {} if self._alone and not _several(there) else _parts(there)
        parts = {**others, self._node: own}
        readable = {node: _read(data) for node, data in sorted(parts.items())}
        if len(parts) == 1:
            status = readable[self._node]
            return files(status, own) if status else dict(ours)
        whole = merged(readable)
        stored = {_path(node): data for node, data in sorted(parts.items())}
        return {**files(whole, encode(whole)), **stored} if whole else {**ours, **stored}


def files(status: Status, machines: bytes) -> dict[str, bytes]:
    """A status as people and machines read it; ``machines`` is its ``status.json``."""
    return {PICTURE: picture(status).encode(), PEOPLE: render(status).encode(), MACHINES: machines}


def encode(status: Status) -> bytes:
    """``status.json``: indented, so that a diff of two commits reads well."""
    return msgspec.json.format(msgspec.json.encode(status), indent=2) + b"\n"


def newcomer(theirs: Status, node: str) -> Status:
    """What a machine that never reported knows from the others: markers of destinations, and restores that were done.

    A path is each machine's own, so nothing is known of what lies there.
    """
    conditions = tuple(
        Condition(
            type=item.type,
            status="Unknown",
            reason="NeverReported",
            message=f"{node} has not reported before",
            last_transition_time=theirs.time,
        )
        for item in theirs.conditions
    )
    return Status(
        time=theirs.time,
        node=node,
        spec_commit=None,
        conditions=conditions,
        destinations=tuple(item for item in theirs.destinations if not item.url.startswith("file://")),
        former=tuple(item for item in theirs.former if not item.url.startswith("file://")),
        restores=theirs.restores,
    )


def _path(node: str) -> str:
    return f"nodes/{node}.json"


def _several(there: Mapping[str, bytes]) -> bool:
    return any(_PART.fullmatch(name) for name in there)


def _parts(there: Mapping[str, bytes]) -> dict[str, bytes]:
    """The status of each machine as it is stored; the one at the top where there are no others."""
    if _several(there):
        return {found[1]: data for name, data in there.items() if (found := _PART.fullmatch(name))}
    data = there.get(MACHINES)
    status = _read(data) if data else None
    return {} if data is None else {status.node if status else _NOBODY: data}


def _read(data: bytes) -> Status | None:
    try:
        return decode(data)
    except ValueError:
        return None
