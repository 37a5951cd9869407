"""The service through a long time: a year of 200 targets with ``make year`` (YEAR=200), otherwise 18 days of a few.

Real are the service and everything below it: specs, destinations (folders), archives, the status branch. The clock is not.
"""

import io
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from reconciler.adapters.lease import KEPT
from reconciler.model import Action, Create, Outcome, Plan, Replicate, TargetId
from reconciler.service import Reason, Service, Tick
from reconciler.sources import Plain
from tests.cli.place import Place
from tests.service.year import RHYTHMS, VAULT, Leaps, Moment, Rhythm, Rule, Twin

MEGABYTE = 1024 * 1024
TARGETS = int(os.environ.get("YEAR", "5"))
WHOLE = "YEAR" in os.environ
FIRST = datetime(2026, 1, 1, 12, tzinfo=UTC) if WHOLE else datetime(2026, 10, 20, 12, tzinfo=UTC)
DAYS = 365 if WHOLE else 18
QUIET = timedelta(days=4)
"""From one look at which nothing is to be done to the next."""

OFF = ((142, 4), (296, 3)) if WHOLE else ((6, 2),)
"""The machine is off: from the end of which day, and for how many. The second time the clocks change in Berlin."""

LOST = (100, 200, 300) if WHOLE else (14,)
"""Days on which copies vanish from the vault."""

AWAY = (150, 153) if WHOLE else (10, 12)
"""Days between which the folder of one target is not there."""

HEADER = "apiVersion: reconciler/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n"


def off(moment: datetime) -> bool:
    return any(first <= (moment - FIRST).days < first + days for first, days in OFF)


