"""B. Velero, as packaged with Replicated: hooks for backup and restore as annotations, here as container labels."""

import json

from tests.parts.process import until
from tests.systems.site import Site

PRE, POST = "pre.hook.backup.velero.io", "post.hook.backup.velero.io"
RESTORE = "post.hook.restore.velero.io"
HEAD = "hooksFromLabels: velero\n"
VOLUME = "targets: [{name: app, kind: volume, volume: data-TAG}]\n"


def restored(site: Site, name: str = "app/data") -> dict[str, str]:
    """The files of the newest artifact, restored beside."""
    place = site.root / "back"
    site.run("restore", name, "--to", f"path:{place}", "--overwrite")
    return {path.name: path.read_text() for path in sorted(place.iterdir()) if path.is_file()}


def test_row_b1_a_command_as_json_before_and_after(site: Site) -> None:
    folder = site.volume("data")
    labels = {
        f"{PRE}/command": json.dumps(["/bin/sh", "-c", "PGPASSWORD=$PW echo dump of $DB > /d/backup.sql"]),
        f"{PRE}/timeout": "3m",
        f"{POST}/command": '["/bin/sh", "-c", "rm /d/backup.sql"]',
    }
    site.container("db", labels=labels, volumes={"data": "/d"}, environment={"PW": "x", "DB": "shop"})
    site.backup(HEAD + VOLUME)
    site.apply()
    assert list(folder.iterdir()) == []
    assert restored(site, "app") == {"backup.sql": "dump of shop\n"}


def test_row_b1_on_error_continue_is_a_warning_and_fail_the_default(site: Site) -> None:
    (site.volume("data") / "x").write_text("x")
    labels = {f"{PRE}/command": '["/bin/sh", "-c", "echo broken >&2; exit 5"]'}
    site.container("db", labels=labels, volumes={"data": "/d"})
    site.backup(HEAD + VOLUME)
    failed = site.apply(check=False)
    assert (failed.returncode, site.copies()) == (1, [])
    assert "broken" in failed.stderr
    site.client.containers.get(f"db-{site.tag}").remove(force=True)
    site.container("db", labels={**labels, f"{PRE}/on-error": "Continue"}, volumes={"data": "/d"})
    ran = site.apply()
    assert "broken" in ran.stdout + ran.stderr
    assert restored(site, "app") == {"x": "x"}


def test_row_b1_a_timeout_that_does_not_parse_is_an_error(site: Site) -> None:
    (site.volume("data") / "x").write_text("x")
    labels = {f"{PRE}/command": '["true"]', f"{PRE}/timeout": "3 minutes"}
    db = site.container("db", labels=labels, volumes={"data": "/d"})
    site.backup(HEAD + VOLUME)
    failed = site.apply(check=False)
    assert (failed.returncode, site.copies()) == (1, [])
    assert "3 minutes" in failed.stdout + failed.stderr
    assert str(db.name) in failed.stdout + failed.stderr
    db.remove(force=True)
    site.apply()
    assert restored(site, "app") == {"x": "x"}


def test_row_b1_a_timeout_ends_the_process(site: Site) -> None:
    (site.volume("data") / "x").write_text("x")
    labels = {f"{PRE}/command": '["/bin/sh", "-c", "sleep 4321 & sleep 4321"]', f"{PRE}/timeout": "1s"}
    db = site.container("db", labels=labels, volumes={"data": "/d"})
    site.backup(HEAD + VOLUME)
    assert site.apply(check=False).returncode == 1

    def processes() -> str:
        return str(db.top(ps_args="-eo pid,args")["Processes"])

    until(lambda: "4321" not in processes(), "the command and its child are gone", 10)
    db.remove(force=True)
    site.apply()
    assert restored(site, "app") == {"x": "x"}


def test_row_b2_backup_volumes_selects_the_mounts_a_tmpfs_scratch_included(site: Site) -> None:
    (site.volume("data") / "live").write_text("not this")
    labels = {
        "backup.velero.io/backup-volumes": "scratch",
        f"{PRE}/command": '["/bin/sh", "-c", "echo dump > /scratch/backup.sql"]',
        f"{POST}/command": '["/bin/sh", "-c", "rm /scratch/backup.sql"]',
    }
    site.container("db", labels=labels, volumes={"data": "/d"}, tmpfs={"/scratch": ""})
    site.backup(HEAD + "targets: [{name: app, kind: container, container: db-TAG}]\n")
    site.apply()
    (copy,) = site.copies()
    assert copy.name.startswith("app_scratch_")
    assert restored(site, "app/scratch") == {"backup.sql": "dump\n"}


def test_row_b3_restore_the_database_file_only_if_it_exists_then_delete_it(site: Site) -> None:
    folder = site.volume("data")
    again = "[ -f /d/backup.sql ] && cp /d/backup.sql /d/database && rm /d/backup.sql && sync"
    labels = {
        f"{PRE}/command": '["/bin/sh", "-c", "cp /d/database /d/backup.sql"]',
        f"{POST}/command": '["/bin/sh", "-c", "rm /d/backup.sql"]',
        f"{RESTORE}/command": json.dumps(["/bin/sh", "-c", again]),
        f"{RESTORE}/exec-timeout": "30s",
        f"{RESTORE}/wait-timeout": "1m",
        f"{RESTORE}/wait-for-ready": "true",
    }
    (folder / "database").write_text("rows")
    db = site.container("db", labels=labels, volumes={"data": "/d"})
    site.backup(HEAD + VOLUME)
    site.apply()
    (folder / "database").write_text("damaged")
    site.run("restore", "app", "--overwrite")
    found = {path.name: path.read_text() for path in site.folder("data").iterdir()}
    assert found == {"database": "rows"}
    db.reload()
    assert db.status == "running"


def test_row_b4_the_post_of_a_failed_pre_still_runs_when_marked_always(site: Site) -> None:
    folder = site.volume("data")
    (folder / "x").write_text("x")
    site.container("db", volumes={"data": "/d"})
    site.backup(
        VOLUME
        + "hooks:\n"
        + "  - {phase: archive-pre, exec: {container: db-TAG, command: [touch, /d/locked]}}\n"
        + "  - {phase: archive-pre, exec: {container: db-TAG, command: [test, -e, /d/go]}}\n"
        + "  - {phase: archive-post, exec: {container: db-TAG, command: [rm, /d/locked]}, always: true}\n"
        + "  - {phase: archive-post, exec: {container: db-TAG, command: [touch, /d/never]}}\n"
    )
    assert site.apply(check=False).returncode == 1
    assert [path.name for path in folder.iterdir()] == ["x"]
    (folder / "go").write_text("")
    site.apply()
    assert list(restored(site, "app")) == ["go", "locked", "x"]
    assert sorted(path.name for path in folder.iterdir()) == ["go", "never", "x"]
