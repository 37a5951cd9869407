"""The remote's history of the status is squashed while services write on it: nothing is lost, nothing is there twice."""

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters import clone as module
from reconciler.adapters.clone import Clone
from reconciler.adapters.history import squashed
from reconciler.adapters.ledger import BRANCH
from reconciler.adapters.remote import remote
from reconciler.errors import GitError
from reconciler.report.nodes import encode, files
from reconciler.sources import Followed
from tests.cli.place import PROGRAM
from tests.service.site import Site
from tests.service.test_several import git, hook, part, report_of, writer
from tests.service.test_sources import TIME

ROOT = "The history begins here: what was older is squashed"
MOVES = """\
#!/bin/sh
test -e ROOT/theirs || exit 0
git update-ref refs/heads/backup-status "$(cat ROOT/theirs)" && rm ROOT/theirs
"""


def squash(site: Site, minute: int, *options: str, at: Path | None = None) -> str:
    """Squash what was committed before this minute; what it said."""
    now = TIME + timedelta(minutes=minute, days=1)
    ran = subprocess.run(
        [PROGRAM, "squash", "--keep", "1d", *options],
        cwd=at or site.root,
        env={"PATH": "/usr/bin:/bin", "HOME": str(site.root), "RECONCILER_NOW": now.isoformat()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def say(source: Followed, name: str, number: int) -> None:
    """Report, and do not push yet."""
    status = report_of(name, number)
    source.origin().ledger.write(files(status, encode(status)), f"{name} {number}", status.time)


def told(site: Site) -> list[str]:
    return git(site, "log", "--reverse", "--format=%s", BRANCH).splitlines()


@pytest.fixture
def writers(site: Site, monkeypatch: pytest.MonkeyPatch) -> dict[str, Followed]:
    """Two services that have reported in each of four minutes."""
    site.backup("shop")
    site.push()
    writers = {name: writer(site, monkeypatch, name) for name in ("one", "two")}
    for number in range(4):
        for name, source in writers.items():
            say(source, name, number)
            assert source.share() == ""
    return writers


def test_two_services_go_on(site: Site, writers: dict[str, Followed]) -> None:
    one, two = writers.values()
    tree = git(site, "rev-parse", f"{BRANCH}^{{tree}}")
    main = git(site, "rev-parse", "main")
    say(two, "two", 4)  # before the squash, and pushed after it

    said = squash(site, 2, "--repo", str(site.remote))
    assert said == (
        f"branch backup-status of {site.remote}: 4 commits before 2026-01-20 03:12Z became one; "
        "4 newer commits after it\nit was pushed by force, that branch alone\n"
    )
    assert git(site, "rev-parse", f"{BRANCH}^{{tree}}") == tree
    assert git(site, "rev-parse", "main") == main
    new = [ROOT, "one 2", "two 2", "one 3", "two 3"]
    assert told(site) == new
    assert squash(site, 2, "--repo", str(site.remote)).startswith("nothing to squash in branch backup-status")

    one.origin()
    assert one.share() == ""
    assert told(site) == new, "a service that has nothing to say changes nothing"
    assert two.share() == ""
    assert told(site) == [*new, "two 4"]
    for number in (5, 6):
        for name, source in writers.items():
            say(source, name, number)
            assert source.share() == ""
    assert told(site) == [*new, "two 4", "one 5", "two 5", "one 6", "two 6"]
    assert {name: part(site, name) for name in writers} == {name: report_of(name, 6) for name in writers}
    assert git(site, "log", "--diff-filter=D", "--name-only", "--format=", BRANCH) == "", "no part ever went"
    for name in writers:
        kept = site.root / "state" / "followed" / name / "repository.git"
        assert site.git("for-each-ref", "refs/had", at=kept) == ""


def test_squashed_twice_while_one_cannot_push(site: Site, writers: dict[str, Followed]) -> None:
    one, two = writers.values()
    hook(site, "update", "#!/bin/sh\nexit 1\n")
    say(two, "two", 4)
    for minute in (2, 3):
        squash(site, minute, at=site.remote)  # where the repository is, nothing has to be pushed
        two.origin()
        assert "cannot take the branch backup-status" in two.share()
    hook(site, "update", "#!/bin/sh\n")
    say(two, "two", 5)
    assert (two.share(), one.share()) == ("", "")
    assert told(site) == [ROOT, "one 3", "two 3", "two 4", "two 5"]
    assert part(site, "one") == report_of("one", 3)


def test_a_service_that_was_off_while_all_it_knew_was_squashed(
    site: Site, writers: dict[str, Followed]
) -> None:
    one, two = writers.values()
    for number in range(4, 8):
        say(one, "one", number)
        assert one.share() == ""
    squash(site, 6, at=site.remote)
    two.origin()
    assert (two.share(), one.share()) == ("", "")
    assert told(site) == [ROOT, "one 6", "one 7"]
    assert {name: part(site, name) for name in writers} == {
        "one": report_of("one", 7),
        "two": report_of("two", 3),
    }


def far(site: Site) -> Clone:
    return Clone(site.root / "thrown-away.git", remote(str(site.remote)))


def test_the_lease_holds_while_another_pushes(
    site: Site, writers: dict[str, Followed], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, before = writers["one"], told(site)
    say(one, "one", 4)

    def meanwhile(*arguments: object) -> object:
        assert one.share() == ""
        return squashed(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "squashed", meanwhile)
    with pytest.raises(GitError, match=r"somebody has just pushed to backup-status, and nothing was changed"):
        far(site).squash_theirs(BRANCH, TIME + timedelta(minutes=2))
    assert told(site) == [*before, "one 4"]
    monkeypatch.undo()
    assert far(site).squash_theirs(BRANCH, TIME + timedelta(minutes=2))
    assert told(site)[0] == ROOT
    assert told(site)[-1] == "one 4"


def test_a_push_that_lands_within_the_push(site: Site, writers: dict[str, Followed]) -> None:
    tree = git(site, "rev-parse", f"{BRANCH}^{{tree}}")
    theirs = site.git("commit-tree", tree, "-p", BRANCH, "-m", "theirs", at=site.remote)
    (site.root / "theirs").write_text(theirs)
    hook(site, "update", MOVES)
    with pytest.raises(GitError, match=r"somebody has just pushed to backup-status, and nothing was changed"):
        far(site).squash_theirs(BRANCH, TIME + timedelta(minutes=2))
    assert git(site, "rev-parse", BRANCH) == theirs


def test_a_remote_that_takes_no_force(site: Site, writers: dict[str, Followed]) -> None:
    before = git(site, "rev-parse", BRANCH)
    site.git("config", "receive.denyNonFastForwards", "true", at=site.remote)
    with pytest.raises(GitError, match=r"cannot take the squashed branch backup-status: .*non-fast-forward"):
        far(site).squash_theirs(BRANCH, TIME + timedelta(minutes=2))
    assert git(site, "rev-parse", BRANCH) == before
    with pytest.raises(GitError, match="has no branch other"):
        far(site).squash_theirs("other", TIME)