class World:
    """The specs, the data, the twin of each target, and a watcher that compares after each tick."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.last = FIRST + timedelta(days=DAYS)
        self.twins = [
            Twin(f"{rhythm.name}{number}", rhythm)
            for rhythm in RHYTHMS
            for number in range(rhythm.share * TARGETS // 100 or 1)
        ]
        before = FIRST - timedelta(days=9)
        self.slots = {rhythm.name: list(rhythm.slots(before, self.last)) for rhythm in RHYTHMS}
        self.clock = Leaps(FIRST, self._moments())
        self.service = Service(Plain(place.root / "backup.d"), 1e9, self, self.clock, self.clock)
        self.clock.service = self.service
        self.commits: list[str] = []
        self.ticks: list[tuple[Reason, int]] = []
        self.memory: list[float] = []
        self.seconds: list[float] = []
        self.healed = 0
        self._known: tuple[bool, bool] | None = None
        self._write_specs()

    def _moments(self) -> list[Moment]:
        slots = {moment for each in self.slots.values() for moment in each if moment > FIRST}
        quiet = {FIRST + QUIET * number + timedelta(minutes=37) for number in range(1, DAYS // QUIET.days)}
        lost = {FIRST + timedelta(days=day, minutes=41) for day in LOST}
        moments = [Moment(at, "slot") for at in slots] + [Moment(at, "asked") for at in quiet | lost]
        back = [Moment(FIRST + timedelta(days=sum(span), minutes=1), "slot") for span in OFF]
        return sorted([moment for moment in moments if not off(moment.at)] + back)

    def _write_specs(self) -> None:
        place = self.place
        policy = HEADER.format(kind="Policy", name="fleet") + 'spec: {rule321: "off"}\n'
        disk = HEADER.format(kind="Destination", name="disk") + 'spec: {url: "file://../copies/disk"}\n'
        vault = HEADER.format(kind="Destination", name="vault")
        vault += f'spec: {{url: "file://../copies/vault", retention: {shown(VAULT)}}}\n'
        place.write("backup.d/destinations.yaml", f"{policy}---\n{disk}---\n{vault}")
        place.write("backup.d/shop.yaml", "---\n".join(map(self._backup, RHYTHMS)))
        place.into_git()

    def _backup(self, rhythm: Rhythm) -> str:
        targets = [
            f"    - {{name: {twin.name}, kind: path, path: ../data/{twin.name}}}\n"
            for twin in self.of(rhythm)
        ]
        spec = (
            f'spec:\n  schedule: "{rhythm.cron}"\n  timezone: {rhythm.zone}\n  destinations: [disk, vault]\n'
        )
        rule = f"  retention: {shown(rhythm.rule)}\n  targets:\n"
        return HEADER.format(kind="Backup", name=rhythm.name) + spec + rule + "".join(targets)

    def of(self, rhythm: Rhythm) -> list[Twin]:
        return [twin for twin in self.twins if twin.rhythm is rhythm]

    def newest_slot(self, rhythm: Rhythm) -> datetime:
        return max(slot for slot in self.slots[rhythm.name] if slot <= self.clock.now())

    # What a watcher is told.

    def begins(self, _reason: Reason) -> None:
        """The present is prepared: what each target holds, what vanishes, and what must come of it."""
        now = self.clock.now()
        day = (now - FIRST).days
        first = self.twins[0]
        first.away = AWAY[0] <= day < AWAY[1]
        self._folder(first)
        self._due = {twin.name for twin in self.twins if twin.due(self.newest_slot(twin.rhythm))}
        for twin in self.twins:
            if twin.name in self._due:
                twin.make(now)
                self.place.write(f"data/{twin.name}/file", content(twin, now))
        before, self._known = self._known, (first.away, first.missed(self.newest_slot(first.rhythm)))
        self._news = before != self._known
        self._lost = self._lose() if day in LOST and now == FIRST + timedelta(days=day, minutes=41) else set()
        self._began = time.process_time()

    def _folder(self, twin: Twin) -> None:
        here, aside = self.place.root / "data" / twin.name, self.place.root / "data" / "aside"
        if twin.away and here.exists():
            here.rename(aside)
        elif not twin.away and aside.exists():
            aside.rename(here)

    def _lose(self) -> set[str]:
        """Take from the vault what the disk holds, too."""
        both = self.held("disk") & self.held("vault")
        keys = {key for key in both if key.startswith("monthly/") and not key.endswith(".json")}
        for key in keys:
            (self.place.root / "copies/vault" / key).unlink()
            (self.place.root / "copies/vault" / f"{key}.json").unlink()
        return keys

    def planned(self, plan: Plan) -> None:
        """What is planned is what is due, and the healing of what vanished."""
        creates = [
            str(action.target).partition("/")[0] for action in plan.actions if isinstance(action, Create)
        ]
        healed = {action.key for action in plan.actions if isinstance(action, Replicate)}
        assert sorted(creates) == sorted(self._due)
        assert healed == self._lost
        self.healed += len(healed)

    def ended(self, tick: Tick) -> None:
        """After each tick: all is done and told, nothing was told twice, and the copies are those that the rules want."""
        self.seconds.append(time.process_time() - self._began)
        self.memory.append(resident())
        applied = tick.applied
        assert applied is not None, tick.errors
        assert tick.ok is not self.twins[0].away, (tick.errors, applied.plan.notes)
        self.ticks.append((tick.reason, len(applied.outcomes)))
        assert bool(applied.commit) == bool(applied.outcomes or self._news), (
            self.clock.now(),
            applied.outcomes,
        )
        if applied.commit:
            self.commits.append(applied.commit)
        self.check("disk")
        self.check("vault", VAULT)
        coming = [slot for each in self.slots.values() for slot in each if slot > self.clock.now()]
        assert tick.next_slot == min(coming, default=tick.next_slot)

    def away(self, why: str) -> None:
        raise AssertionError(why)

    def sleeps(self, seconds: float) -> None: ...
    def started(self, action: Action) -> None: ...
    def advanced(self, target: TargetId, size: int) -> None: ...
    def said(self, who: str, line: str) -> None: ...
    def finished(self, outcome: Outcome) -> None: ...

    def held(self, destination: str) -> set[str]:
        """Every object but the marker and the lease."""
        root = self.place.root / "copies" / destination
        found = {f"{folder}/{name}" for folder, _, names in os.walk(root) for name in names}
        keys = {key.removeprefix(f"{root}/") for key in found} - {".reconciler.json"}
        leases = {key for key in keys if key.startswith(".leases/")}
        assert len(leases) <= 2 * KEPT + 2, "a few objects, however many runs took their turn"
        return keys - leases

    def wanted(self, rule: Rule | None = None) -> dict[str, str]:
        """What must lie at a destination, with the content of each artifact."""
        return {
            made.key(twin.name): content(twin, made.moment)
            for twin in self.twins
            for made in twin.wanted(rule or twin.rhythm.rule)
        }

    def check(self, destination: str, rule: Rule | None = None) -> None:
        keys = {key for twin in self.twins for key in twin.keys(rule or twin.rhythm.rule)}
        held = self.held(destination)
        assert held == keys | {f"{key}.json" for key in keys}, f"{destination} at {self.clock.now()}"


def shown(rule: Rule) -> str:
    return f"{{{', '.join(f'{tier}: {count}' for tier, count in rule.items())}}}"


def content(twin: Twin, moment: datetime) -> str:
    return f"{twin.name} as it was at {moment:%Y-%m-%d %H:%M}\n"


def resident() -> float:
    """Megabytes of this process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("RECONCILER_NODE", "here")
    monkeypatch.setenv("RECONCILER_NOW", "")
    world = World(Place(tmp_path))
    yield world
    world.clock.close()


