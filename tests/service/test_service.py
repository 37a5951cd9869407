"""When the service does something: a real folder of specs, real ticks, and a clock that runs while it sleeps."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.adapters.bell import Bell
from reconciler.adapters.remote import remote
from reconciler.errors import GitError
from reconciler.model import Action, Outcome, Plan, TargetId
from reconciler.service import Reason, Service, Tick
from reconciler.sources import Followed, Plain, Source
from tests.service.site import Site

START = datetime(2026, 1, 20, 22, 30, tzinfo=UTC)


class Time(Bell):
    """A clock that only runs while somebody sleeps; whatever is planned for a moment is done then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self._patch = monkeypatch
        self._at = START
        self.sleeps = 0
        self.ends = START
        self.service: Service | None = None
        self._set()

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return (self._at - START).total_seconds()

    def wait(self, seconds: float) -> bool:
        self.sleeps += 1
        rung = super().wait(0)
        if not rung:
            self._at += timedelta(seconds=max(1, round(seconds)))
            self._set()
        if self._at >= self.ends and self.service:
            self.service.end()
        return rung

    def _set(self) -> None:
        self._patch.setenv("RECONCILER_NOW", self._at.isoformat())


class Seen:
    """A watcher that remembers when ticks came, and why."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self.ticks: list[tuple[str, Reason]] = []
        self.last: Tick | None = None
        self.whys: list[str] = []

    def begins(self, reason: Reason) -> None:
        self.ticks.append((f"{self._time.now():%d %H:%M}", reason))

    def ended(self, tick: Tick) -> None:
        self.last = tick

    def away(self, why: str) -> None:
        self.whys.append(why)

    def sleeps(self, seconds: float) -> None: ...
    def planned(self, plan: Plan) -> None: ...
    def started(self, action: Action) -> None: ...
    def advanced(self, target: TargetId, size: int) -> None: ...
    def said(self, who: str, line: str) -> None: ...
    def finished(self, outcome: Outcome) -> None: ...


class Bench:
    """A service on a folder of specs, and a clock."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(site.root / "home"))
        self.site = site
        self.time = Time(monkeypatch)
        self.seen = Seen(self.time)
        self.source: Source = Plain(site.work / "backup.d")
        self.service = Service(self.source, 60, self.seen, self.time, self.time)
        self.time.service = self.service

    def run(self, **span: float) -> list[tuple[str, Reason]]:
        """Let it run for so long; its ticks."""
        self.time.ends = START + timedelta(**span)
        self.service.forever()
        return self.seen.ticks


@pytest.fixture
def bench(site: Site, monkeypatch: pytest.MonkeyPatch) -> Bench:
    site.backup("shop")
    return Bench(site, monkeypatch)


def test_a_slot_is_met_and_otherwise_one_look_an_hour(bench: Bench) -> None:
    assert bench.run(hours=4) == [
        ("20 22:30", "start"),
        ("20 23:30", "hourly"),
        ("21 00:00", "slot"),
        ("21 01:00", "hourly"),
        ("21 02:00", "hourly"),
    ]
    names = [path.name for path in bench.site.copies("shop")]
    assert names == [f"shop_files_2026-01-2{time}Z_daily.tar.zst" for time in ("0T223000", "1T000000")]
    assert bench.time.sleeps <= 4 * 60 + 10, "once a minute, never busily"


def test_what_fails_is_tried_again_less_and_less_often(bench: Bench) -> None:
    bench.site.backup("shop", f"kind: path, path: {bench.site.root / 'later'}")
    ticks = bench.run(hours=4)
    assert ticks[:6] == [
        ("20 22:30", "start"),
        ("20 22:35", "retry"),
        ("20 22:45", "retry"),
        ("20 23:05", "retry"),
        ("20 23:45", "retry"),
        ("21 00:00", "slot"),
    ]
    assert Counter(reason for _, reason in ticks[6:]) == {"retry": 2}
    assert bench.seen.last is not None
    assert not bench.seen.last.ok


def test_a_change_is_seen_at_the_next_look_and_a_ring_at_once(bench: Bench) -> None:
    (bench.site.work / "backup.d/shop.yaml").rename(bench.site.root / "shop.yaml")
    looked = bench.source.look

    happens = {600.0: lambda: bench.site.backup("wiki"), 900.0: bench.time.ring}

    def look() -> object:
        happens.pop(bench.time.monotonic(), lambda: None)()
        return looked()

    bench.source.look = look  # type: ignore[method-assign]
    assert bench.run(minutes=20) == [("20 22:30", "start"), ("20 22:40", "specs"), ("20 22:45", "asked")]
    assert [path.name[:4] for path in bench.site.copies()] == ["wiki"]


@pytest.mark.parametrize("kind", ["folder", "remote"])
def test_specs_that_a_tick_has_taken_are_no_change_at_the_next_look(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """They came after the last look, and before the tick that came for another reason."""
    bench.site.push()
    if kind == "remote":
        folder = bench.site.root / "state" / "followed" / "one"
        folder.mkdir(parents=True)
        bench.source = Followed(remote(str(bench.site.remote)), "main", "backup.d", folder)
        bench.service = Service(bench.source, 60, bench.seen, bench.time, bench.time)
        bench.time.service = bench.service
    begins = bench.seen.begins

    def push(reason: Reason) -> None:
        begins(reason)
        bench.site.backup("wiki")
        bench.site.push("--allow-empty")

    monkeypatch.setattr(bench.seen, "begins", push)
    assert bench.run(minutes=20) == [("20 22:30", "start")]
    assert [path.name[:4] for path in bench.site.copies()] == ["shop", "wiki"]


def test_a_source_that_is_away_is_told_once_each_time(bench: Bench) -> None:
    looked = bench.source.look

    def look() -> object:
        if 300 <= bench.time.monotonic() < 600:
            raise GitError(f"nobody answers at {bench.time.now()}")
        return looked()

    bench.source.look = look  # type: ignore[method-assign]
    ticks = bench.run(minutes=20)
    assert ticks == [("20 22:30", "start"), ("20 22:35", "specs"), ("20 22:40", "specs")]
    assert bench.seen.whys == ["nobody answers at 2026-01-20 22:35:00+00:00"]


def test_specs_that_are_wrong_end_nothing(bench: Bench) -> None:
    bench.site.backup("shop", "kind: pth, path: /x")
    bench.run(minutes=2)
    assert bench.seen.last is not None
    assert 'unknown kind "pth"' in bench.seen.last.errors[0]
    bench.site.backup("shop")
    bench.time.ends += timedelta(minutes=2)
    bench.service._ending = False
    bench.service.forever()
    assert bench.seen.last.ok


def test_a_full_disk_ends_nothing(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> object:
        raise OSError(28, "No space left on device", "state/specs")

    monkeypatch.setattr(bench.source, "origin", full)
    bench.run(minutes=2)
    assert bench.seen.last is not None
    assert bench.seen.last.errors == ("this machine: [Errno 28] No space left on device: 'state/specs'",)
