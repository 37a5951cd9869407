"""Metrics in Prometheus' text format: as promtool reads them, and as a file that is replaced as a whole."""

import os
import resource
import sys
from pathlib import Path

import pytest

from reconciler.adapters.exposition import text, write
from reconciler.errors import ReconcilerError
from reconciler.model.metrics import gauge
from reconciler.report.metrics import families
from tests.parts.prometheus import Promtool
from tests.report.example import bad_day

AGE = gauge("age_seconds", "How old.", ("service",), [(("shop",), 90), (("wiki",), None)])


def test_help_type_and_no_sample_for_what_is_not_known() -> None:
    assert text([AGE]).decode().splitlines() == [
        "# HELP reconciler_age_seconds How old.",
        "# TYPE reconciler_age_seconds gauge",
        'reconciler_age_seconds{service="shop"} 90.0',
    ]


def test_quotes_backslashes_and_line_ends_are_escaped(promtool: Promtool) -> None:
    odd = gauge("odd", "A\nB \\ C.", ("label",), [(('a "b"\\c\nd é',), 1)])
    made = text([odd])
    assert made.decode().splitlines() == [
        r"# HELP reconciler_odd A\nB \\ C.",
        "# TYPE reconciler_odd gauge",
        r'reconciler_odd{label="a \"b\"\\c\nd é"} 1.0',
    ]
    assert promtool.run("check", "metrics", given=made) == (0, "")


def test_promtool_has_no_remark_on_any_metric(promtool: Promtool) -> None:
    assert promtool.run("check", "metrics", given=text(families(bad_day()))) == (0, "")
    _, said = promtool.run("check", "metrics", given=b"reconciler_ageSeconds 1\n")
    assert "no help text" in said, "it does look"


def test_a_file_is_replaced_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "reconciler.prom"
    file.write_text("old")
    with file.open() as opened:
        write(file, [AGE])
        assert opened.read() == "old", "who reads it reads on in the old one"
    assert file.read_bytes() == text([AGE])
    assert [path.name for path in tmp_path.iterdir()] == ["reconciler.prom"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "collected" / "real.prom", tmp_path / "link.prom"
    real.parent.mkdir()
    link.symlink_to(real)
    write(link, [AGE])
    assert link.is_symlink()
    assert real.read_bytes() == text([AGE])


def test_a_disk_that_is_full_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "reconciler.prom"
    file.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(ReconcilerError, match=r"reconciler\.prom: File too large; its folder must exist"):
            write(file, [AGE])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"reconciler.prom": "old"}


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ReconcilerError, match="No such file or directory; its folder must exist"):
        write(tmp_path / "no" / "reconciler.prom", [AGE])


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_left_alone(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "odd.prom")
    with pytest.raises(ReconcilerError, match="is no regular file"):
        write(tmp_path / "odd.prom", [AGE])
    assert not (tmp_path / "odd.prom").is_file()


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ReconcilerError, match=r"pip install 'reconciler\[metrics\]'"):
        text([AGE])
