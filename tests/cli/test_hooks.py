"""The order of phases, through the command line: what runs when all goes well, and what when something fails."""

from pathlib import Path

import pytest

from tests.cli.place import Place
from tests.trees import snapshot

HEAD = """\
apiVersion: reconciler/v1
kind: Backup
metadata: {{name: hooked}}
spec:
  schedule: "@daily"
  destinations: [{destinations}]
  retention: {{daily: 1}}
  hooks:
{hooks}
  targets:
    - {{name: hooked, kind: command, backup: "{command}", restore: "cat > {out}"}}
"""
BEFORE = ["archive-pre", "archive-post", "process-pre", "process-post", "copy-pre"]
PHASES = [*BEFORE, "copy-post", "success", "failure", "finally", "prune-pre", "prune-post"]


def hooked(
    place: Place, fails: str = "", always: str = "", command: str = "echo data", more: str = ""
) -> Path:
    """Specs with a hook in each phase that notes its name; that of ``fails`` then fails. Where they note it."""
    noted = place.root / "noted"
    for name in ("shop.yaml",):
        (place.root / "backup.d" / name).unlink(missing_ok=True)
    lines = [
        f"    - {{phase: {phase}, always: {str(phase == always).lower()},"
        f" script: 'echo $RECONCILER_PHASE >> {noted}; test $RECONCILER_PHASE != {fails or 'none'}'}}"
        for phase in PHASES
    ]
    text = HEAD.format(
        hooks="\n".join(lines) + more, command=command, out=place.root / "out", destinations="local, offsite"
    )
    place.write("backup.d/hooked.yaml", text)
    return noted


def said(noted: Path) -> list[str]:
    return noted.read_text().split() if noted.exists() else []


def test_when_all_goes_well(place: Place) -> None:
    noted = hooked(place)
    assert place.run("apply").code == 0
    assert said(noted) == [*BEFORE, "copy-post", "success", "finally"]


def test_prune_hooks_run_once_around_all_deletions_of_a_target(place: Place) -> None:
    noted = hooked(place)
    place.run("apply")
    noted.unlink()
    place.now = "2026-01-22T03:10:00Z"
    ran = place.run("apply")
    assert (ran.code, ran.out.count("- prune")) == (0, 2)
    assert said(noted)[-2:] == ["prune-pre", "prune-post"]
    assert said(noted).count("prune-pre") == 1


def test_a_failing_prune_pre_deletes_nothing(place: Place) -> None:
    hooked(place)
    place.run("apply")
    hooked(place, fails="prune-pre")
    place.now = "2026-01-22T03:10:00Z"
    assert place.run("apply").code == 1
    assert len(place.copies("local")) == len(place.copies("offsite")) == 2


@pytest.mark.parametrize("fails", BEFORE)
def test_before_the_commit_a_failure_leaves_nothing(place: Place, fails: str) -> None:
    noted = hooked(place, fails=fails)
    ran = place.run("apply")
    assert ran.code == 1
    assert f"{fails} hook of backup hooked failed" in ran.err
    assert said(noted) == [*BEFORE[: BEFORE.index(fails) + 1], "failure", "finally"]
    assert place.copies("local") + place.copies("offsite") == []


@pytest.mark.parametrize("fails", ["copy-post", "success"])
def test_after_the_commit_it_says_that_the_artifact_is_there(place: Place, fails: str) -> None:
    hooked(place, fails=fails)
    ran = place.run("apply")
    assert ran.code == 1
    assert "The artifact itself was committed" in ran.err
    assert len(place.copies("local")) == len(place.copies("offsite")) == 1
    told = f"hooked/dump: its last backup is there, but its {fails} hook of backup hooked failed: "
    for _ in range(2):
        seen = place.run("status")
        assert (seen.code, seen.out.count(told), seen.out.count("its last backup")) == (1, 1, 1), seen.out
        assert place.run("apply").code == 0, "nothing is left to do, and it stays told until the next backup"
    hooked(place)
    place.now = "2026-01-20T05:10:00Z"
    assert place.run("apply", "--only", "hooked", "--now").code == 0
    assert told not in place.run("status").out
    assert place.run("restore", "hooked", "--overwrite").code == 0
    assert (place.root / "out").read_text() == "data\n"


def test_the_post_of_a_failed_pre_runs_when_it_says_always(place: Place) -> None:
    noted = hooked(place, fails="archive-pre", always="archive-post")
    assert place.run("apply").code == 1
    assert said(noted) == ["archive-pre", "archive-post", "failure", "finally"]


def test_a_source_that_fails(place: Place) -> None:
    noted = hooked(place, command="echo half; exit 3")
    ran = place.run("apply")
    assert ran.code == 1
    assert said(noted) == ["archive-pre", "failure", "finally"]
    assert place.copies("local") == []


def test_a_destination_that_fails_is_a_failure_and_the_others_hold_it(place: Place) -> None:
    noted = hooked(place)
    place.run("plan")
    (place.root / "copies/offsite").mkdir()
    (place.root / "copies/offsite/monthly").write_text("in the way")
    (place.root / "copies/offsite/weekly").write_text("in the way")
    (place.root / "copies/offsite/daily").write_text("in the way")
    assert place.run("apply").code == 1
    assert said(noted) == [*BEFORE, "failure", "finally"]
    assert len(place.copies("local")) == 1


def test_policy_backup_target_in_this_order(place: Place) -> None:
    place.write(
        "backup.d/policy.yaml",
        "apiVersion: reconciler/v1\nkind: Policy\nmetadata: {name: fleet}\nspec:\n"
        f"  hooks: [{{phase: archive-pre, script: 'echo policy >> {place.root}/noted'}}]\n",
    )
    specs = place.root / "backup.d/shop.yaml"
    specs.write_text(
        specs.read_text()
        .replace("    - {name: shop, kind: path, path: ../uploads, type: uploads}\n", "")
        .replace("    - {name: shop, kind: path, path: ../config.ini, type: config}\n", "")
        .replace(
            "kind: path, path: ../wiki}",
            f"kind: path, path: ../wiki, hooks: [{{phase: archive-pre, script: 'echo target >> {place.root}/noted'}}]}}\n"
            f"  hooks: [{{phase: archive-pre, script: 'echo backup >> {place.root}/noted'}}]",
        )
    )
    assert place.run("apply").code == 0
    assert said(place.root / "noted") == ["policy", "backup", "target"]
    before = snapshot(place.root / "wiki")
    assert place.run("restore", "wiki", "--to", f"path:{place.root}/back").code == 0
    assert snapshot(place.root / "back") == before


def test_what_hooks_said_is_in_the_status(place: Place) -> None:
    hooked(place, more="\n    - {phase: success, script: 'echo well done; exit 4', onError: Continue}")
    ran = place.run("apply")
    assert ran.code == 0
    assert "well done" in ran.err
    outcomes = place.run("status", "--output", "json").json["lastRun"]["outcomes"]
    hooks = next(item["hooks"] for item in outcomes if item["action"] == "create")
    (last,) = [item for item in hooks if item["output"] == "well done"]
    assert (last["phase"], last["origin"], last["ignored"]) == ("success", "backup hooked", True)
    assert "exit code 4" in last["error"]
