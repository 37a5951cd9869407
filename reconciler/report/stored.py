"""A stored status as one of ours again. Used by ``publish`` and ``nodes``; pure.

Everybody who may push to the status branch can write one, so what is read is one that this program could have written, or none:
the rest of the program counts on what a status always has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import get_args

import msgspec

from reconciler.durations import seconds
from reconciler.model.status import ConditionType, Status

NAME = "[a-z0-9.-]{1,63}"
"""What a machine is called, as ``adapters.node`` has it: it becomes the name of a file."""

_FIRST, _LAST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9900, 1, 1, tzinfo=UTC)
"""Times that can be counted on from, in every zone."""


def decode(data: bytes) -> Status:
    """The status. Raises ValueError for what is none."""
    try:
        status = msgspec.json.decode(data, type=Status)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not re.fullmatch(NAME, status.node):
        raise ValueError(f"{status.node[:63]!a} is no name of a machine")
    if sorted(item.type for item in status.conditions) != sorted(get_args(ConditionType)):
        raise ValueError("it does not have each condition once")
    if any(time.tzinfo is None or not _FIRST <= time < _LAST for time in _times(status)):
        raise ValueError("a time in it has no zone, or cannot be")
    for item in status.targets:
        seconds(item.max_age or "1d")
    return status


def _times(part: object) -> Iterator[datetime]:
    """Every time in a part of a status."""
    if isinstance(part, datetime):
        yield part
    elif isinstance(part, tuple):
        for item in part:
            yield from _times(item)
    elif isinstance(part, msgspec.Struct):
        for name in part.__struct_fields__:
            yield from _times(getattr(part, name))
