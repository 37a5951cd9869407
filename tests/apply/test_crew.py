"""Workers that die at a bad moment, and whoever watches them failing: nobody waits for ever."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.apply.crew import Crew
from reconciler.apply.messages import Begin
from reconciler.model import Backup, Create, Destination, Fleet, Plan, TargetId
from reconciler.targets.path import PathTarget
from tests.cli.test_jobs import workers
from tests.descent import descendants
from tests.parts.process import until
from tests.ways import Silent

NOW = datetime(2026, 1, 20, 3, 10, tzinfo=UTC)
SHOP = TargetId("shop", "files")


class Desk:
    """Everything may be written."""

    def may_write(self, destination: str, *, deleting: bool) -> None: ...

    def reserve(self, destination: str, size: int) -> float:
        return 0.0


class Deaf(Silent):
    """Somebody who watches, and fails at it."""

    def advanced(self, target: TargetId, size: int) -> None:
        raise ZeroDivisionError


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("content")
    target = PathTarget(name="shop", path=str(tmp_path / "tree"))
    fleet = Fleet(
        destinations=(Destination(name="disk", url=f"file://{tmp_path}/disk"),),
        backups=(Backup(name="all", schedule="@daily", targets=(target,), destinations=("disk",)),),
    )
    return Begin(fleet, Plan(now=NOW), tmp_path)


@pytest.fixture
def crew(begin: Begin) -> Iterator[Crew]:
    with Crew(2, begin, Desk(), Silent()) as crew:
        yield crew


def create(number: int) -> Create:
    key = f"daily/shop_files_2026-01-{number}T030000Z_daily.tar.zst"
    return Create(SHOP, "daily", key, ("disk",), 0, "due")


def ours() -> set[int]:
    return workers().intersection(descendants(os.getpid()))


def test_a_worker_does_one_action_after_the_other(crew: Crew, tmp_path: Path) -> None:
    for number in (10, 11):
        crew.give(create(number))
        done = crew.take()
        assert (done.action, done.outcome.error, done.died) == (create(number), "", False)
        assert (tmp_path / "disk" / f"{create(number).key}.json").exists()
    assert len(ours()) == 1


def test_one_that_died_with_nothing_to_do_fails_at_what_it_is_given(crew: Crew) -> None:
    crew.give(create(10))
    assert crew.take().outcome.ok
    (worker,) = ours()
    os.kill(worker, signal.SIGKILL)
    until(lambda: not ours(), "it lives on")
    crew.give(create(11))
    done = crew.take()
    assert (done.action, done.died) == (create(11), True)
    assert "ended with SIGKILL" in done.outcome.error
    crew.give(create(12))
    assert crew.take().outcome.ok, "another one is started"


def test_who_watches_and_fails_is_heard_of(begin: Begin) -> None:
    with Crew(2, begin, Desk(), Deaf()) as crew:
        crew.give(create(10))
        with pytest.raises(ZeroDivisionError):
            crew.take()
    assert ours() == set()
