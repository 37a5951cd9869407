import signal
import subprocess
import sys

import pytest

from reconciler.destinations.file import FileStore
from reconciler.errors import StoreError
from tests.cli.place import NEXT_DAY, Place
from tests.trees import snapshot

ALL = ("delete", "shop/uploads", "--all")


def test_it_shows_what_goes_and_asks(applied: Place) -> None:
    applied.now = NEXT_DAY
    applied.run("apply")
    before = applied.copies("local")
    refused = applied.process("delete", "shop/uploads", "--before", "2026-01-21T00:00:00Z")
    assert refused.code == 1
    assert "- monthly/shop_uploads_2026-01-20T031000Z" in refused.err or "- weekly/" in refused.err
    assert applied.copies("local") == before


def test_chosen_copies_go_everywhere_and_the_report_says_so(applied: Place) -> None:
    applied.now = NEXT_DAY
    applied.run("apply")
    ran = applied.run("delete", "shop/uploads", "--before", "2026-01-21T00:00:00Z", "--yes")
    assert ran.code == 0, ran.err
    assert (
        len(applied.copies("local", "shop_uploads_*"))
        == len(applied.copies("offsite", "shop_uploads_*"))
        == 1
    )
    assert [
        item["action"] for item in applied.run("status", "--output", "json").json["lastRun"]["outcomes"]
    ] == [
        "prune",
        "prune",
    ]
    assert applied.run("restore", "shop/uploads", "--to", f"path:{applied.root}/back").code == 0
    assert (applied.root / "back/photo.jpg").read_bytes() == (applied.root / "uploads/photo.jpg").read_bytes()


@pytest.mark.parametrize("more", [(), ("--yes",)])
def test_the_last_good_copy_stays_without_force(applied: Place, more: tuple[str, ...]) -> None:
    before = applied.copies("local") + applied.copies("offsite")
    refused = applied.run(*ALL, *more)
    assert refused.code == 1
    assert "no good copy of shop/uploads would be left" in refused.err
    assert applied.copies("local") + applied.copies("offsite") == before
    assert applied.run(*ALL, "--from", "local", "--yes").code == 0
    assert applied.run(*ALL, "--from", "offsite", "--yes").code == 1
    assert applied.run(*ALL, "--yes", "--force").code == 0
    assert applied.copies("offsite", "shop_uploads_*") == []


def test_a_copy_deleted_in_one_place_comes_back_from_the_other(applied: Place) -> None:
    ran = applied.run(*ALL, "--from", "local", "--yes")
    assert ran.code == 0
    assert "at local: the next apply copies it back from offsite" in ran.err
    assert "~ replicate" in applied.run("apply").out
    assert len(applied.copies("local", "shop_uploads_*")) == 1


def test_a_backup_that_is_due_afterwards_is_told(applied: Place) -> None:
    ran = applied.run(*ALL, "--yes", "--force")
    assert "the next apply makes a new backup of it" in ran.err
    assert "copies it back" not in ran.err
    assert "+ create    shop/uploads" in applied.run("plan").out


def test_what_nobody_wants_goes_without_a_word(applied: Place) -> None:
    applied.now = NEXT_DAY
    applied.run("apply")
    specs = applied.root / "backup.d/shop.yaml"
    specs.write_text(specs.read_text().replace("    - {name: wiki, kind: path, path: ../wiki}\n", ""))
    ran = applied.run("delete", "wiki", "--before", "2026-01-21T00:00:00Z", "--yes")
    assert ran.code == 0
    assert "warning" not in ran.err


def test_a_destination_that_is_away_is_told(applied: Place) -> None:
    (applied.root / "copies/offsite").rename(applied.root / "away")
    ran = applied.run(*ALL, "--yes", "--force")
    assert ran.code == 0
    assert "warning: offsite cannot be looked at" in ran.err


def test_the_hooks_of_a_prune_run_and_a_failing_one_keeps_everything(applied: Place) -> None:
    specs = applied.root / "backup.d/shop.yaml"
    hook = '  hooks: [{phase: prune-pre, script: "echo pre $RECONCILER_SERVICE >> log; exit 4"}]\n'
    specs.write_text(specs.read_text() + hook)
    before = applied.copies("local")
    assert applied.run(*ALL, "--from", "local", "--yes").code == 1
    assert applied.copies("local") == before
    assert next(applied.root.rglob("log")).read_text() == "pre shop\n"


