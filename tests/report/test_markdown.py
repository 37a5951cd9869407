"""The page for people: it reads well, says what is wrong first, and shows every text as it is and harmlessly."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from msgspec.structs import replace

from reconciler.model import Listing, Observation, Plan
from reconciler.model.status import Finding, NoteStatus
from reconciler.report import rejected, render
from reconciler.report.markdown import LONG
from reconciler.report.markup import LONGEST, escape, table
from reconciler.report.picture import described
from reconciler.report.text import few
from reconciler.wording import counted, size_text
from tests.report.example import MIB, NOW, PLANNED, bad_day, copy, fleet
from tests.report.fleets import fleet_of
from tests.report.test_status import COPIES, SEEN, make

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def shown(cell: str) -> str:
    """What a browser shows of a cell of a table."""
    html = MARKDOWN.render("\n".join(table(("one", "two"), [("start", cell)])))
    cells = re.findall(r"<td>(.*?)</td>", html, re.DOTALL)
    assert len(cells) == 2, html
    assert "<" not in cells[1], f"markup came through: {html}"
    return unescape(cells[1])


@pytest.mark.parametrize(
    "text",
    [
        "a|b",
        "`code`",
        "``",
        "<script>alert(1)</script>",
        "<!-- gone",
        "**bold** _it_ __it__ ~~no~~",
        "[link](javascript:x)",
        "![i](x)",
        "&lt;&amp;",
        "\\|\\",
        "ends with \\",
        "a_b_c",
        "# head",
        "$x$",
        "* item",
        "<https://x.example>",
    ],
)
def test_text_is_shown_as_it_is(text: str) -> None:
    assert shown(escape(text)) == text


@given(st.text(alphabet=st.sampled_from("ab |`*_[]()<>~#&$\\!-+1.:/;\"'"), max_size=40))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    assert shown(f"x{escape(text)}x").split() == f"x{text.strip()}x".split()


def test_lines_and_unseen_characters_stay_on_one_line() -> None:
    assert escape("one\ntwo \n\n three") == "one ⏎ two ⏎ three"
    assert escape("a\rb\x1b[31m\u202e\u200b") == r"a\\rb\\x1b\[31m\\u202e\\u200b"


def test_long_texts_are_cut() -> None:
    assert len(escape("x" * 5000)) == LONGEST + 1


def test_the_first_line_says_it_in_words() -> None:
    def first(page: str) -> str:
        return page.splitlines()[0]

    assert first(render(make())) == "# Backups: all is well with 1 target"
    assert first(render(bad_day())) == "# Backups: 2 of 4 targets need attention"
    down = replace(SEEN, listings={**SEEN.listings, "offsite": Listing(unknown="connection refused")})
    assert first(render(make(seen=down))) == "# Backups: offsite cannot be looked at"
    empty = Observation(listings={"local": Listing(), "offsite": Listing(unknown="x")}, node="n1")
    assert (
        first(render(make(seen=empty)))
        == "# Backups: 1 of 1 target needs attention; offsite cannot be looked at"
    )
    invalid = rejected(make(), ("a.yaml:1:1: wrong",), "n1", NOW)
    assert first(render(invalid)) == "# Backups: the newest specs cannot be used"
    assert (
        "a.yaml:1:1: wrong. Until they are mended nothing is backed up; the rest is as it was before."
        in render(invalid)
    )


def test_a_good_day_has_nothing_wrong_on_its_page() -> None:
    page = render(make())
    assert "What is wrong" not in page
    assert "**" not in page


def test_what_is_wrong_comes_first() -> None:
    page = render(bad_day())
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings[0] == "## What is wrong"
    wrong = page.partition("## What is wrong")[2].partition("## ")[0]
    assert "**shop-db/dump**: its last backup failed: command in container shop-db exited with 1" in wrong
    assert "**wiki/data**: its newest backup, of 2026-01-20 03:00Z, is missing at offsite" in wrong
    assert "grafana" not in wrong


def test_the_picture_comes_first_and_a_long_one_has_links_to_what_is_below() -> None:
    lines = render(bad_day()).splitlines()
    assert lines[4] == "![4 targets at 2 destinations: 46 held, 4 failed](status.svg)"
    page = render(fleet_of(LONG + 1))
    links = re.findall(r"\[([^\]]*)\]\(#([a-z0-9-]*)\)", page)
    assert [title for title, _ in links] == re.findall("^## (.*)$", page, re.MULTILINE)
    assert all(anchor == title.lower().replace(" ", "-") for title, anchor in links)
    assert page.index("](#targets)") < page.index("](status.svg)")
    assert "](#" not in render(fleet_of(LONG))


def test_a_size_says_how_much_it_grew() -> None:
    grown = Listing(copies=(*COPIES[:-1], copy(COPIES[-1].artifact.key, 3 * MIB)))
    page = render(make(seen=replace(SEEN, listings={**SEEN.listings, "local": grown})))
    assert "| 3.0 MiB (+2.0 MiB) |" in page
    assert "| 1.0 MiB |" in render(make()), "no growth is not told"


def test_every_table_keeps_its_shape() -> None:
    html = MARKDOWN.render(render(bad_day()))
    for found in re.findall(r"<table>(.*?)</table>", html, re.DOTALL):
        rows = [len(re.findall(r"<t[hd]>", row)) for row in found.split("</tr>") if "<tr>" in row]
        assert len(set(rows)) == 1
    assert html.count("<table>") == 3


def test_hostile_texts_anywhere_make_no_markup() -> None:
    evil = "x\n\n## Owned\n\n<img src=x> | [a](b) `"
    found = bad_day()
    found = replace(
        found,
        node=evil,
        conditions=tuple(replace(item, message=evil) for item in found.conditions),
        targets=tuple(replace(item, problems=(evil,)) for item in found.targets),
        destinations=tuple(
            replace(item, url=evil, media=evil, foreign_names=(evil,), foreign=1)
            for item in found.destinations
        ),
        rule321=(Finding(backup=evil, message=evil),),
        notes=(NoteStatus(severity="error", topic="x", subject=evil, message=evil),) * 2,
    )
    assert found.last_run
    outcomes = tuple(replace(item, error=evil, reason=evil, key=evil) for item in found.last_run.outcomes)
    html = MARKDOWN.render(render(replace(found, last_run=replace(found.last_run, outcomes=outcomes))))
    assert re.findall("<img[^>]*", html) == [f'<img src="status.svg" alt="{described(bad_day())}" /']
    assert "<a " not in html
    assert "<code>" not in html
    assert "<h2>Owned" not in html


def test_an_empty_fleet_has_a_page() -> None:
    page = render(
        make(fleet=replace(fleet(), backups=(), destinations=()), seen=Observation(), plan=Plan(now=PLANNED))
    )
    assert page.startswith("# Backups: the specs ask for none\n")


def test_sizes_and_counts_read_well() -> None:
    assert [size_text(count) for count in (0, 1023, 1024, 1536 << 10, 5 << 40)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 MiB",
        "5.0 TiB",
    ]
    assert [counted(1, "copy"), counted(2, "copy"), counted(0, "target")] == [
        "1 copy",
        "2 copies",
        "0 targets",
    ]
    assert few(["a", "b", "c", "d"], 2) == "a; b; and 2 more"
