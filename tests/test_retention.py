"""Which tier an artifact gets, which are kept and why, and the table of `docs/retention.md`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.model import TIERS, Artifact, Backup, Destination, Fleet, Retention, TargetId, Tier
from reconciler.model.fleet import DEFAULT_RETENTION
from reconciler.retention import (
    SKEW,
    counts_as,
    horizon,
    new_tier,
    retention_at,
    sparing_newest,
    tiers_of,
    verdicts,
)

DOCS = Path(__file__).parents[1] / "docs" / "retention.md"
TARGET = TargetId("app", "data")
NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
BEGIN, END = "<!-- table: 200 days -->", "<!-- end of table -->"


def at(day: str) -> datetime:
    """03:00 UTC of a day, or the moment itself."""
    return datetime.fromisoformat(day if "T" in day else f"{day}T03:00").replace(tzinfo=UTC)


def made(tier: Tier, day: str) -> Artifact:
    stamp = f"{at(day):%Y-%m-%dT%H%M%SZ}"
    return Artifact(f"{tier}/app_data_{stamp}_{tier}.tar.zst", TARGET, stamp, tier)


def said(artifacts: list[Artifact], rule: Retention, now: datetime = NOW) -> list[str]:
    """The verdicts as text, newest first."""
    return [
        f"{verdict.artifact.stamp[:10]} {'keep' if verdict.keep else 'drop'}: {verdict.reason}"
        for verdict in verdicts(artifacts, rule, now)
    ]


def test_each_tier_is_counted_by_itself_newest_first() -> None:
    days = [made("daily", f"2026-01-{day}") for day in (13, 14, 15)]
    assert said([made("weekly", "2026-01-12"), *days], Retention(daily=2, weekly=1)) == [
        "2026-01-15 keep: daily 1 of 2",
        "2026-01-14 keep: daily 2 of 2",
        "2026-01-13 drop: past daily 2",
        "2026-01-12 keep: weekly 1 of 1",
    ]


def test_a_tier_without_a_rule_counts_as_the_next_lower_that_has_one() -> None:
    rule = Retention(hourly=1, weekly=1)
    assert [counts_as(tier, rule) for tier in TIERS] == ["hourly", "hourly", "weekly", "weekly", "weekly"]
    assert [counts_as(tier, Retention(monthly=1)) for tier in TIERS] == [
        None,
        None,
        None,
        "monthly",
        "monthly",
    ]
    assert said([made("yearly", "2026-01-01"), made("daily", "2026-01-02")], Retention(monthly=1)) == [
        "2026-01-02 drop: no daily rule here",
        "2026-01-01 keep: monthly 1 of 1",
    ]


def test_the_minimum_counts_what_counts_here_and_nothing_else() -> None:
    artifacts = [made("monthly", "2026-01-01"), made("monthly", "2025-12-01"), made("daily", "2026-01-15")]
    assert said(artifacts, Retention(monthly=1, minimum=2)) == [
        "2026-01-15 drop: no daily rule here",
        "2026-01-01 keep: monthly 1 of 1",
        "2025-12-01 keep: among the newest 2",
    ]


def test_an_artifact_from_after_now_is_kept_and_not_counted() -> None:
    late = f"{NOW + SKEW:%Y-%m-%dT%H:%M:%S}"
    too_late = f"{NOW + SKEW + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}"
    assert said([made("daily", "2026-01-19"), made("daily", too_late)], Retention(daily=1)) == [
        "2026-01-20 keep: dated after now: kept, not counted",
        "2026-01-19 keep: daily 1 of 1",
    ]
    assert said([made("daily", "2026-01-19"), made("daily", late)], Retention(daily=1)) == [
        "2026-01-20 keep: daily 1 of 1",
        "2026-01-19 drop: past daily 1",
    ]
    assert horizon(NOW) == "2026-01-20T121000Z"


def test_no_artifacts_no_verdicts() -> None:
    assert verdicts([], DEFAULT_RETENTION, NOW) == []


def test_two_of_the_same_second_are_told_apart_by_name() -> None:
    pair = [made("daily", "2026-01-19"), made("weekly", "2026-01-19")]
    rule = Retention(daily=1)
    assert verdicts(pair, rule, NOW) == verdicts(pair[::-1], rule, NOW)
    assert [verdict.keep for verdict in verdicts(pair, rule, NOW)] == [True, False]


def test_the_newest_copy_of_a_place_is_spared_only_when_nothing_newer_is_kept_there() -> None:
    artifacts = [made("daily", "2026-01-15"), made("daily", "2026-01-16"), made("monthly", "2026-01-01")]
    judged = verdicts(artifacts, Retention(monthly=1), NOW)
    spared = sparing_newest(judged, {artifacts[0].key, artifacts[2].key})
    assert [(verdict.keep, verdict.reason) for verdict in spared] == [
        (False, "no daily rule here"),
        (True, "newest copy here (no daily rule here)"),
        (True, "monthly 1 of 1"),
    ]
    assert sparing_newest(judged, {artifacts[2].key}) == judged
    assert sparing_newest(judged, set()) == judged


@pytest.mark.parametrize(
    ("held", "now", "tier"),
    [
        ([], "2026-01-20", "monthly"),
        ([made("monthly", "2026-01-01")], "2026-01-02", "daily"),  # it stands for that week too
        ([made("monthly", "2026-01-01")], "2026-01-05", "weekly"),
        ([made("monthly", "2026-01-01"), made("weekly", "2026-01-05")], "2026-01-06", "daily"),
        ([made("daily", "2026-01-06")], "2026-01-06T09:00", "monthly"),
        ([made("monthly", "2026-01-06")], "2026-01-06T09:00", "daily"),
        ([made("yearly", "2026-01-06")], "2026-01-07", "daily"),  # a higher one stands for the month
        ([made("monthly", "2026-02-01")], "2026-01-31", "monthly"),  # dated after now
    ],
)
def test_the_highest_tier_whose_period_has_none_yet(held: list[Artifact], now: str, tier: Tier) -> None:
    assert new_tier(held, DEFAULT_RETENTION.tiers, at(now), "UTC") == tier


def test_the_lowest_tier_is_always_there_for_one_more() -> None:
    full = [made("weekly", "2026-01-20")]
    assert new_tier(full, Retention(weekly=1).tiers, at("2026-01-21"), "UTC") == "weekly"


def test_a_destination_has_its_own_rule_and_tiers_are_those_of_any() -> None:
    fleet = Fleet(
        destinations=(
            Destination(name="disk", url="file:///d"),
            Destination(name="vault", url="s3://v", retention=Retention(yearly=5)),
        ),
        backups=(
            Backup(name="b", schedule="@daily", targets=(), destinations=("disk",)),
            Backup(name="c", schedule="@daily", targets=(), destinations=("disk", "vault")),
        ),
    )
    first, second = fleet.backups
    assert retention_at(fleet, second, "disk") == DEFAULT_RETENTION
    assert retention_at(fleet, second, "vault") == Retention(yearly=5)
    assert tiers_of(fleet, first) == ("daily", "weekly", "monthly")
    assert tiers_of(fleet, second) == ("daily", "weekly", "monthly", "yearly")


def table() -> str:
    """What is held on the morning after 200 daily backups from 1 January 2026, at 7, 4 and 3."""
    held: list[Artifact] = []
    days = [at("2026-01-01") + timedelta(days=day) for day in range(200)]
    for now in days:
        tier = new_tier(held, DEFAULT_RETENTION.tiers, now, "UTC")
        held.append(made(tier, f"{now:%Y-%m-%d}"))
        held = [verdict.artifact for verdict in verdicts(held, DEFAULT_RETENTION, now) if verdict.keep]
    rows = ["| artifact of | weekday | lies in | age in days | kept as |", "|---|---|---|---:|---|"]
    for artifact, _, reason in verdicts(held, DEFAULT_RETENTION, days[-1]):
        age = (days[-1] - artifact.time).days
        rows.append(
            f"| {artifact.time:%Y-%m-%d} | {artifact.time:%A} | `{artifact.tier}/` | {age} | {reason} |"
        )
    return "\n".join(rows)


def test_the_table_in_the_documentation_is_what_the_code_does() -> None:
    found = DOCS.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()
    assert found == table()
