"""A clock that was set while the machine ran, by the real clock and the status that runs leave."""

import json
from datetime import UTC, datetime, timedelta

from tests.cli.place import Place


def test_after_a_jump_nothing_is_pruned_until_two_more_runs_saw_the_same_clock(place: Place) -> None:
    def copies() -> int:
        return len([*(place.root / "copies/local").rglob("wiki_files_*.tar.zst")])

    spec, today = place.root / "backup.d/shop.yaml", datetime.now(UTC)
    far = f"0 {(today.hour + 12) % 24} * * *"  # no slot comes while the test runs
    spec.write_text(spec.read_text().replace("0 3 * * *", far).replace("{daily: 2, weekly: 1}", "{daily: 9}"))
    for days in (4, 3, 2):
        place.now = f"{today - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
        assert place.run("apply").code == 0
    place.env["RECONCILER_NOW"] = ""  # the real one
    assert place.run("apply").code == 0
    (written,) = (place.root / "state").rglob("status.json")
    status = json.loads(written.read_text())
    assert status["clock"]["jump"] == ""
    status["clock"]["booted"] = (
        f"{datetime.fromisoformat(status['clock']['booted']) - timedelta(days=3):%FT%TZ}"
    )
    written.write_text(json.dumps(status))
    spec.write_text(spec.read_text().replace("{daily: 9}", "{daily: 1}"))
    before = copies()
    told = "clock: the clock was set ahead by 3 days while the machine ran; nothing is pruned until"
    for _ in range(3):  # a plan is no run
        ran = place.run("plan")
        assert f"{told} 2 more runs in a row saw the same clock" in ran.out + ran.err
    for runs in ("2 more runs", "1 more run"):
        ran = place.run("apply")
        assert ran.code == 0
        assert f"{told} {runs} in a row saw the same clock" in ran.out + ran.err
        assert copies() == before
    ran = place.run("apply")
    assert ran.code == 0
    assert "clock" not in ran.out + ran.err
    assert copies() == 1 < before
    assert place.run("plan").code == 0
