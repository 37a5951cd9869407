"""Metrics of the targets and of their copies. Pure; used by ``metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import get_args

from reconciler.durations import seconds
from reconciler.model.metrics import Family, gauge
from reconciler.model.status import Holding, Status, TargetState, TargetStatus, TierCount

TARGET = ("service", "type")
COPY = (*TARGET, "destination")

_EACH: tuple[tuple[str, str, Callable[[TargetStatus], float | None]], ...] = (
    (
        "target_problems",
        "How many things keep the target from being good.",
        lambda item: len(item.problems),
    ),
    (
        "target_next_run_timestamp_seconds",
        "When its next backup is to begin; none when it is suspended without an end.",
        lambda item: item.next_run.timestamp() if item.next_run else None,
    ),
    (
        "target_max_age_seconds",
        "How old its newest backup may be (maxAge); none when nobody asks.",
        lambda item: seconds(item.max_age) if item.max_age else None,
    ),
    (
        "target_stale",
        "1 when its newest backup is older than that, or there is none, else 0; none when nobody asks.",
        lambda item: item.stale if item.max_age else None,
    ),
    (
        "target_last_success_timestamp_seconds",
        "Of when its newest good backup is; none when there is none.",
        lambda item: item.last_success.time.timestamp() if item.last_success else None,
    ),
    (
        "target_last_success_size_bytes",
        "Stored bytes of its newest good backup.",
        lambda item: item.last_success.size if item.last_success else None,
    ),
    (
        "target_last_attempt_timestamp_seconds",
        "When a backup was last tried; none before the first.",
        lambda item: item.last_attempt.time.timestamp() if item.last_attempt else None,
    ),
    (
        "target_last_attempt_success",
        "1 when that backup reached all of its destinations, else 0.",
        lambda item: item.last_attempt.state == "done" if item.last_attempt else None,
    ),
    (
        "target_last_attempt_duration_seconds",
        "How long that took, hooks included; none when it was skipped.",
        lambda item: item.last_attempt.seconds if item.last_attempt else None,
    ),
)
"""Name, help and value of those with one number for each target."""


def targets(status: Status) -> Iterator[Family]:
    """What is known of each target."""
    yield gauge(
        "target_info",
        "Always 1: the Backup of a target, its kind and its schedule.",
        (*TARGET, "backup", "kind", "schedule", "timezone"),
        [((*_id(item), item.backup, item.kind, item.schedule, item.timezone), 1) for item in status.targets],
    )
    yield gauge(
        "target_state",
        "1 for the state that the target is in, else 0.",
        (*TARGET, "state"),
        [
            ((*_id(item), state), item.state == state)
            for item in status.targets
            for state in get_args(TargetState)
        ],
    )
    for name, help_, value in _EACH:
        yield gauge(name, help_, TARGET, [(_id(item), value(item)) for item in status.targets])


def copies(status: Status) -> Iterator[Family]:
    """What each destination holds of each target; nothing where the destination is unknown."""
    yield _tiers(
        status, "copies_held", "How many good copies of a tier the destination holds.", lambda tier: tier.held
    )
    yield _tiers(
        status,
        "copies_wanted",
        "How many copies of a tier its retention keeps at most.",
        lambda tier: tier.wanted,
    )
    yield _held(
        status,
        "copies_missing",
        "How many backups exist elsewhere and are wanted here too.",
        lambda holding: len(holding.missing),
    )
    yield _held(
        status,
        "copies_broken",
        "How many copies are not what their manifests say.",
        lambda holding: len(holding.broken),
    )
    yield _held(
        status, "copies_size_bytes", "Stored bytes of all copies of the target.", lambda holding: holding.size
    )


def _held(status: Status, name: str, help_: str, value: Callable[[Holding], float]) -> Family:
    return gauge(name, help_, COPY, [(labels, value(holding)) for labels, holding in _holdings(status)])


def _tiers(status: Status, name: str, help_: str, value: Callable[[TierCount], float]) -> Family:
    found = [
        ((*labels, tier.tier), value(tier)) for labels, holding in _holdings(status) for tier in holding.tiers
    ]
    return gauge(name, help_, (*COPY, "tier"), found)


def _holdings(status: Status) -> Iterable[tuple[tuple[str, str, str], Holding]]:
    for item in status.targets:
        for holding in item.holdings:
            if holding.known:
                yield (item.service, item.type, holding.destination), holding


def _id(item: TargetStatus) -> tuple[str, str]:
    return item.service, item.type