def test_what_always_stands_after_a_prune_runs_once_when_one_fails(
    applied: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = applied.root / "backup.d/shop.yaml"
    hooks = (
        '  hooks: [{phase: prune-pre, script: "echo pre >> log; exit $FAILS"},'
        ' {phase: prune-post, always: true, script: "echo post >> log"}, {phase: prune-post, script: "echo no >> log"}]\n'
    )
    specs.write_text(specs.read_text() + hooks)
    before = applied.copies("local") + applied.copies("offsite")

    def fails(self: FileStore, key: str) -> None:
        raise StoreError(f"{key}: the disk is read-only")

    for status in ("4", "0"):
        applied.env = {"FAILS": status}
        with monkeypatch.context() as patched:
            patched.setattr(FileStore, "delete", fails)
            assert applied.run(*ALL, "--yes", "--force").code == 1
        log = next(applied.root.rglob("log"))
        assert log.read_text() == "pre\npost\n"
        log.unlink()
        told = applied.run("status", "--output", "json").json["lastRun"]["outcomes"]
        assert [len(item.get("hooks", ())) for item in told] == [2, 0], "the other deletion was left out"
    assert applied.copies("local") + applied.copies("offsite") == before


def test_a_kill_between_the_manifest_and_the_data_leaves_no_copy_and_the_rest_is_swept(
    applied: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted: list[str] = []
    whole = FileStore.delete

    def dying(self: FileStore, key: str) -> None:
        if deleted:
            raise KeyboardInterrupt
        whole(self, key)
        deleted.append(key)

    with monkeypatch.context() as patched:
        patched.setattr(FileStore, "delete", dying)
        assert applied.run(*ALL, "--from", "local", "--yes").code != 0
    assert deleted[0].endswith(".json"), "the manifest goes first"
    assert len(applied.copies("local", "shop_uploads_*")) == 1
    listed = applied.run("list", "--output", "json").json
    assert applied.run("restore", "shop/uploads", "--from", "local", "--to", "path:back").code == 1
    again = applied.run("apply")
    assert again.code == 0, again.err
    assert applied.run("restore", "shop/uploads", "--from", "local", "--to", "path:back").code == 0, listed
    assert applied.run("plan").code == 0


DIES = """\
import os, signal, sys
from reconciler.cli import main
from reconciler.destinations.file import FileStore

left = [int(sys.argv.pop(1))]

def deadly(name):
    whole = getattr(FileStore, name)
    def call(self, *arguments):
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return whole(self, *arguments)
    setattr(FileStore, name, call)

deadly("put")
deadly("delete")
main(sys.argv[1:])
"""
"""The program, which dies at the call that writes to a destination after so many of them."""


@pytest.mark.parametrize("calls", range(5), ids=["record", "manifest", "data", "end", "other destination"])
def test_a_kill_at_any_step_leaves_no_half_copy_and_the_next_apply_sweeps(applied: Place, calls: int) -> None:
    applied.now = NEXT_DAY
    applied.run("apply")
    old = "weekly/shop_uploads_2026-01-20T031000Z_weekly.tar.zst"
    asked = ["delete", "shop/uploads", "--before", "2026-01-21T00:00:00Z", "--yes"]
    killed = subprocess.run(
        [sys.executable, "-c", DIES, str(calls), *asked],
        cwd=applied.root,
        env=applied.environment(),
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed
    manifests = {path.parent.parent.name for path in applied.root.glob(f"copies/*/{old}.json")}
    assert manifests == ({"local", "offsite"} if calls < 2 else {"offsite"})
    found = applied.run("list", "--output", "json").json["copies"]
    assert {item["destination"] for item in found if item["key"] == old} == manifests

    assert applied.run("plan").code == (0 if not calls else 2)
    ran = applied.run("apply")  # what was not deleted everywhere is still wanted, and comes back whole
    assert ran.code == 0, ran.err
    assert ("recover" in ran.out) == (0 < calls < 4), ran.out
    assert applied.run("plan").code == 0
    for name in ("local", "offsite"):
        to = ("--at", "2026-01-20T12:00:00Z", "--to", f"path:{applied.root}/{name}")
        assert applied.run("restore", "shop/uploads", "--from", name, *to).code == 0
        assert snapshot(applied.root / name) == snapshot(applied.root / "uploads")
        intents = (applied.root / "copies" / name / ".intents").rglob("*")
        assert [path for path in intents if path.is_file()] == []


def test_orphans_can_be_deleted(applied: Place) -> None:
    specs = applied.root / "backup.d/shop.yaml"
    specs.write_text(specs.read_text().replace("    - {name: wiki, kind: path, path: ../wiki}\n", ""))
    assert applied.run("delete", "wiki", "--all", "--force", "--yes").code == 0
    assert applied.copies("local", "wiki_*") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("shop/uploads",), "say which copies"),
        (("shop/uploads", "--all", "--at", "2026-01-20T03:10Z"), "say which copies"),
        (("shop/uploads", "--at", "2020-01-20T03:10Z"), "there is no such copy"),
        (("shpo", "--all"), "did you mean shop"),
        (("shop/uploads", "--all", "--from", "locl"), "no destination locl; there are: local, offsite"),
        (("shop/uploads", "--at", "yesterday"), "yesterday"),
    ],
)
def test_what_is_meant_must_be_clear(applied: Place, arguments: tuple[str, ...], said: str) -> None:
    before = applied.copies("local")
    refused = applied.run("delete", *arguments, "--yes")
    assert refused.code != 0
    assert said in refused.err
    assert applied.copies("local") == before
