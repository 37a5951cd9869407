"""The last phase: what was done, seen and left to do becomes a status, for machines and for people, and is committed.

Called by the loop and by ``reconciler status``. ``read`` → ``seen_markers`` come before observing; ``status`` → ``tell`` →
``publish`` after applying, and a ``Watch`` goes around all of it. ``rejected`` is for specs that cannot be used: the last good
status with Ready false.
"""

from reconciler.report.assemble import rejected, seen_markers, status
from reconciler.report.change import summary, unchanged
from reconciler.report.markdown import render
from reconciler.report.memory import Memory, recall, remember
from reconciler.report.nodes import Part, encode
from reconciler.report.notify import Telling, tell
from reconciler.report.picture import picture
from reconciler.report.publish import publish, read
from reconciler.report.watch import Watch

__all__ = [
    "Memory",
    "Part",
    "Telling",
    "Watch",
    "encode",
    "picture",
    "publish",
    "read",
    "recall",
    "rejected",
    "remember",
    "render",
    "seen_markers",
    "status",
    "summary",
    "tell",
    "unchanged",
]
