import contextlib
import os
import signal
import subprocess

import pytest

from tests.cli.place import NEXT_DAY, Place

SLOW = """\
apiVersion: reconciler/v1
kind: Backup
metadata: {{name: slow}}
spec:
  schedule: "@daily"
  destinations: [local, offsite]
  targets:
    - {{name: slow, kind: command, backup: "head -c 9000000 /dev/urandom; echo $$ > '{begun}'; exec sleep 600"}}
"""


def test_first_second_and_next_day(place: Place) -> None:
    ran = place.process("apply")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == "Applied: 5 done."
    assert len(place.copies("local")) == len(place.copies("offsite")) == 3
    again = place.process("apply")
    assert (again.code, again.out) == (0, "Nothing to do: the backups are as the specs want them.\n")
    place.now = NEXT_DAY
    assert place.run("apply").out.count("+ create") == 3
    assert len(place.copies("local", "shop_uploads_*")) == 2


def test_no_escape_codes_when_piped(place: Place) -> None:
    ran = place.process("apply")
    assert "\x1b" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("only", "made"),
    [("shop", {"shop_config", "shop_uploads"}), ("shop/config", {"shop_config"}), ("wiki", {"wiki_files"})],
)
def test_only(place: Place, only: str, made: set[str]) -> None:
    assert place.run("apply", "--only", only).code == 0
    assert {copy.name.rpartition("_2026")[0] for copy in place.copies("local")} == made


def test_only_may_be_given_twice(place: Place) -> None:
    assert place.run("apply", "--only", "wiki", "--only", "shop/config").code == 0
    assert len(place.copies("local")) == 2


def test_only_what_is_there(place: Place) -> None:
    ran = place.run("apply", "--only", "shopp")
    assert (ran.code, ran.out) == (1, "")
    assert "no spec names the target shopp; there are: shop/config, shop/uploads, wiki/files" in ran.err


def test_an_output_that_cannot_be_written_stops_no_backup(place: Place) -> None:
    place.into_git()
    with open("/dev/full", "w") as full:
        ran = place.process("apply", stdout=full)
    assert (ran.code, ran.err) == (1, "error: the output cannot be written: No space left on device\n")
    assert len(place.copies("local")) == len(place.copies("offsite")) == 3
    assert "all is well with 3 targets" in place.git("show", "backup-status:STATUS.md")


def test_a_reader_that_has_gone_stops_no_backup(place: Place) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with open(theirs, "w") as broken:
        assert place.process("apply", stdout=broken).code == 1
    assert len(place.copies("local")) == len(place.copies("offsite")) == 3


def test_now_makes_a_backup_that_is_not_due(applied: Place) -> None:
    applied.now = "2026-01-20T05:00:00Z"
    ran = applied.run("apply", "--now", "--only", "wiki")
    assert ran.code == 0
    assert "(asked for with --now)" in ran.out
    assert len(applied.copies("local", "wiki_*")) == 2
    assert len(applied.copies("local", "shop_*")) == 2


def test_dry_run_changes_nothing(place: Place) -> None:
    ran = place.run("apply", "--dry-run")
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "Plan: 2 to adopt, 3 to create."
    assert not list((place.root / "copies").iterdir())
    as_json = place.run("apply", "--dry-run", "--output", "json")
    assert len(as_json.json["actions"]) == 5


def test_a_lost_copy_is_made_again(applied: Place) -> None:
    lost = applied.copies("offsite", "shop_uploads_*")[0]
    content = lost.read_bytes()
    lost.unlink()
    ran = applied.run("apply")
    assert "~ replicate shop/uploads  weekly 2026-01-20 03:10Z  local → offsite" in ran.out
    assert lost.read_bytes() == content


def test_one_destination_fails_and_the_other_is_served(place: Place) -> None:
    place.write("copies/offsite", "a file where a folder should be")
    ran = place.process("apply")
    assert ran.code == 1
    assert "error: offsite: unknown, so nothing is done there: it cannot be used" in ran.err
    assert len(place.copies("local")) == 3


def test_one_target_fails_and_the_others_are_made(place: Place) -> None:
    (place.root / "config.ini").unlink()
    ran = place.process("apply")
    assert ran.code == 1
    assert ran.err == f"error: shop/config: {place.root}/config.ini does not exist\n"
    assert len(place.copies("local")) == 2


