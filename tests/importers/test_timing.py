"""Cron expressions of docker-volume-backup, and what a number of days is as a count."""

import pytest

from reconciler import schedule
from reconciler.importers.timing import FOREVER, Timing, retention, seconds, timing


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("@daily", Timing("@daily")),
        ("0 2 * * *", Timing("0 2 * * *")),
        ("0 30 2 * * ?", Timing("30 2 * * *")),
        ("17 30 2 * * SUN", Timing("30 2 * * SUN")),
        ("CRON_TZ=Europe/Berlin 0 2 * * *", Timing("0 2 * * *", "Europe/Berlin")),
        ("TZ=UTC @weekly", Timing("@weekly", "UTC")),
        ("0 0 5 31 2 ?", Timing("@daily", never=True)),
    ],
)
def test_what_is_kept(expression: str, expected: Timing) -> None:
    assert timing(expression) == expected


@pytest.mark.parametrize(
    ("expression", "ours", "told"),
    [
        ("@every 30m", "@hourly", "by the clock"),
        ("@every 6h", "0 */6 * * *", "by the clock"),
        ("@every 7h30m", "0 */8 * * *", "by the clock"),
        ("@every 24h", "@daily", "by the clock"),
        ("@every 168h", "@weekly", "by the clock"),
        ("@every 720h", "@monthly", "by the clock"),
        ("*/5 * * * *", "@hourly", "once an hour"),
        ("*/10 0 2 * * *", "0 2 * * *", "once a minute"),
        ("whenever", "@daily", "no cron expression"),
        ("@fortnightly", "@daily", "no cron expression"),
    ],
)
def test_what_is_nearest_is_told(expression: str, ours: str, told: str) -> None:
    found = timing(expression)
    assert found.schedule == ours
    assert told in found.lost
    schedule.parse(found.schedule, "UTC")


@pytest.mark.parametrize(
    ("expression", "days", "kept"),
    [
        ("@daily", 7, {"daily": 7}),
        ("0 2 * * *", 31, {"daily": 31}),
        ("@daily", 0, {"daily": 1}),
        ("@daily", 0.5, {"daily": 1}),
        ("0 2 * * 1-5", 7, {"daily": 5}),
        ("0 */6 * * *", 7, {"hourly": 28}),
        ("@hourly", 7, {"hourly": 168}),
        ("@hourly", 1000, {"hourly": FOREVER}),
        ("0 3 * * 1", 31, {"weekly": 5}),
        ("0 4 1 * *", 90, {"monthly": 3}),
        ("@yearly", 800, {"yearly": 3}),
        ("@daily", -1, {"daily": FOREVER}),
        ("@hourly", -1, {"hourly": FOREVER, "daily": FOREVER}),
    ],
)
def test_days_are_counts(expression: str, days: float, kept: dict[str, int]) -> None:
    assert retention(expression, days) == kept


@pytest.mark.parametrize(
    ("span", "length"), [("168h", 604_800), ("1h30m", 5400), ("0.5s", 0.5), ("7d", 0), ("soon", 0), ("", 0)]
)
def test_durations(span: str, length: float) -> None:
    assert seconds(span) == length
