"""Metrics in Prometheus' text format, as text or as a file for node_exporter. The only module that imports prometheus_client."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.adapters.replace import replace
from reconciler.errors import ReconcilerError
from reconciler.model.metrics import Family

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily


def text(families: Iterable[Family]) -> bytes:
    """The exposition of ``families``, UTF-8. Raises ReconcilerError when prometheus-client is not installed."""
    try:
        from prometheus_client import CollectorRegistry, generate_latest
    except ImportError:
        raise ReconcilerError(
            "metrics need the Python package prometheus-client; install it with pip install 'reconciler[metrics]'"
        ) from None
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(tuple(families)))
    return generate_latest(registry)


def write(path: Path, families: Iterable[Family]) -> None:
    """Replace the file ``path`` by the exposition as a whole: a scrape never sees a part. Raises ReconcilerError."""
    data = text(families)
    place = Path(os.path.realpath(path))  # a link stays a link
    try:
        if place.exists() and not place.is_file():
            raise ReconcilerError(f"{path} is no regular file; name a file that ends in .prom")
        replace(place, data)
    except OSError as error:
        raise ReconcilerError(
            f"{path}: {error.strerror}; its folder must exist and this user must be able to write there"
        ) from None


class _Collector:
    """What prometheus_client asks for its families."""

    def __init__(self, families: tuple[Family, ...]) -> None:
        self._families = families

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every family, with its samples."""
        from prometheus_client.core import GaugeMetricFamily

        for family in self._families:
            gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
            for sample in family.samples:
                gauge.add_metric(sample.labels, sample.value)
            yield gauge
