"""Several machines' reports in one: what counts, what is told apart, and who is silent."""

import random
from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace

from reconciler.model.status import Status
from reconciler.report import Part, encode, render
from reconciler.report.merged import merged
from reconciler.report.nodes import files, newcomer
from tests.report.example import NOW, bad_day
from tests.report.fleets import fleet_of

HOUR = timedelta(hours=1)


def report(node: str, number: int = 2, *, hours: float = 0, url: str = "", marker: str = "") -> Status:
    """The report of one machine, some hours later; ``url`` and ``marker`` of all its destinations."""
    made = replace(fleet_of(number), node=node, time=NOW + hours * HOUR)
    places = tuple(
        replace(item, url=url or item.url, marker=marker or item.marker) for item in made.destinations
    )
    return replace(made, destinations=places)


def whole(*reports: Status) -> Status:
    made = merged({item.node: item for item in reports})
    assert made
    return made


def condition(status: Status, type_: str) -> tuple[str, str, str]:
    item = next(item for item in status.conditions if item.type == type_)
    return item.status, item.reason, item.message


def test_the_order_in_which_they_report_makes_no_difference() -> None:
    reports = [report(name, number, hours=number) for number, name in enumerate("abcd", 1)]
    dice = random.Random(1)
    trees = []
    for _ in range(6):
        dice.shuffle(reports)
        tree: dict[str, bytes] = {}
        for item in reports:
            tree = Part(item.node).join(tree, files(item, encode(item)))
        trees.append(tree)
    assert all(tree == trees[0] for tree in trees)
    assert sorted(trees[0]) == [
        "STATUS.md",
        *(f"nodes/{name}.json" for name in "abcd"),
        "status.json",
        "status.svg",
    ]


def test_one_alone_has_no_parts_and_gets_rid_of_them() -> None:
    alone, both = report("a"), {"nodes/b.json": encode(report("b")), "status.json": b"{}"}
    ours = files(alone, encode(alone))
    assert Part("a").join({}, ours) == ours
    assert Part("a").join(both, ours).keys() == {*ours, "nodes/a.json", "nodes/b.json"}
    assert Part("a").join(Part("a").join(both, ours), ours).keys() == {*ours, "nodes/a.json", "nodes/b.json"}
    left = {"nodes/a.json": encode(alone)}
    assert Part("a").join(left, ours) == ours


def test_a_commit_of_ours_brings_our_part_alone() -> None:
    old_b, new_b, a = report("b", 1), report("b", 3, hours=1), report("a")
    base = Part("b").join({}, files(old_b, encode(old_b)))
    ours = Part("a").join(base, files(a, encode(a)))
    theirs = Part("b").join(base, files(new_b, encode(new_b)))
    both = Part("a").join(theirs, ours)
    assert both["nodes/b.json"] == encode(new_b), "what b said since is not taken back"
    assert both["nodes/a.json"] == encode(a)


def test_a_work_tree_whose_machine_was_renamed_goes_on_with_its_status() -> None:
    old, new = report("old"), report("new", hours=1)
    tree = Part("new", alone=True).join(files(old, encode(old)), files(new, encode(new)))
    assert tree == files(new, encode(new))
    parts = {"nodes/x.json": encode(old)}
    assert "nodes/x.json" in Part("new", alone=True).join(parts, files(new, encode(new)))


def test_the_newer_report_counts_where_two_know_the_same() -> None:
    made = whole(report("a", 3), report("b", 2, hours=1))
    assert made.node == "b"
    assert made.time == NOW + HOUR
    assert [item.name for item in made.destinations] == ["local", "offsite"], "one place each"
    assert len(made.targets) == 3


def test_places_with_one_name_are_told_apart() -> None:
    made = whole(report("a", 1, marker="1"), report("b", 2, marker="2"))
    assert [item.name for item in made.destinations] == [
        f"{name} ({node})" for name in ("local", "offsite") for node in "ab"
    ]
    names = {item.destination for target in made.targets for item in target.holdings}
    assert names == {"local (b)", "offsite (b)"}, "b has the same targets, and spoke last"
    assert "| local (a) |" in render(made).replace(r"\(", "(")