def test_status_goes_to_a_branch_of_the_specs_repository(place: Place) -> None:
    place.into_git()
    ran = place.run("apply")
    assert "on branch backup-status" in ran.out
    files = ["STATUS.md", "status.json", "status.svg"]
    assert place.git("ls-tree", "--name-only", "backup-status").split() == files
    assert place.git("status", "--porcelain", "--untracked-files=no") == ""
    assert place.git("symbolic-ref", "--short", "HEAD").strip() == "main"
    commits = place.git("rev-list", "--count", "backup-status")
    place.run("apply")
    assert place.git("rev-list", "--count", "backup-status") == commits


def test_status_outside_git_goes_to_this_users_folder(applied: Place) -> None:
    assert len(list(applied.root.glob("state/reconciler/*/status.json"))) == 1


def test_specs_that_cannot_be_used_are_told_in_the_status(place: Place) -> None:
    place.into_git()
    place.run("apply")
    place.write("backup.d/wrong.yaml", "kind: Backup\n")
    ran = place.process("apply")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("backup.d/wrong.yaml:1:1: ")
    page = place.git("show", "backup-status:STATUS.md")
    assert "backup.d/wrong.yaml:1:1" in page
    assert "shop/uploads" in page, "what was known stays"


@pytest.mark.parametrize("specs", ["backup.d", "backup.d/all.yaml"])
def test_two_at_once(place: Place, specs: str) -> None:
    place.write(
        "backup.d/all.yaml", "---\n".join(path.read_text() for path in place.root.glob("backup.d/*.yaml"))
    )
    for name in ("destinations", "shop"):
        (place.root / f"backup.d/{name}.yaml").unlink()
    with subprocess.Popen(
        ["flock", "backup.d", "cat"], cwd=place.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        holder.stdin.write(b"it is held\n")
        holder.stdin.flush()
        holder.stdout.readline()
        ran = place.run("apply", specs)
        holder.stdin.close()
    assert (ran.code, ran.out) == (1, "")
    assert f"another run works on {specs} right now" in ran.err
    assert place.run("apply").code == 0


def ended(process: subprocess.Popen[str], number: signal.Signals) -> tuple[str, str]:
    """Both streams after a signal; like people, it comes again when a read that just began did not notice."""
    for _ in range(30):
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=2)
    raise TimeoutError("it does not end")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing_half_made(place: Place, number: signal.Signals, code: int) -> None:
    os.mkfifo(place.root / "begun")
    place.write("backup.d/slow.yaml", SLOW.format(begun=place.root / "begun"))
    place.run("apply", "--only", "wiki")
    with place.start("apply", "--only", "slow") as process:
        group = int((place.root / "begun").read_text())  # opening it waits for the command
        out, err = ended(process, number)
    assert (process.returncode, out) == (code, "")
    assert err.strip() == "interrupted; no copy is left half made"
    assert {path.name.partition("_")[0] for path in (place.root / "copies").rglob("*_*")} == {"wiki"}
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)  # the command of the target has ended too
    assert "recover" not in place.run("plan").out


def test_json(place: Place) -> None:
    place.into_git()
    ran = place.process("apply", "--output", "json")
    assert (ran.code, ran.err) == (0, "")
    assert [outcome["action"]["type"] for outcome in ran.json["outcomes"]] == ["adopt"] * 2 + ["create"] * 3
    assert ran.json["statusCommit"] == place.git("rev-parse", "backup-status").strip()


def test_a_source_that_is_suddenly_empty_is_an_error_and_no_backup(place: Place) -> None:
    """As that of a disk that is not mounted: backed up day by day, it would push out every good artifact."""
    place.run("apply")
    files = place.root / "wiki"
    content = {file: file.read_bytes() for file in files.iterdir()}
    for file in content:
        file.unlink()
    place.now = NEXT_DAY
    before = place.copies("local", "wiki_files_*")
    ran = place.run("apply", "--only", "wiki")
    assert ran.code == 1
    assert "error: wiki/files: it is empty, and its newest backup is not" in ran.err
    assert place.copies("local", "wiki_files_*") == before
    assert place.run("restore", "wiki/files").code == 0
    assert {file: file.read_bytes() for file in files.iterdir()} == content
    for file in content:
        file.unlink()
    assert place.run("apply", "--only", "wiki", "--now").code == 0
    assert len(place.copies("local", "wiki_files_*")) == len(before) + 1
