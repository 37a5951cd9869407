"""The last phase: what was done, seen and left to do becomes a status, for machines and for people, and is committed.

Called by the loop and by ``reconciler status``. ``read`` → ``seen_markers`` come before observing; ``status`` → ``publish`` after
applying. ``rejected`` is for specs that cannot be used: the last good status with Ready false.
"""

from reconciler.report.assemble import rejected, seen_markers, status
from reconciler.report.change import summary, unchanged
from reconciler.report.markdown import render
from reconciler.report.picture import picture
from reconciler.report.publish import encode, publish, read

__all__ = [
    "encode",
    "picture",
    "publish",
    "read",
    "rejected",
    "render",
    "seen_markers",
    "status",
    "summary",
    "unchanged",
]
