"""When the status is committed, and with what message: on a real branch of a real repository."""

import subprocess
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.adapters import git
from reconciler.adapters.ledger import Ledger, open_ledger
from reconciler.errors import Corrupt
from reconciler.model import Create, Listing, Note, Observation, Outcome, Plan, Probe, Prune, Recover
from reconciler.model.status import ClockStatus
from reconciler.report import encode, picture, publish, read, rejected, render, status
from tests.report import example
from tests.report.example import GRAFANA, MIB, NOW, key
from tests.report.test_status import COPIES, FLEET, HEAL, SEEN

HOUR = timedelta(hours=1)
CREATE = Create(
    GRAFANA, "daily", key(GRAFANA, "2026-01-20"), ("local", "offsite"), MIB, "due since 2026-01-20 03:00Z"
)
OLD = Listing(copies=COPIES[:-1])
OVERDUE = replace(SEEN, listings={"local": OLD, "offsite": OLD})


class Place:
    """A specs repository, and ticks that report into it."""

    def __init__(self, folder: Path) -> None:
        subprocess.run(["git", "init", "-q", folder], check=True)
        self.folder = folder
        specs = folder / "backup.d"
        specs.mkdir()
        self.ledger: Ledger = open_ledger(specs, git.find(specs))

    def tick(
        self,
        now: datetime,
        outcomes: Sequence[Outcome] = (),
        seen: Observation = SEEN,
        notes: Sequence[Note] = (),
        commit: str = "c0ffee",
    ) -> str | None:
        """One run's report; its commit, if it made one."""
        previous = read(self.ledger)
        actions = tuple(outcome.action for outcome in outcomes if not outcome.ok)
        plan = Plan(now=now, actions=actions, notes=tuple(notes), commit=commit)
        found = status(replace(FLEET, commit=commit), seen, plan, tuple(outcomes), now, previous)
        return publish(found, previous, self.ledger)

    def log(self) -> list[str]:
        """Messages of the commits, newest first."""
        command = ["git", "-C", str(self.folder), "log", "--format=%B", "-z", "backup-status"]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [message.strip() for message in text.split("\0") if message.strip()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_all_files_are_committed_and_read_again(place: Place) -> None:
    found = example.bad_day()
    assert publish(found, None, place.ledger)
    assert place.ledger.read("STATUS.md") == render(found).encode()
    assert place.ledger.read("status.json") == encode(found)
    assert place.ledger.read("status.svg") == picture(found).encode()
    assert read(place.ledger) == found
    date = subprocess.run(
        ["git", "-C", place.folder, "log", "-1", "--format=%at", "backup-status"],
        capture_output=True,
        check=True,
    )
    assert int(date.stdout) == NOW.timestamp()


def test_idle_runs_commit_nothing(place: Place) -> None:
    assert place.tick(NOW, [Outcome(CREATE, size=MIB, seconds=1.5)])
    for hours in range(1, 20):
        assert place.tick(NOW + hours * HOUR) is None
    assert place.log() == ["grafana/data: backed up"]


def test_an_unchanged_image_commits_nothing_at_its_next_slots(place: Place) -> None:
    seen = replace(SEEN, probes={GRAFANA: Probe(fingerprint="sha256:1", stored_fingerprint="sha256:1")})
    assert place.tick(NOW, seen=seen)
    assert [place.tick(NOW + timedelta(days=days), seen=seen) for days in range(1, 4)] == [None] * 3


def test_a_failure_that_repeats_is_committed_once(place: Place) -> None:
    def failing(time: datetime, error: str) -> str | None:
        create = replace(
            CREATE, key=f"daily/grafana_data_{time:%Y-%m-%dT%H%M%S}Z_daily.tar.zst", reason=f"due {time}"
        )
        return place.tick(time, [Outcome(create, error=error, seconds=time.hour)], OVERDUE)

    assert failing(NOW, "disk full")
    assert failing(NOW + HOUR, "disk full") is None
    assert failing(NOW + timedelta(days=2), "disk full") is None
    assert failing(NOW + timedelta(days=3), "permission denied")
    assert place.log()[0] == "grafana/data: backup failed"


def test_a_run_that_did_something_is_always_committed(place: Place) -> None:
    for hours in range(3):  # the very same copy vanishes again and again
        assert place.tick(NOW + hours * HOUR, [Outcome(HEAL, size=MIB)])
    assert place.log() == ["offsite: 1 copy replicated"] * 3


def test_a_clock_that_is_named_in_a_note_commits_nothing(place: Place) -> None:
    def note(text: str) -> Note:
        return Note("warning", "clock", "grafana/data", f"an artifact is dated 2036, after now ({text})")

    assert place.tick(NOW, notes=[note("03:05:12")])
    assert place.tick(NOW + HOUR, notes=[note("04:05:12")]) is None
    assert place.tick(NOW + 2 * HOUR)


def test_a_restart_commits_nothing_and_a_clock_that_jumped_at_every_step(place: Place) -> None:
    def seen(**clock: object) -> Observation:
        return replace(SEEN, clock=ClockStatus(**clock))  # type: ignore[arg-type]

    jump = "the clock was set ahead by 3 days while the machine ran"
    assert place.tick(NOW, seen=seen(boot="one", booted=NOW - HOUR))
    assert place.tick(NOW + HOUR, seen=seen(boot="two", booted=NOW)) is None
    assert place.tick(NOW + 2 * HOUR, seen=seen(boot="two", booted=NOW, jump=jump))
    assert place.tick(NOW + 3 * HOUR, seen=seen(boot="two", booted=NOW, jump=jump, confirmations=1))
    assert place.tick(NOW + 4 * HOUR, seen=seen(boot="two", booted=NOW))
    assert place.tick(NOW + 5 * HOUR, seen=seen(boot="two", booted=NOW + timedelta(seconds=1))) is None
    assert place.log()[:3] == ["the clock is believed again", "one more run saw the same clock", jump]


def test_what_is_seen_without_a_run_is_a_change(place: Place) -> None:
    assert place.tick(NOW)
    down = replace(SEEN, listings={**SEEN.listings, "offsite": Listing(unknown="connection refused")})
    assert place.tick(NOW + HOUR, seen=down)
    assert place.tick(NOW + 2 * HOUR, seen=down) is None
    assert place.tick(NOW + 3 * HOUR)
    foreign = replace(SEEN.listings["local"], foreign=("notes.txt",))
    assert place.tick(NOW + 4 * HOUR, seen=replace(SEEN, listings={**SEEN.listings, "local": foreign}))
    assert place.log() == [
        "what was seen changed",
        "Ready: True (SpecsInForce); Converged: True (UpToDate); Healthy: True (AllProtected)",
        (
            "Ready: False (DestinationUnknown); Converged: Unknown (DestinationUnknown); "
            "Healthy: Unknown (DestinationUnknown)"
        ),
        "Ready: True (SpecsInForce); Converged: True (UpToDate); Healthy: True (AllProtected)",
    ]


def test_the_message_names_the_target_where_the_whole_stays_as_unwell_as_it_was(place: Place) -> None:
    gone = replace(SEEN, probes={GRAFANA: Probe(problem="no volume grafana")})
    assert place.tick(NOW, seen=gone)
    assert place.tick(NOW + timedelta(days=1), seen=gone)
    assert place.tick(NOW + timedelta(days=2), seen=gone) is None
    assert place.log()[0] == "grafana/data: it is overdue: its newest backup is of 2026-01-20 03:00Z"


def test_new_specs_are_a_change_and_rejected_ones_too(place: Place) -> None:
    assert place.tick(NOW)
    assert place.tick(NOW + HOUR, commit="badcafe")
    before = read(place.ledger)
    for _ in range(2):
        publish(rejected(before, ("a.yaml:1:1: wrong",), "n1", NOW + 2 * HOUR), before, place.ledger)
        before = read(place.ledger)
    assert place.tick(NOW + 3 * HOUR, commit="badcafe")
    assert place.log()[:3] == [
        "Ready: True (SpecsInForce)",
        "Ready: False (SpecsInvalid)",
        "specs at badcafe",
    ]


def test_the_message_names_failures_first_and_counts_the_rest(place: Place) -> None:
    assert publish(example.bad_day(), None, place.ledger)
    prunes = [
        Outcome(Prune(GRAFANA, key(GRAFANA, f"2026-01-{day:02}"), "local", MIB, "past daily 7"))
        for day in (1, 2, 3)
    ]
    recover = Outcome(
        Recover("offsite", CREATE.key, (CREATE.key,), committed=False, reason="died"), error="denied"
    )
    place.tick(NOW + HOUR, [Outcome(CREATE, failures={"offsite": "503"}), Outcome(HEAL), *prunes, recover])
    assert place.log() == [
        (
            "grafana/data: backed up, but not at offsite; offsite: 1 leftover not removed; "
            "offsite: 1 copy replicated; local: 3 copies pruned"
        ),
        (
            "shop-db/dump: backup failed; wiki/data: backed up, but not at offsite; grafana/data: backed up; "
            "offsite: 1 copy replicated; and 1 more"
        ),
    ]


def test_a_status_that_cannot_be_read_says_so(place: Place) -> None:
    assert read(place.ledger) is None
    for content in (b"not json", b"{}", b'{"format": "reconciler/status/v2"}', b"\xff"):
        place.ledger.write({"status.json": content}, "Edited", NOW)
        with pytest.raises(
            Corrupt, match=r"status\.json on branch backup-status is not a status .*delete it"
        ):
            read(place.ledger)


def test_fields_of_a_newer_version_are_ignored(place: Place) -> None:
    found = example.bad_day()
    newer = encode(found).replace(b'{\n  "format"', b'{\n  "weather": "fine",\n  "format"')
    place.ledger.write({"status.json": newer}, "Newer", NOW)
    assert read(place.ledger) == found
