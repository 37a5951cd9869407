"""What stands beside a schedule becomes times of the Backup's own zone."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.spec import check

SPECS = """\
apiVersion: reconciler/v1
kind: Destination
metadata: {name: local}
spec: {url: "file:///srv/backups"}
---
apiVersion: reconciler/v1
kind: Policy
metadata: {name: fleet}
spec: {rule321: "off", defaults: {timezone: Europe/Berlin, maxAge: 26h}}
---
apiVersion: reconciler/v1
kind: Backup
metadata: {name: b}
spec:
  schedule: "0 3 * * *"
  destinations: [local]
  targets: [{name: a, kind: volume, volume: v}]
"""


@pytest.mark.parametrize(
    ("until", "moment"),
    [
        ("2026-12-24", datetime(2026, 12, 23, 23, tzinfo=UTC)),
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-12-24T06:00:00Z", datetime(2026, 12, 24, 6, tzinfo=UTC)),
        ("2026-12-24 06:00+01:00", datetime(2026, 12, 24, 5, tzinfo=UTC)),
    ],
)
def test_a_suspension_ends_at_the_beginning_of_a_local_day_or_at_a_time(
    tmp_path: Path, until: str, moment: datetime
) -> None:
    (tmp_path / "a.yaml").write_text(SPECS + f'  suspend: {{until: "{until}", reason: away}}\n')
    fleet = check([tmp_path]).fleet
    assert fleet is not None
    backup = fleet.backups[0]
    assert (backup.suspend, backup.suspend_until, backup.suspend_reason) == (True, moment, "away")
    assert backup.max_age == "26h"


@pytest.mark.parametrize(("written", "count"), [("", 1), ("  blackout: []\n", 0)])
def test_an_empty_list_of_blackouts_takes_back_the_default(tmp_path: Path, written: str, count: int) -> None:
    given = SPECS.replace("maxAge: 26h", 'maxAge: 26h, blackout: [{from: "22:00", to: "01:00"}]')
    (tmp_path / "a.yaml").write_text(given + written)
    fleet = check([tmp_path]).fleet
    assert fleet is not None
    assert len(fleet.backups[0].blackout) == count
