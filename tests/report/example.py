"""A fleet on a bad day, with fixed inputs: what the tests look at and what docs/status.md shows.

``python -m tests.report.example`` writes it there again.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from reconciler.model import (
    Artifact,
    Backup,
    Copy,
    Create,
    Destination,
    Fleet,
    FromEnv,
    Leftover,
    Listing,
    Note,
    Observation,
    Outcome,
    Plan,
    Probe,
    Prune,
    Replicate,
    Retention,
    Target,
    TargetId,
    Tier,
)
from reconciler.model.status import Status
from reconciler.naming import parse
from reconciler.report import encode, picture, render, status

NOW = datetime(2026, 1, 20, 3, 5, 12, tzinfo=UTC)
PLANNED = datetime(2026, 1, 20, 3, 0, 4, tzinfo=UTC)
DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE, MACHINES, PICTURE = DOCS / "status.md", DOCS / "status.example.json", DOCS / "status.svg"
MARK = "<!-- The example below is written by tests/report/example.py. -->"
MIB = 1 << 20


class Volume(Target, frozen=True, kw_only=True, tag="volume"):
    """A kind for these tests."""


class Command(Target, frozen=True, kw_only=True, tag="command"):
    """Another kind for these tests."""

    default_type = "dump"


GRAFANA, WIKI, SHOP, MAIL = (
    TargetId("grafana", "data"),
    TargetId("wiki", "data"),
    TargetId("shop-db", "dump"),
    TargetId("mail", "data"),
)


def key(target: TargetId, day: str, tier: Tier = "daily") -> str:
    """Key of the artifact of one day at 03:00 (a few seconds past it, as real ones are)."""
    ext = "dump" if target.type == "dump" else "tar"
    return f"{tier}/{target.service}_{target.type}_{day}T030004Z_{tier}.{ext}.zst"


def copy(text: str, size: int, broken: str = "") -> Copy:
    artifact = parse(text)
    assert isinstance(artifact, Artifact)
    return Copy(artifact, size, 900, broken)


def days(target: TargetId, numbers: Iterable[int], size: int) -> list[Copy]:
    return [copy(key(target, f"2026-01-{number:02}"), size) for number in numbers]


def fleet() -> Fleet:
    """Two destinations; a backup in order, one that fails, one that is suspended."""
    return Fleet(
        destinations=(
            Destination(name="local", url="file:///srv/backups", media="hdd"),
            Destination(
                name="offsite",
                url="s3://acme-backups/docker",
                media="object-storage",
                offsite=True,
                options={"key": FromEnv(from_env="S3_ACCESS_KEY")},
                retention=Retention(daily=14, monthly=12),
            ),
        ),
        backups=(
            Backup(
                name="monitoring",
                schedule="0 3 * * *",
                targets=(Volume(name="grafana"), Volume(name="wiki")),
                destinations=("local", "offsite"),
            ),
            Backup(
                name="databases",
                schedule="0 3 * * *",
                targets=(Command(name="shop-db"),),
                destinations=("local", "offsite"),
            ),
            Backup(
                name="old-mail",
                schedule="@weekly",
                targets=(Volume(name="mail"),),
                destinations=("local",),
                suspend=True,
            ),
        ),
        commit="4f0c1d2e9ab87c6d5e4f3a2b1c0d9e8f7a6b5c4d",
    )


def observation() -> Observation:
    """What is there after the run: the shop's dump failed, the wiki's copy did not reach the off-site destination."""
    local = [
        *days(GRAFANA, range(14, 21), 18 * MIB),
        copy(key(GRAFANA, "2026-01-11", "weekly"), 17 * MIB),
        *days(WIKI, range(14, 21), 412 * MIB),
        *days(SHOP, range(13, 20), 96 * MIB),
        *days(TargetId("gitea", "data"), (2, 3), 210 * MIB),
        *days(MAIL, (4,), 1300 * MIB),
    ]
    offsite = [
        *days(GRAFANA, range(12, 21), 18 * MIB),
        copy(key(GRAFANA, "2026-01-11", "weekly"), 17 * MIB),
        *days(WIKI, range(12, 20), 412 * MIB),
        *days(SHOP, range(13, 19), 96 * MIB),
        copy(key(SHOP, "2026-01-19"), 41 * MIB, "its size is 42991616 bytes, its manifest says 100663296"),
    ]
    leftover = Leftover(
        key(WIKI, "2026-01-20"), WIKI, PLANNED, "backup1", (key(WIKI, "2026-01-20"),), committed=False
    )
    return Observation(
        listings={
            "local": Listing(
                marker="9d2c61f0a4", copies=tuple(local), foreign=("lost+found/#12", "notes|draft.txt")
            ),
            "offsite": Listing(marker="03be77a1c9", copies=tuple(offsite), leftovers=(leftover,)),
        },
        probes={GRAFANA: Probe(), WIKI: Probe(), SHOP: Probe(), MAIL: Probe()},
        node="backup1",
    )


def actions() -> dict[str, Create | Replicate | Prune]:
    """What was planned, by a short name."""
    both, due = ("local", "offsite"), "due since 2026-01-20 03:00Z; newest is 2026-01-19 03:00Z"
    return {
        "grafana": Create(GRAFANA, "daily", key(GRAFANA, "2026-01-20"), both, 18 * MIB, due),
        "shop": Create(SHOP, "daily", key(SHOP, "2026-01-20"), both, 96 * MIB, due),
        "wiki": Create(WIKI, "daily", key(WIKI, "2026-01-20"), both, 412 * MIB, due),
        "heal": Replicate(
            GRAFANA,
            key(GRAFANA, "2026-01-16"),
            ("local",),
            "offsite",
            18 * MIB,
            "missing here (daily 5 of 14)",
        ),
        "prune": Prune(GRAFANA, key(GRAFANA, "2026-01-13"), "local", 18 * MIB, "past daily 7"),
    }


def rest() -> Plan:
    """What is left to do after the run, and what there is to know."""
    planned = actions()
    again = Replicate(
        WIKI, key(WIKI, "2026-01-20"), ("local",), "offsite", 412 * MIB, "missing here (daily 1 of 14)"
    )
    notes = (
        Note("info", "foreign", "local", "2 files are not ours and left alone"),
        Note("info", "orphan", "gitea/data", "no spec names it any more; 2 copies at local are kept"),
        Note("info", "suspended", "mail/data", "suspended by backup.d/old-mail.yaml:1"),
        Note("warning", "rule321", "old-mail", "the 3-2-1 rule is broken: no copy is off-site, 1 is needed"),
    )
    return Plan(now=PLANNED, actions=(planned["shop"], again), notes=notes, commit=fleet().commit)


def outcomes() -> tuple[Outcome, ...]:
    planned = actions()
    return (
        Outcome(
            planned["grafana"],
            warnings=("./grafana.db-wal: file changed as we read it",),
            size=18 * MIB,
            seconds=1.42,
        ),
        Outcome(
            planned["shop"],
            error="command in container shop-db exited with 1: pg_dump: error: connection to server on socket "
            '"/var/run/postgresql/.s.PGSQL.5432" failed: FATAL:  the database system is starting up',
            seconds=0.3,
        ),
        Outcome(
            planned["wiki"],
            failures={
                "offsite": "offsite: writing daily/wiki_data_2026-01-20T030004Z_daily.tar.zst: 503 Slow Down"
            },
            size=412 * MIB,
            seconds=19.03,
        ),
        Outcome(planned["heal"], size=18 * MIB, seconds=2.2),
        Outcome(planned["prune"], size=18 * MIB, seconds=0.1),
    )


def day_before() -> Status:
    """All was well, and fewer copies were asked for off-site."""
    local, offsite = fleet().destinations
    retention = Retention(daily=7, monthly=12)
    specs = replace(
        fleet(),
        destinations=(local, replace(offsite, retention=retention)),
        commit="b7e3a90c51d28f4460e9a7c3b5d1f02846ac9e73",
    )
    seen = observation()
    listings = {
        name: replace(
            listing,
            copies=tuple(
                replace(item, broken="", size=96 * MIB if item.broken else item.size)
                for item in listing.copies
                if item.artifact.time < PLANNED
            ),
            leftovers=(),
        )
        for name, listing in seen.listings.items()
    }
    day = timedelta(days=1)
    plan = Plan(now=PLANNED - day, commit=specs.commit)
    return status(specs, replace(seen, listings=listings), plan, (), NOW - day, None)


def bad_day() -> Status:
    return status(fleet(), observation(), rest(), outcomes(), NOW, day_before())


def documents() -> dict[Path, str]:
    """The files of the documentation that show the example, as they have to be."""
    before, _, _ = PAGE.read_text().partition(MARK)
    return {
        PAGE: f"{before}{MARK}\n\n````markdown\n{render(bad_day())}````\n",
        MACHINES: encode(bad_day()).decode(),
        PICTURE: picture(bad_day()),
    }


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text)
