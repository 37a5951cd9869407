"""The objective ``maxAge``: whether the newest artifact of a target is young enough. Pure; used by plan and report.

A target without any artifact misses it at once: nothing is remembered from which one could count, and what was never backed
up is lost today as surely as tomorrow.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.durations import seconds
from reconciler.model import Backup
from reconciler.wording import time_text


def missed(backup: Backup, newest: datetime | None, now: datetime) -> str:
    """Why the objective is missed, in words that do not change with the time; empty when it is met or there is none.

    ``newest`` is the time of the newest good artifact, None when there is none.
    """
    if not backup.max_age:
        return ""
    if newest is None:
        return f"it has no backup, and maxAge asks for one that is no older than {backup.max_age}"
    if now - newest > timedelta(seconds=seconds(backup.max_age)):
        return f"its newest backup, of {time_text(newest)}, is older than maxAge allows ({backup.max_age})"
    return ""
