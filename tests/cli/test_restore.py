import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.place import NEXT_DAY, Place


def same(one: Path, other: Path) -> bool:
    """Whether two trees or files hold the same bytes under the same names."""
    return (
        subprocess.run(["diff", "--recursive", "--no-dereference", one, other], check=False).returncode == 0
    )


def test_into_a_new_folder(applied: Place) -> None:
    ran = applied.process("restore", "shop/uploads", "--to", "path:there/new")
    assert (ran.code, ran.err) == (0, "")
    assert re.fullmatch(r"restored shop/uploads of 2026-01-20 03:10Z \(\d+\.\d KiB\) from local\n", ran.out)
    assert same(applied.root / "uploads", applied.root / "there/new")


def test_where_it_came_from(applied: Place) -> None:
    (applied.root / "uploads").rename(applied.root / "before")
    assert applied.run("restore", "shop/uploads").code == 0
    assert same(applied.root / "before", applied.root / "uploads")


def test_data_is_not_replaced_unasked(applied: Place) -> None:
    applied.write("wiki/home.txt", "changed since\n")
    ran = applied.process("restore", "wiki")
    assert (ran.code, ran.out) == (1, "")
    assert "--overwrite" in ran.err
    assert (applied.root / "wiki/home.txt").read_text() == "changed since\n"
    assert applied.run("restore", "wiki", "--overwrite").code == 0
    assert (applied.root / "wiki/home.txt").read_text() == "hello\n"


def test_one_file(applied: Place) -> None:
    (applied.root / "config.ini").unlink()
    assert applied.run("restore", "shop/config").code == 0
    assert (applied.root / "config.ini").read_text() == "[shop]\n"


def test_a_stream_to_stdout(applied: Place) -> None:
    applied.write("backup.d/dump.yaml", DUMP)
    applied.run("apply", "--only", "db")
    ran = applied.process("restore", "db", "--to", "-")
    assert (ran.code, ran.out) == (0, "select 1;\n")
    assert ran.err.startswith("restored db/dump of ")


def test_a_stream_to_its_restore_command(applied: Place) -> None:
    applied.write("backup.d/dump.yaml", DUMP.replace("RESTORE", str(applied.root / "loaded.sql")))
    applied.run("apply", "--only", "db")
    assert "--overwrite allows it" in applied.run("restore", "db").err
    assert applied.run("restore", "db", "--overwrite").code == 0
    assert (applied.root / "loaded.sql").read_text() == "select 1;\n"


def test_a_stream_into_a_folder(applied: Place) -> None:
    applied.write("backup.d/dump.yaml", DUMP)
    applied.run("apply", "--only", "db")
    assert applied.run("restore", "db", "--to", "path:there").code == 0
    assert [file.read_text() for file in (applied.root / "there").glob("db_dump_*.sql")] == ["select 1;\n"]


def test_at_a_time(applied: Place) -> None:
    applied.now = NEXT_DAY
    applied.write("wiki/home.txt", "a day later\n")
    applied.run("apply")
    applied.run("restore", "wiki", "--to", "path:new")
    applied.run("restore", "wiki", "--to", "path:old", "--at", "2026-01-20T23:00:00Z")
    assert (applied.root / "new/home.txt").read_text() == "a day later\n"
    assert (applied.root / "old/home.txt").read_text() == "hello\n"
    ran = applied.run("restore", "wiki", "--to", "path:older", "--at", "2026-01-19T23:00:00Z")
    assert (ran.code, ran.out) == (1, "")
    assert "the oldest is 2026-01-20T031000Z" in ran.err


def test_a_time_as_list_prints_it_means_that_minute(applied: Place) -> None:
    applied.now = "2026-01-21T03:10:44Z"
    applied.write("wiki/home.txt", "a day later\n")
    applied.run("apply")
    for number, text in enumerate(("2026-01-21 03:10Z", "2026-01-21T03:10", "2026-01-21T04:10+01:00")):
        applied.run("restore", "wiki", "--to", f"path:{number}", "--at", text)
        assert (applied.root / f"{number}/home.txt").read_text() == "a day later\n"
    applied.run("restore", "wiki", "--to", "path:before", "--at", "2026-01-21T03:10:00Z")
    assert (applied.root / "before/home.txt").read_text() == "hello\n"


