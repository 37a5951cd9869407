"""Every case file in this folder: what is committed, what was seen and the time, against the whole plan that must come out."""

from pathlib import Path

import pytest

from reconciler import plan
from reconciler.model import Prune, Restore
from tests.plan.cases import FOLDER, lines, read
from tests.plan.simulator import apply

FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_case(path: Path) -> None:
    case = read(path)
    made = plan.make(case.fleet, case.seen, case.now, only=case.only, forced=case.forced)
    actions, notes = lines(case, made)
    assert actions == case.actions, case.title
    assert notes == case.notes, case.title


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_second_run_does_nothing(path: Path) -> None:
    case = read(path)
    made = plan.make(case.fleet, case.seen, case.now, only=case.only, forced=case.forced)
    after = apply(case.seen, made)
    second = plan.make(case.fleet, after, case.now, only=case.only)
    if any(note.topic == "clock" for note in made.notes):  # what that run did not dare to prune may follow
        assert all(isinstance(action, Prune) for action in second.actions)
        second = plan.make(case.fleet, apply(after, second), case.now, only=case.only)
    if any(
        isinstance(action, Restore) for action in made.actions
    ):  # its target is backed up in the run after it
        assert not any(isinstance(action, Restore) for action in second.actions)
        second = plan.make(case.fleet, apply(after, second), case.now, only=case.only)
    assert second.actions == ()


def test_there_are_at_least_sixty_cases_and_each_has_a_title_of_its_own() -> None:
    titles = [read(path).title for path in FILES]
    assert len(titles) >= 60
    assert len(set(titles)) == len(titles)


def test_a_case_that_expects_nothing_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "case.yaml"
    path.write_text("title: t\nnow: 2026-01-20T12:00Z\nobserved: {disk: []}\n")
    with pytest.raises(ValueError, match="expects nothing"):
        read(path)
