"""``apply --metrics`` and ``status --output prometheus``."""

from pathlib import Path

import pytest

from tests.cli.place import NEXT_DAY, Place

SHOP = 'reconciler_target_last_attempt_success{service="shop",type="uploads"}'


@pytest.fixture
def file(place: Place) -> Path:
    """Where the metrics go."""
    (place.root / "collected").mkdir()
    return place.root / "collected" / "reconciler.prom"


def number(text: str, series: str) -> float:
    """The value of one series."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"{series} "))
    return float(line.rpartition(" ")[2])


def test_a_run_writes_what_the_status_says(place: Place, file: Path) -> None:
    ran = place.process("apply", "--metrics", str(file))
    assert (ran.code, ran.err) == (0, "")
    told = file.read_text()
    assert number(told, SHOP) == 1
    assert number(told, 'reconciler_condition{condition="Healthy",status="True"}') == 1
    assert number(told, 'reconciler_last_run_actions{action="create",state="done"}') == 3
    assert place.run("status", "--output", "prometheus").out == told
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.stat().st_mode & 0o044 == 0o044, "node_exporter is another user"


def test_a_run_without_anything_to_do_writes_them_too(applied: Place, file: Path) -> None:
    assert applied.run("apply", "--metrics", str(file)).code == 0
    assert number(file.read_text(), SHOP) == 1
    assert number(file.read_text(), "reconciler_last_run_timestamp_seconds") == 1768878600


def test_a_run_that_failed_writes_them_too(applied: Place, file: Path) -> None:
    applied.now = NEXT_DAY
    (applied.root / "uploads").rename(applied.root / "gone")
    assert applied.run("apply", "--metrics", str(file)).code == 1
    told = file.read_text()
    assert number(told, 'reconciler_target_state{service="shop",state="failing",type="uploads"}') == 1
    assert number(told, 'reconciler_target_state{service="wiki",state="good",type="files"}') == 1
    printed = applied.run("status", "--output", "prometheus")
    assert (printed.code, printed.out) == (1, told)


@pytest.mark.parametrize("in_git", [True, False])
def test_specs_that_are_not_valid(place: Place, file: Path, *, in_git: bool) -> None:
    if in_git:
        place.into_git()
    assert place.run("apply").code == 0
    place.now = NEXT_DAY
    place.write("backup.d/shop.yaml", "kind: Backup\n")
    ran = place.run("apply", "--metrics", str(file))
    assert ran.code == 1
    assert "backup.d/shop.yaml:1:1: required key" in ran.err
    told = file.read_text()
    assert number(told, 'reconciler_condition_reason{condition="Ready",reason="SpecsInvalid"}') == 1
    assert number(told, "reconciler_status_timestamp_seconds") == 1768878600 + 24 * 3600
    assert number(told, SHOP) == 1, "what was known stays"


def test_specs_that_are_not_there(place: Place, file: Path) -> None:
    ran = place.run("apply", "nowhere", "--metrics", str(file))
    assert ran.code == 1
    assert "nowhere" in ran.err
    assert number(file.read_text(), 'reconciler_condition{condition="Healthy",status="Unknown"}') == 1


def test_metrics_that_cannot_be_written_are_a_warning(place: Place) -> None:
    ran = place.run("apply", "--metrics", "nowhere/reconciler.prom")
    assert ran.code == 0
    assert ran.err == (
        "warning: the metrics could not be written: nowhere/reconciler.prom: No such file or directory; its folder must"
        " exist and this user must be able to write there\n"
    )
    assert ran.out.splitlines()[-1] == "Applied: 5 done."
    assert len(place.copies("local")) == 3


def test_a_saved_plan_writes_them_too(place: Place, file: Path) -> None:
    assert place.run("plan", "--out", "next.json").code == 2
    assert place.run("apply", "next.json", "--metrics", str(file)).code == 0
    assert number(file.read_text(), SHOP) == 1


def test_a_dry_run_has_nothing_to_tell(place: Place, file: Path) -> None:
    ran = place.run("apply", "--dry-run", "--metrics", str(file))
    assert ran.code == 1
    assert "--dry-run does nothing that --metrics could tell of: leave one of them out" in ran.err
    assert not file.exists()


def test_json_on_stdout_stays_json(place: Place, file: Path) -> None:
    ran = place.run("apply", "--output", "json", "--metrics", str(file))
    assert len(ran.json["outcomes"]) == 5
    assert file.exists()


def test_a_restored_copy_is_whole_after_such_a_run(place: Place, file: Path) -> None:
    assert place.run("apply", "--metrics", str(file)).code == 0
    assert place.run("restore", "wiki/files", "--to", "path:back").code == 0
    assert (place.root / "back/home.txt").read_bytes() == (place.root / "wiki/home.txt").read_bytes()
