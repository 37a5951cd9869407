"""Specs as files, each with the lines that `validate` must print for it.

To add a case: put a file into cases/, end it with a line `# expect:` and below it, each after `# `, the expected lines without
the file name. A case without lines below `# expect:` must be without problems.
"""

from pathlib import Path

import pytest

from reconciler.spec import check

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_each_case_gives_exactly_its_lines(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case.parent)
    _, marker, expected = case.read_text(encoding="utf-8").partition("# expect:\n")
    assert marker, "the case has no line `# expect:`"
    wanted = [line.removeprefix("# ") for line in expected.splitlines()]
    report = check([Path(case.name)])
    assert [str(problem).removeprefix(f"{case.name}:") for problem in report.problems] == wanted
    assert (report.fleet is None) == any("warning: " not in line for line in wanted)


def test_no_case_shows_a_secret() -> None:
    text = "\n".join(str(problem) for case in CASES for problem in check([case]).problems)
    assert "geheim" not in text
    assert "12345," not in text
