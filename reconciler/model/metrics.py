"""Metrics as plain data: made by report, written out by ``adapters.exposition``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Sample(NamedTuple):
    """One series: a value for each label of its family, and the number."""

    labels: tuple[str, ...]
    value: float


class Family(NamedTuple):
    """One metric, always a gauge. ``name`` ends in its unit (seconds, bytes); a count has none."""

    name: str
    help: str
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]


def gauge(
    name: str, help_: str, labels: tuple[str, ...], found: Iterable[tuple[tuple[str, ...], float | None]]
) -> Family:
    """A family named ``reconciler_{name}``. What is None is not known: it has no sample, rather than one that misleads."""
    samples = tuple(Sample(values, float(value)) for values, value in found if value is not None)
    return Family(f"reconciler_{name}", help_, labels, samples)