@pytest.mark.timeout(0 if WHOLE else 120)
def test_every_slot_has_one_backup_and_the_copies_are_those_that_the_rules_want(
    world: World, measured: Callable[[str], None]
) -> None:
    world.service.forever()
    told = world.place.git("rev-list", "--reverse", "backup-status").split()
    assert told == world.commits, "one status commit for each tick that changed anything, and none else"
    assert {twin.name for twin in world.twins if len(twin.made) < DAYS // 7} == set()
    for rhythm in RHYTHMS:
        each_slot_has_one(world, rhythm)
    restores_are_exact(world)
    assert ("asked", 0) in world.ticks, "some looks found nothing to do"
    assert world.healed >= len(LOST)
    memory_is_flat(world, measured)


def each_slot_has_one(world: World, rhythm: Rhythm) -> None:
    """One artifact from each slot to the next; where the machine was off, one when it is back."""
    slots = [slot for slot in world.slots[rhythm.name] if slot > FIRST]
    for twin in world.of(rhythm)[1 if rhythm is RHYTHMS[0] else 0 :]:
        for slot, following in pairwise(slots):
            made = [each.moment for each in twin.made if slot <= each.moment < following]
            assert made == [slot] or (off(slot) and len(made) <= 1), (twin.name, slot)


def restores_are_exact(world: World) -> None:
    """All that is held holds what was there then; the product brings the oldest back, and the newest."""
    zstd = pytest.importorskip("backports.zstd")
    for destination, rule in (("disk", None), ("vault", VAULT)):
        for key, text in world.wanted(rule).items():
            data = zstd.decompress((world.place.root / "copies" / destination / key).read_bytes())
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                member = archive.extractfile("./file")
                assert member is not None
                assert member.read().decode() == text, key
    world.place.now = world.clock.now().isoformat()
    for rhythm in RHYTHMS:
        twin = world.of(rhythm)[0]
        kept = sorted(twin.wanted(rhythm.rule))
        for made in (kept[0], kept[-1]):
            aim = world.place.root / "back" / twin.name / f"{made.moment:%m%d}"
            ran = world.place.run(
                "restore", twin.name, "--at", made.moment.isoformat(), "--to", f"path:{aim}"
            )
            assert ran.code == 0, ran.err
            assert {path.name: path.read_text() for path in aim.iterdir()} == {
                "file": content(twin, made.moment)
            }


def memory_is_flat(world: World, measured: Callable[[str], None]) -> None:
    """From the second third on, when retention holds as much as it ever will."""
    third = len(world.memory) // 3
    middle, end = max(world.memory[third : 2 * third]), max(world.memory[2 * third :])
    busy = [
        [seconds for seconds, (_, count) in list(zip(world.seconds, world.ticks, strict=True))[part] if count]
        for part in (slice(third, 2 * third), slice(2 * third, None))
    ]
    costs = [sum(part) / len(part) for part in busy]
    made = sum(len(twin.made) for twin in world.twins)
    measured(
        f"{DAYS} days of {len(world.twins)} targets: {made} backups in {len(world.ticks)} ticks, {len(world.commits)} status "
        f"commits; in memory at most {max(world.memory[:third]):.0f}, {middle:.0f} and {end:.0f} MB by thirds; a tick takes "
        f"{costs[0]:.3f} and then {costs[1]:.3f} s of processor time"
    )
    assert end < 1.1 * middle
    assert costs[1] < 2 * costs[0]
