import json
import re

import pytest

from tests.cli.place import NEXT_DAY, Place


def test_everything_is_pending(place: Place) -> None:
    ran = place.process("plan")
    assert (ran.code, ran.err) == (2, "")
    lines = ran.out.splitlines()
    assert lines[-1] == "Plan: 2 to adopt, 3 to create."
    assert (
        "+ create    shop/uploads  weekly → local, offsite  (no backup yet; due since 2026-01-20 03:00Z)"
        in lines
    )
    assert not list((place.root / "copies").iterdir()), "a plan changes nothing"


def test_withheld_deletions_are_not_what_the_specs_want(applied: Place) -> None:
    applied.now = NEXT_DAY
    applied.run("apply")
    specs = applied.root / "backup.d/shop.yaml"
    specs.write_text(specs.read_text().replace("{daily: 2, weekly: 1}", "{daily: 1}"))
    applied.write("backup.d/policy.yaml", POLICY)
    ran = applied.process("plan")
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "Nothing to do but the deletions, which wait for an approval."
    assert len(applied.copies("local")) == 6


def test_a_broken_3_2_1_rule_is_told_once(place: Place) -> None:
    specs = place.root / "backup.d/shop.yaml"
    specs.write_text(specs.read_text().replace("[local, offsite]", "[local]"))
    for command in (["plan"], ["apply"]):
        ran = place.process(*command)
        assert (ran.out + ran.err).count("the 3-2-1 rule is broken") == 1
        assert re.search(r"(?m)^backup.d/shop.yaml:6:\d+: warning: .*the 3-2-1 rule is broken", ran.err)
    (note,) = (
        note for note in place.run("plan", "--output", "json").json["notes"] if note["topic"] == "rule321"
    )
    assert note["message"].startswith("the 3-2-1 rule is broken")


def test_nothing_is_pending(applied: Place) -> None:
    ran = applied.process("plan")
    assert (ran.code, ran.out) == (0, "Nothing to do: the backups are as the specs want them.\n")


def test_an_error_that_no_action_mends(place: Place) -> None:
    (place.root / "wiki/home.txt").unlink()
    (place.root / "wiki").rmdir()
    ran = place.process("plan")
    assert ran.code == 1
    assert ran.err == f"error: wiki/files: {place.root}/wiki does not exist\n"
    assert ran.out.endswith("Plan: 2 to adopt, 2 to create.\n")


def test_specs_that_cannot_be_used(place: Place) -> None:
    place.write("backup.d/wrong.yaml", "kind: Backup\n")
    ran = place.process("plan")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("backup.d/wrong.yaml:1:1: ")


def test_the_path_may_be_one_file(place: Place) -> None:
    place.write(
        "all.yaml",
        "---\n".join(
            (place.root / "backup.d" / name).read_text().replace("../", "./")
            for name in ("destinations.yaml", "shop.yaml")
        ),
    )
    ran = place.run("plan", "all.yaml")
    assert (ran.code, ran.out.splitlines()[-1]) == (2, "Plan: 2 to adopt, 3 to create.")


@pytest.mark.parametrize("path", ["nowhere", "uploads/photo.jpg"])
def test_a_path_that_holds_no_specs(place: Place, path: str) -> None:
    ran = place.run("plan", path)
    assert (ran.code, ran.out) == (1, "")
    assert path in ran.err


def test_the_clock_is_set_by_the_environment(applied: Place) -> None:
    applied.now = NEXT_DAY
    assert "+ create    wiki/files  daily" in applied.run("plan").out
    applied.now = "tomorrow"
    ran = applied.run("plan")
    assert ran.code == 1
    assert ran.err == "error: 'tomorrow' is not a time; write it as 2026-01-20T03:00:00Z\n"


def test_json(place: Place) -> None:
    ran = place.process("plan", "--output", "json")
    assert ran.code == 2
    assert [action["type"] for action in ran.json["actions"]] == ["adopt"] * 2 + ["create"] * 3
    assert ran.json["now"] == "2026-01-20T03:10:00Z"
    assert ran.json["commit"] is None


def test_a_saved_plan_is_carried_out(place: Place) -> None:
    assert place.run("plan", "--out", "next.json").code == 2
    place.now = "2026-01-20T04:00:00Z"  # later, but the same is to be done
    ran = place.run("apply", "next.json")
    assert (ran.code, ran.err) == (0, "")
    assert len(place.copies("local")) == 3
    assert place.run("plan").code == 0


def test_a_saved_plan_is_refused_when_the_world_has_changed(applied: Place) -> None:
    applied.now = NEXT_DAY
    applied.run("plan", "--out", "next.json")
    assert applied.run("apply", "--only", "wiki").code == 0
    ran = applied.run("apply", "next.json")
    assert (ran.code, ran.out) == (1, "")
    assert "the world has changed since the plan was saved (no longer: create wiki/files daily" in ran.err
    assert applied.run("plan").out.endswith("Plan: 2 to create.\n"), "nothing was done"


def test_a_saved_plan_takes_no_choice(place: Place) -> None:
    place.run("plan", "--out", "next.json")
    ran = place.run("apply", "next.json", "--now")
    assert (ran.code, ran.out) == (1, "")
    assert "--now" in ran.err


def test_a_file_that_is_no_plan(place: Place) -> None:
    place.write("next.json", json.dumps({"format": "other"}))
    ran = place.run("apply", "next.json")
    assert (ran.code, ran.out) == (1, "")
    assert "next.json is neither a folder of specs nor a saved plan" in ran.err


def test_a_plan_that_cannot_be_saved(place: Place) -> None:
    ran = place.run("plan", "--out", "nowhere/next.json")
    assert (ran.code, ran.out) == (1, "")
    assert "No such file or directory" in ran.err


POLICY = """\
apiVersion: reconciler/v1
kind: Policy
metadata: {name: fleet}
spec: {deletions: {maxPerRun: 1}}
"""
