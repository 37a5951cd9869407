"""The picture, read as XML: which mark stands where, at any size of a fleet, whatever the names are."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model import Listing, Observation, Plan, Retention
from reconciler.model.status import Status
from reconciler.report import picture, rejected
from reconciler.report.drawing import DARK, LIGHT, MARK, cut, width_of
from reconciler.report.picture import MOST, described
from tests.report.example import GRAFANA, MIB, NOW, PLANNED, bad_day, copy, days, fleet
from tests.report.fleets import fleet_of
from tests.report.reading import read
from tests.report.test_status import COPIES, FLEET, HEAL, make, with_listing

SIX, SEVEN = ["held"] * 6, ["held"] * 7


def test_a_good_day_is_held_everywhere() -> None:
    drawn = read(picture(make()))
    assert list(drawn.rows) == ["grafana/data"]
    for place in ("local", "offsite"):
        assert drawn.states("grafana/data", place, "daily") == SEVEN
        assert drawn.states("grafana/data", place, "weekly") == []
        assert drawn.dots["grafana/data"][place] == 4 + 3, "weeks and months to come"
    first = drawn.rows["grafana/data"]["local"][0]
    assert first.title == "daily 1 of 7: held, 2026-01-20 03:00Z"
    assert drawn.title == "Backups: all is well with 1 target"
    assert drawn.about == "1 target at 2 destinations: 14 held."


def test_a_bad_day_shows_what_failed_where() -> None:
    drawn = read(picture(bad_day()))
    assert list(drawn.rows) == ["shop-db/dump", "wiki/data", "grafana/data", "mail/data"], (
        "what is wrong first"
    )
    assert drawn.states("shop-db/dump", "local", "daily") == ["failed", *SIX]
    assert drawn.states("shop-db/dump", "offsite", "daily") == ["failed", "failed", *SIX]
    assert drawn.rows["shop-db/dump"]["offsite"][0].title == "daily 1 of 14: failed, due now"
    assert drawn.states("wiki/data", "local", "daily") == SEVEN
    assert drawn.states("wiki/data", "offsite", "daily") == ["failed", *SEVEN, "held"]
    assert drawn.states("grafana/data", "local", "weekly") == ["held"]
    assert drawn.states("mail/data", "local", "daily") == ["held"]
    assert list(drawn.rows["mail/data"]) == ["local"], "it is not asked for elsewhere"
    assert drawn.title == "Backups: 2 of 4 targets need attention"
    assert drawn.about == "4 targets at 2 destinations: 46 held, 4 failed. Failing: shop-db/dump, wiki/data."


def test_what_heals_and_what_is_due() -> None:
    less = with_listing("offsite", Listing(copies=COPIES[1:]))
    healing = read(picture(make(seen=less, plan=Plan(now=PLANNED, actions=(HEAL,)))))
    assert healing.states("grafana/data", "offsite", "daily") == [*SIX, "healing"]
    missing = read(picture(make(seen=less)))
    assert missing.states("grafana/data", "offsite", "daily") == [*SIX, "missing"], (
        "nothing is going to heal it"
    )


def test_an_unknown_destination_has_no_marks_but_words() -> None:
    svg = picture(make(seen=with_listing("offsite", Listing(unknown="connection refused"))))
    drawn = read(svg)
    assert drawn.rows["grafana/data"]["offsite"] == []
    assert "? cannot be looked at" in svg
    assert drawn.title == "Backups: offsite cannot be looked at"


def test_fleets_without_targets_and_without_specs_have_a_picture() -> None:
    empty = make(fleet=replace(fleet(), backups=()), seen=Observation(), plan=Plan(now=PLANNED))
    assert "The specs ask for no backup." in picture(empty)
    assert read(picture(rejected(None, ("a.yaml:1:1: wrong",), "n1", NOW))).title == (
        "Backups: the newest specs cannot be used"
    )


def test_more_slots_than_columns_end_in_one_mark_for_the_worst_of_them() -> None:
    many = replace(FLEET, backups=(replace(FLEET.backups[0], retention=Retention(daily=20)),))
    copies = days(GRAFANA, range(1, 21), MIB)
    rotten = (copy(copies[0].artifact.key, 7, "its size is 7 bytes"), *copies[1:])
    seen = Observation(
        listings={"local": Listing(copies=tuple(copies)), "offsite": Listing(copies=rotten)}, node="n1"
    )
    drawn = read(picture(make(many, seen)))
    assert drawn.states("grafana/data", "local", "daily") == ["held"] * (MOST + 1)
    assert drawn.states("grafana/data", "offsite", "daily") == ["held"] * MOST + ["failed"]
    assert drawn.rows["grafana/data"]["offsite"][-1].title == "daily 15 and older: 5 held, 1 failed"
    assert drawn.about == "1 target at 2 destinations: 39 held, 1 failed."


def test_what_is_kept_beyond_the_rule_is_shown() -> None:
    few = replace(FLEET, backups=(replace(FLEET.backups[0], retention=Retention(daily=1, minimum=3)),))
    assert read(picture(make(few))).states("grafana/data", "local", "daily") == ["held"] * 3


@pytest.mark.parametrize("number", [1, 20, 200])
def test_every_mark_has_a_place_of_its_own_within_the_picture(number: int) -> None:
    status = fleet_of(number)
    drawn = read(picture(status))
    assert len(drawn.rows) == number
    slots = [
        slot
        for item in status.targets
        for place in item.holdings
        for tier in place.tiers
        for slot in tier.slots
    ]
    assert len(drawn.marks) == len(slots)
    corners = {(mark.x, mark.y) for mark in drawn.marks}
    assert len(corners) == len(drawn.marks)
    assert all(0 <= x <= drawn.width - MARK and 0 <= y <= drawn.height - MARK for x, y in corners)
    assert drawn.width < 375, "a phone shows it unshrunk"
    assert drawn.height < 60 * number + 100
    assert len(drawn.svg) < 2600 * number + 4000


def test_tiers_that_do_not_fit_on_one_line_go_on_below() -> None:
    status = fleet_of(3, Retention(hourly=24, daily=14, weekly=8, monthly=12, yearly=5), ("a", "b", "c"))
    drawn = read(picture(status))
    corners = [(mark.x, mark.y) for mark in drawn.marks]
    assert len(set(corners)) == len(corners)
    assert max(x for x, _ in corners) <= drawn.width - MARK


def test_it_is_the_same_as_long_as_nothing_changed() -> None:
    later = make(now=NOW.replace(hour=9), previous=make())
    assert later.time != make().time
    assert picture(later) == picture(make())


def test_it_loads_and_runs_nothing() -> None:
    svg = picture(bad_day())
    assert set(re.findall(r'(?:href|src)="([^"]*)"', svg)) <= {
        "#held",
        "#verified",
        "#missing",
        "#healing",
        "#failed",
    }
    assert re.findall(r"https?://[^\"]*", svg) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<(script|foreignObject|image|a)\b|@import|url\(|\son\w+=", svg)


# --- texts -----------------------------------------------------------------------------------------------------------


def named(status: Status, name: str) -> Status:
    """The status with that name for everything that has one."""
    return replace(
        status,
        destinations=tuple(replace(item, name=name, state="unknown") for item in status.destinations),
        targets=tuple(
            replace(
                item,
                service=name,
                holdings=tuple(replace(holding, destination=name) for holding in item.holdings),
            )
            for item in status.targets
        ),
    )


@given(st.text(st.characters(), max_size=60))
@example("\ufffe\ud800\x00")
def test_any_name_is_text_and_nothing_else(name: str) -> None:
    plain, drawn = read(picture(named(bad_day(), "x"))), read(picture(named(bad_day(), name)))
    tags = re.compile(r"<(\w+)")
    kinds = set(tags.findall(plain.svg))
    assert set(tags.findall(drawn.svg)) <= {*kinds, "title"}
    assert len(drawn.marks) <= len(plain.marks)
    assert not re.search(
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\ufffe\uffff]", drawn.svg
    )


def test_markup_in_a_name_shows_as_it_is() -> None:
    name = '</text><script>alert("1")</script>&amp;'
    drawn = read(picture(named(make(), name)))
    assert list(drawn.rows) == [f"{name}/data"]
    assert drawn.about.startswith("1 target at 2 destinations")
    assert "<script" not in drawn.svg


def test_long_names_are_cut_in_the_middle_and_whole_in_their_title() -> None:
    name = f"begin-{'x' * 90}-end"
    svg = picture(named(make(), name))
    assert f"<title>{name}/data</title>" in svg
    assert re.search(r">begin-x+…x*-end/data<title>", svg)


@given(st.text(st.characters(codec="utf-8"), max_size=50), st.floats(min_value=20, max_value=300))
def test_what_is_cut_fits(content: str, room: float) -> None:
    shown = cut(content, room, 11)
    assert width_of(shown, 11) <= room
    assert shown == content or "…" in shown


def test_colours_can_be_told_from_the_ground_by_anybody() -> None:
    """WCAG asks for 4.5 for small text, and for 3 for what has a meaning."""
    for colours in (LIGHT, DARK):
        for name in ("text", "dim", "failed"):
            assert contrast(colours[name], colours["ground"]) >= 4.5, name
        for name in ("held", "healing", "missing", "empty"):
            assert contrast(colours[name], colours["ground"]) >= 3, name


def contrast(one: str, other: str) -> float:
    """Of two colours such as ``#1f2328``: 1 is none, 21 is black on white."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_words_of_the_picture_for_the_page() -> None:
    assert described(bad_day()) == "4 targets at 2 destinations: 46 held, 4 failed"
