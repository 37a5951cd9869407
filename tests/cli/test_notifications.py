"""Who is told what, over several runs: a real webhook and a real dead man's switch, asked by the real command."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.report import together
from tests.cli.place import NEXT_DAY, Place
from tests.parts.mailbox import Mailbox, mailbox

POLICY = """\
apiVersion: reconciler/v1
kind: Policy
metadata: {name: fleet}
spec:
  rule321: "off"
  notifications:
"""
TEAM = "    - {name: team, apprise: {url: {fromEnv: TEAM_URL}}}\n"
PING = "    - {name: switch, ping: {url: {fromFile: ../ping-url}}}\n"
AT_FIVE = "2026-01-21T05:10:00Z"


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as opened:
        yield opened


@pytest.fixture
def told(applied: Place, box: Mailbox) -> Place:
    """A place with backups that all is well with, and a team that hears of it from now on."""
    notify(applied, box, TEAM)
    assert applied.run("apply").code == 0
    assert box.taken() == []
    return applied


def notify(place: Place, box: Mailbox, *notifiers: str) -> None:
    place.write("backup.d/policy.yaml", POLICY + "".join(notifiers))
    place.env["TEAM_URL"] = f"json://me:s3cret@127.0.0.1:{box.port}/t0ken"
    place.write("ping-url", f"http://127.0.0.1:{box.port}/ping-t0ken\n")


def messages(box: Mailbox) -> list[dict[str, Any]]:
    return [post.json for post in box.taken()]


def status(place: Place) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(next(place.root.glob("state/**/status.json")).read_text())
    return loaded


def test_a_failure_is_told_once_and_so_is_its_recovery(told: Place, box: Mailbox) -> None:
    told.now = NEXT_DAY
    shutil.move(told.root / "wiki", told.root / "away")
    assert told.run("apply").code == 1
    (failed,) = messages(box)
    assert failed["title"] == "Backups on here: 1 failure (wiki/files)"
    first, _, last = failed["message"].split("\n")
    assert first == (
        f"failure: wiki/files: {told.root}/wiki does not exist; it is overdue: its newest backup is of 2026-01-20 03:10Z"
    )
    assert last == "Backups on here: 1 of 3 targets needs attention. As of 2026-01-21 03:10Z."
    assert failed["type"] == "failure"
    for told.now in ("2026-01-21T03:11:00Z", AT_FIVE):
        assert told.run("apply").code == 1
    assert messages(box) == []
    shutil.move(told.root / "away", told.root / "wiki")
    told.now = "2026-01-21T06:00:00Z"
    assert told.run("apply").code == 0
    (mended,) = messages(box)
    assert mended["title"] == "Backups on here: 1 recovery (wiki/files)"
    assert mended["message"].startswith("recovery: wiki/files: all is well again\n")
    assert mended["type"] == "success"
    assert told.run("apply").code == 0
    assert messages(box) == []


def test_a_hook_that_fails_after_the_commit_is_told_and_ends_with_the_next_backup(
    told: Place, box: Mailbox
) -> None:
    specs = told.root / "backup.d/shop.yaml"
    whole = specs.read_text()
    hook = "hooks: [{phase: copy-post, script: exit 3}]"
    specs.write_text(whole.replace("path: ../wiki}", f"path: ../wiki, {hook}}}"))
    told.now = NEXT_DAY
    assert told.run("apply").code == 1
    assert told.run("apply").code == 0
    (failure,) = messages(box)
    assert "failure: wiki/files: its last backup is there, but its copy-post hook of " in failure["message"]
    specs.write_text(whole)
    told.now = AT_FIVE
    assert told.run("apply", "--only", "wiki", "--now").code == 0
    (recovery,) = messages(box)
    assert "recovery: wiki/files: all is well again" in recovery["message"]


def test_everything_of_a_run_is_one_message_failures_first(told: Place, box: Mailbox) -> None:
    shutil.move(told.root / "wiki", told.root / "away")
    told.now = NEXT_DAY
    told.run("apply")
    box.taken()
    shutil.move(told.root / "away", told.root / "wiki")
    shutil.rmtree(told.root / "uploads")
    (told.root / "config.ini").unlink()
    told.now = "2026-01-22T03:10:00Z"
    told.run("apply")
    (message,) = messages(box)
    assert message["title"] == (
        "Backups on here: 2 failures (shop/config, shop/uploads), 1 recovery (wiki/files)"
    )
    assert [line.split(":")[0] for line in message["message"].split("\n")[:3]] == [
        "failure",
        "failure",
        "recovery",
    ]


def test_a_destination_that_is_away_is_one_failure_and_not_one_of_each_target(
    told: Place, box: Mailbox
) -> None:
    shutil.move(told.root / "copies/offsite", told.root / "away")
    told.now = NEXT_DAY
    assert told.run("apply").code == 1
    (message,) = messages(box)
    assert message["title"] == "Backups on here: 1 failure (destination offsite)"
    told.run("apply")
    assert messages(box) == []
    shutil.move(told.root / "away", told.root / "copies/offsite")
    assert told.run("apply").code == 0
    (message,) = messages(box)
    assert message["title"] == "Backups on here: 1 recovery (destination offsite)"


def test_copies_that_were_lost_and_made_again_are_drift(told: Place, box: Mailbox) -> None:
    (lost,) = told.copies("offsite", "wiki*")
    lost.unlink()
    assert told.run("apply").code == 0
    assert told.copies("offsite", "wiki*") == [lost]
    (message,) = messages(box)
    assert message["title"] == "Backups on here: 1 drift (wiki/files at offsite)"
    assert message["message"].startswith(
        "drift: wiki/files at offsite: 1 copy lost or damaged there, made again\n"
    )
    assert message["type"] == "warning"
    assert told.run("apply").code == 0
    assert messages(box) == []


def test_a_target_that_never_had_a_backup_is_told_at_once(place: Place, box: Mailbox) -> None:
    notify(place, box, TEAM)
    shutil.rmtree(place.root / "wiki")
    assert place.run("apply").code == 1
    (message,) = messages(box)
    assert message["title"] == "Backups on here: 1 failure (wiki/files)"
    assert "there is no good copy of it anywhere" in message["message"]


def test_a_notifier_that_fails_is_a_warning_and_is_told_later(told: Place, box: Mailbox) -> None:
    box.code = 500
    (lost,) = told.copies("offsite", "wiki*")
    lost.unlink()
    ran = told.run("apply")
    warning = "notifier team: the service did not take the message: it answered with 500"
    assert ran.code == 0
    assert ran.err == f"warning: {warning}\n"
    assert len(messages(box)) == 1
    (note,) = [note for note in status(told)["notes"] if note["topic"] == "notification"]
    assert (note["severity"], note["subject"]) == ("warning", "team")
    assert told.run("status", "--output", "json").json["notes"] == [note]
    ran = told.run("apply", "--output", "json")
    assert ran.json["warnings"] == [warning]
    assert len(messages(box)) == 1
    box.code = 200
    told.now = "2026-01-20T03:20:00Z"
    assert told.run("apply").err == ""
    (message,) = messages(box)
    assert message["title"] == "Backups on here: 1 drift (wiki/files at offsite)"
    assert told.run("apply").err == ""
    assert messages(box) == []
    assert status(told)["told"] == []


def test_tries_that_fail_become_seldom(told: Place, box: Mailbox) -> None:
    box.code = 500
    shutil.rmtree(told.root / "wiki")
    tried = []
    for minute in range(20):
        told.now = f"2026-01-21T03:{minute:02}:00Z"
        ran = told.run("apply")
        assert "notifier team: " in ran.err
        tried.append(len(messages(box)))
    assert [minute for minute, number in enumerate(tried) if number] == [0, 1, 5, 13]


def test_what_was_over_before_it_could_be_told_is_told_to_nobody(told: Place, box: Mailbox) -> None:
    box.code = 500
    shutil.move(told.root / "wiki", told.root / "away")
    told.now = NEXT_DAY
    told.run("apply")
    box.taken()
    shutil.move(told.root / "away", told.root / "wiki")
    ran = told.run("apply")
    assert (ran.code, ran.err, messages(box)) == (0, "", [])


def test_each_hears_what_it_asked_for_in_its_own_words(applied: Place, box: Mailbox) -> None:
    said = TEAM.replace("}}}", "}}, tell: [recovery], title: '${SUMMARY}, $$5', body: '${NODE}'}")
    notify(applied, box, said)
    shutil.move(applied.root / "wiki", applied.root / "away")
    applied.now = NEXT_DAY
    assert applied.run("apply").code == 1
    assert messages(box) == []
    shutil.move(applied.root / "away", applied.root / "wiki")
    assert applied.run("apply").code == 0
    (message,) = messages(box)
    assert (message["title"], message["message"]) == ("1 recovery (wiki/files), $5", "here")


def test_nothing_is_told_twice_while_the_status_cannot_be_written(told: Place, box: Mailbox) -> None:
    shutil.rmtree(told.root / "wiki")
    path = next(told.root.glob("state/**/status.json"))
    good = path.read_bytes()
    path.write_text("not a status")
    told.now = NEXT_DAY
    assert told.run("apply").code == 1
    (message,) = messages(box)
    assert message["title"] == "Backups on here: 1 failure (wiki/files)"
    assert told.run("apply").code == 1
    (message,) = messages(box)
    assert message["title"] == "Backups on here: 1 failure (status)"
    assert "failure: status: it could not be written: status.json on " in message["message"]
    assert told.run("apply").code == 1
    assert messages(box) == []
    path.write_bytes(good)
    assert told.run("apply").code == 1
    assert messages(box) == []
    told.run("apply")
    (message,) = messages(box)
    assert message["title"] == "Backups on here: 1 recovery (status)"


def test_a_dead_mans_switch_hears_of_every_run(applied: Place, box: Mailbox) -> None:
    notify(applied, box, PING)
    assert applied.run("apply").code == 0
    (post,) = box.taken()
    assert (post.path, post.body.decode()) == ("/ping-t0ken", "all is well with 3 targets")
    applied.now = NEXT_DAY
    assert applied.run("apply").code == 0
    begun, ended = box.taken()
    assert (begun.path, ended.path) == ("/ping-t0ken/start", "/ping-t0ken")
    assert "create wiki/files daily/wiki_files_2026-01-21T031000Z_daily.tar.zst at local, offsite: done" in (
        ended.body.decode()
    )
    shutil.rmtree(applied.root / "wiki")
    applied.now = "2026-01-22T03:10:00Z"
    assert applied.run("apply").code == 1
    begun, ended = box.taken()
    assert (begun.path, ended.path) == ("/ping-t0ken/start", "/ping-t0ken/fail")
    lines = ended.body.decode().split("\n")
    assert lines[-2].startswith("wiki/files: ")
    assert lines[-1] == "1 of 3 targets needs attention"


def test_no_plan_and_no_dry_run_tells_anything(told: Place, box: Mailbox) -> None:
    notify(told, box, TEAM, PING)
    shutil.rmtree(told.root / "wiki")
    told.now = NEXT_DAY
    for command in (("plan",), ("apply", "--dry-run"), ("status",), ("validate",)):
        told.run(*command)
    assert box.taken() == []


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/s3cret", "ftp://s3cret"])
def test_a_switch_that_is_not_there_stops_nothing(applied: Place, box: Mailbox, address: str) -> None:
    notify(applied, box, PING)
    applied.write("ping-url", address)
    applied.now = NEXT_DAY
    ran = applied.run("apply")
    assert ran.code == 0
    assert ran.err.startswith("warning: notifier switch: ")
    assert ran.err.count("\n") == 1
    assert "s3cret" not in ran.err
    assert len(applied.copies("offsite", "wiki*")) == 2


def test_nobody_waits_for_a_service_that_does_not_answer(
    told: Place, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "PATIENCE", 0.1)
    notify(told, box, TEAM, PING)
    box.open.clear()
    shutil.rmtree(told.root / "wiki")
    told.now = NEXT_DAY
    ran = told.run("apply")
    assert ran.err.endswith(
        "warning: notifier team: it took longer than 0.1 s\nwarning: notifier switch: it took longer than 0.1 s\n"
    )
    assert len(told.copies("offsite", "shop_*")) == 4


def test_who_was_told_what_is_in_git_and_an_idle_run_commits_nothing(place: Place, box: Mailbox) -> None:
    notify(place, box, TEAM, PING)
    place.into_git()
    shutil.rmtree(place.root / "wiki")
    box.code = 500
    place.run("apply")
    box.code = 200
    place.now = "2026-01-20T03:15:00Z"
    assert place.run("apply").code == 1
    subjects = place.git("log", "--format=%s", "backup-status").splitlines()
    assert len(subjects) == 2
    assert subjects[0] == "notifications"
    place.now = "2026-01-20T04:00:00Z"
    assert place.run("apply").code == 1
    assert len(place.git("log", "--format=%s", "backup-status").splitlines()) == 2
    kept = json.loads(place.git("show", "backup-status:status.json"))["told"]
    assert kept == [
        {"notifier": "team", "troubles": ["wiki/files"], "owed": [], "tries": 0, "tried": None, "error": ""}
    ]


def test_a_variable_that_is_not_set_is_a_warning(told: Place) -> None:
    del told.env["TEAM_URL"]
    shutil.rmtree(told.root / "wiki")
    told.now = NEXT_DAY
    ran = told.run("apply")
    assert "warning: notifier team: environment variable TEAM_URL is not set" in ran.err


def test_no_secret_is_told_or_shown(told: Place, box: Mailbox) -> None:
    """Not even one that a hook prints, and no part of an address."""
    told.env["HOOK_TOKEN"] = "h00k-s3cret"
    notify(told, box, TEAM, PING)
    told.write(
        "backup.d/shop.yaml",
        (told.root / "backup.d/shop.yaml").read_text()
        + "  hooks:\n    - phase: archive-pre\n      script: 'echo it was h00k-s3cret and $TEAM_URL; exit 1'\n",
    )
    told.now = NEXT_DAY
    ran = told.run("apply")
    posts = box.taken()
    bodies = b"".join(post.body for post in posts)
    assert len(posts) == 3
    assert b"it was [secret] and [secret]" in bodies
    written = "".join(path.read_text() for path in told.root.glob("state/**/status.*"))
    for secret in ("h00k-s3cret", "s3cret", "t0ken"):
        assert secret not in ran.out + ran.err + bodies.decode() + written
