from datetime import UTC, datetime, timedelta

import pytest

from reconciler.adapters import git
from tests.cli.place import Place


@pytest.fixture
def told(place: Place) -> Place:
    """Five reports, the last of them today's."""
    place.into_git()
    repository = git.find(place.root)
    assert repository
    for number in range(5):
        time = datetime(2026, 1, 16, 3, 0, tzinfo=UTC) + timedelta(days=number)
        repository.commit("backup-status", {"status.json": b"%d" % number}, f"day {number}", time)
    return place


def test_in_the_repository_of_the_specs(told: Place) -> None:
    ran = told.run("squash", "--keep", "2d")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "branch backup-status: 3 commits before 2026-01-18 03:10Z became one; 2 newer commits after it",
        "where it was pushed, push it again: git push --force-with-lease origin backup-status",
    ]
    assert told.git("log", "--format=%s", "backup-status").splitlines() == [
        *("day 4", "day 3", "The history begins here: what was older is squashed")
    ]
    assert told.git("show", "backup-status:status.json") == "4"
    assert told.git("status", "--porcelain", "backup.d") == ""
    again = told.run("squash", "backup.d", "--keep", "2d")
    assert (again.code, again.out) == (
        0,
        "nothing to squash in branch backup-status: no more than one commit is older than 2026-01-18 03:10Z\n",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing option '--keep'"),
        (["--keep", "90"], '"90" is not a duration'),
        (["--keep", "999999999d"], "longer than there are dates"),
        (["--keep", "1d", "--token-file", "x"], "tokens and keys go with --repo"),
        (["--keep", "1d", "--repo", "x", "backup.d"], "with --repo there is no PATH"),
        (["--keep", "1d", "--repo", "x", "--token-file", "x", "--token-from-env", "Y"], "give one"),
        (["--keep", "1d", "--repo", "nowhere.git"], "cannot be reached"),
    ],
)
def test_what_cannot_be_meant(told: Place, arguments: list[str], said: str) -> None:
    before = told.git("rev-parse", "backup-status")
    ran = told.run("squash", *arguments)
    assert ran.code == 1
    assert said in ran.err
    assert told.git("rev-parse", "backup-status") == before


def test_outside_git_there_is_no_history(applied: Place) -> None:
    ran = applied.run("squash", "--keep", "1d")
    assert (ran.code, ran.err) == (
        1,
        "error: backup.d is in no git repository, so its status has no history\n",
    )