def test_a_condition_is_the_worst_of_all_and_names_the_machine() -> None:
    bad = replace(bad_day(), node="bad")
    made = whole(report("good", 1), bad)
    assert condition(made, "Healthy")[:2] == ("False", "TargetsFailing")
    assert condition(made, "Converged")[2].startswith("bad: 2 actions failed")
    assert condition(made, "Ready")[0] == "True"
    idle, good = report("idle", 0), report("good", 1)
    assert condition(idle, "Healthy")[1] == "NothingToProtect"
    assert condition(whole(good, idle), "Healthy")[:2] == condition(good, "Healthy")[:2], "it has no say"


@pytest.mark.parametrize(("hours", "late"), [(29, False), (31, True)])
def test_a_machine_is_silent_when_its_backup_is_overdue(hours: float, late: bool) -> None:
    quiet, other = report("quiet", 1), replace(report("other", 0), time=NOW + hours * HOUR)
    made = whole(quiet, other)
    assert bool(made.nodes[1].overdue) == late
    assert made.nodes[1].time == NOW, "as of its own report"
    assert ("quiet has not reported" in render(made)) == late
    assert (made.targets[0].state == "unknown") == late
    image = replace(quiet, targets=tuple(replace(item, kind="image") for item in quiet.targets))
    assert not whole(image, other).nodes[1].overdue, "an image that is as before needs no new backup"


def test_a_report_that_cannot_be_read_is_kept_and_told() -> None:
    ours = report("a", 1)
    there = {"nodes/b.json": b'{"format": "reconciler/status/v9"}', "README.md": b"theirs", "nodes/..": b""}
    tree = Part("a").join(there, files(ours, encode(ours)))
    assert tree["nodes/b.json"] == there["nodes/b.json"]
    assert "nodes/.." not in tree
    page = tree["STATUS.md"].decode()
    assert "# Backups: b has not reported" in page
    assert "| b | **cannot be read** |" in page
    made = msgspec.json.decode(tree["status.json"], type=Status)
    assert condition(made, "Healthy") == ("Unknown", "NodeSilent", "b: its report cannot be read")


def test_a_newcomer_knows_what_is_everybodys() -> None:
    theirs = report("a", url="s3://bucket", marker="1")
    known = newcomer(theirs, "b")
    assert (known.node, [item.marker for item in known.destinations]) == ("b", ["1", "1"])
    assert (known.targets, known.told, known.clock, known.last_run) == ((), (), None, None)
    assert newcomer(report("a"), "b").destinations == (), "a path is each machine's own"
    assert {item.status for item in known.conditions} == {"Unknown"}


HOSTILE = {
    "nested": b'{"x":' + 100_000 * b"[" + 100_000 * b"]" + b"}",
    "no conditions": msgspec.json.encode(replace(report("evil"), conditions=())),
    "no zone": encode(report("evil")).replace(b'Z"', b'"'),
    "before all time": encode(report("evil")).replace(b'Z"', b'+14:00"').replace(b'"2026-', b'"0001-'),
    "after all time": encode(report("evil")).replace(b'"2026-', b'"9999-'),
    "no duration": msgspec.json.encode(
        replace(report("evil"), targets=(replace(report("evil").targets[0], max_age="soon"),))
    ),
    "a path": msgspec.json.encode(replace(report("evil"), node="../../x")),
    "no name": msgspec.json.encode(replace(report("evil"), node="a\0b")),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_no_version_has_written_is_a_report_that_cannot_be_read(data: bytes) -> None:
    ours = files(report("a"), encode(report("a")))
    tree = Part("a").join({"nodes/evil.json": data}, ours)
    assert tree["nodes/evil.json"] == data, "it may be of a newer version"
    made = msgspec.json.decode(tree["status.json"], type=Status)
    assert [(item.node, item.time is None) for item in made.nodes] == [("a", False), ("evil", True)]
    assert condition(made, "Healthy") == ("Unknown", "NodeSilent", "evil: its report cannot be read")

    tree = Part("a").join({"status.json": data}, ours)
    assert sorted(name for name in tree if "/" in name) == ["nodes/a.json", "nodes/unknown.json"]
