"""The status as picture and as metrics, for ``site``: the same as in the status branch and in a textfile."""

from __future__ import annotations

from hashlib import sha256

from reconciler import report
from reconciler.adapters import exposition
from reconciler.model.status import Status
from reconciler.report.metrics import families


def picture(status: Status) -> tuple[bytes, str]:
    """``status.svg``, and a word that changes when it does."""
    drawn = report.picture(status).encode()
    return drawn, sha256(drawn).hexdigest()[:16]


def metrics(status: Status) -> bytes:
    """For Prometheus. Raises ReconcilerError where prometheus-client is not installed."""
    return exposition.text(families(status))