def test_a_destination_that_may_hold_a_newer_copy_is_told(applied: Place) -> None:
    (applied.root / "copies/offsite").rename(applied.root / "unplugged")
    ran = applied.process("restore", "wiki", "--to", "path:new", "--output", "json")
    assert ran.code == 0
    assert ran.err.startswith("warning: offsite cannot be looked at, and may hold a newer copy: ")
    assert ran.json["warnings"] == [ran.err.removeprefix("warning: ").rstrip()]
    assert same(applied.root / "wiki", applied.root / "new")
    ran = applied.process("restore", "wiki", "--to", "path:newer", "--from", "offsite")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: offsite cannot be looked at: ")


def test_the_home_folder(applied: Place) -> None:
    applied.env["HOME"] = str(applied.root / "home")
    assert applied.run("restore", "wiki", "--to", "path:~/new").code == 0
    assert same(applied.root / "wiki", applied.root / "home/new")


def test_from_a_destination(applied: Place) -> None:
    assert applied.run("restore", "wiki", "--to", "path:new", "--from", "offsite").out.endswith(
        "from offsite\n"
    )
    ran = applied.run("restore", "wiki", "--to", "path:new", "--from", "ofsite")
    assert (ran.code, ran.out) == (1, "")
    assert "there is no destination ofsite; there are: local, offsite" in ran.err


def test_a_rotten_copy_is_passed_over(applied: Place) -> None:
    copy = applied.copies("local", "shop_uploads_*")[0]
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    ran = applied.process("restore", "shop/uploads", "--to", "path:new")
    assert ran.code == 0
    assert ran.err.startswith("warning: local: ")
    assert ran.out.endswith("from offsite\n")
    assert same(applied.root / "uploads", applied.root / "new")


def test_nothing_but_rotten_copies_leaves_the_old_data(applied: Place) -> None:
    for place in ("local", "offsite"):
        copy = applied.copies(place, "wiki_*")[0]
        whole = copy.read_bytes()
        copy.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    applied.write("wiki/home.txt", "changed since\n")
    ran = applied.process("restore", "wiki", "--overwrite")
    assert (ran.code, ran.out) == (1, "")
    assert "cannot be restored from any destination; the target is as it was" in ran.err
    assert (applied.root / "wiki/home.txt").read_text() == "changed since\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["wikki"], "did you mean wiki"),
        (["shop"], "shop/config or shop/uploads"),
        (["wiki", "--to", "image:"], "choose another --to"),
        (["wiki", "--to", "container:db"], "choose another --to"),
        (
            ["wiki", "--to", "elsewhere"],
            "is none of path:DIR, volume:NAME, image:, container:NAME or - (stdout)",
        ),
        (["wiki", "--to", "path:/", "--overwrite"], "is a mount point"),
        (["wiki", "--to", "path:~nobody-of-that-name/new"], "a user that does not exist"),
        (["wiki", "--at", "noon"], "'noon' is not a time"),
        (["wiki", "--specs", "nowhere"], "nowhere"),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_be_done(applied: Place, arguments: list[str], says: str) -> None:
    ran = applied.run("restore", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_a_terminal_gets_no_archive(applied: Place) -> None:
    ran = applied.terminal("restore", "wiki", "--to", "-")
    assert ran.code == 1
    assert "the artifact would go to the terminal" in ran.out


def test_json(applied: Place) -> None:
    ran = applied.process("restore", "wiki", "--to", "path:new", "--output", "json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["from"] == "local"
    assert (
        ran.json["manifest"]["key"]
        == applied.copies("local", "wiki_*")[0].relative_to(applied.root / "copies/local").as_posix()
    )


DUMP = """\
apiVersion: reconciler/v1
kind: Backup
metadata: {name: db}
spec:
  schedule: "@daily"
  destinations: [local, offsite]
  targets:
    - {name: db, kind: command, backup: "echo 'select 1;'", restore: "cat > 'RESTORE'", extension: sql}
"""


def test_a_newer_backup_that_is_broken_everywhere_is_not_passed_over_in_silence(applied: Place) -> None:
    applied.now = NEXT_DAY
    assert applied.run("apply").code == 0
    for number, name in enumerate(("local", "offsite")):
        (newest,) = applied.copies(name, "wiki_*2026-01-21*")
        os.truncate(newest, newest.stat().st_size - 1 - number)
    ran = applied.run("restore", "wiki", "--to", "path:there", "--output", "json")
    assert ran.code == 0
    assert ran.json["manifest"]["started"].startswith("2026-01-20")
    assert ran.err.count("is newer and cannot be restored: broken at ") == len(ran.json["warnings"]) == 2
