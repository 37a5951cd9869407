"""D. Cycle: backup to stdout, restore from stdin. The rows without a database of its own; see the files beside it for those."""

from tests.systems.site import Site

DUMP = "targets: [{name: app, kind: command, container: box-TAG, backup: 'cat /d/rows', restore: 'cat > /d/rows'}]\n"


def test_row_d2_the_status_shows_stderr_and_without_one_the_end_of_stdout(site: Site) -> None:
    folder = site.volume("data")
    (folder / "rows").write_text("one\n")
    site.container("box", volumes={"data": "/d"}, environment={"DB_PASSWORD": "hunter2secret"})
    site.backup(DUMP)
    site.apply()
    for script, said in (
        ("echo broken by $DB_PASSWORD >&2; exit 4", "broken by"),
        ("echo all is on stdout; exit 4", "all is on stdout"),
    ):
        site.backup(DUMP.replace("cat /d/rows", script, 1))
        failed = site.apply("--now", check=False)
        assert failed.returncode == 1
        assert said in failed.stderr
        assert "hunter2" not in failed.stderr + failed.stdout
        told = site.run("status", "--output", "json", check=False).stdout
        assert said in told
        assert "hunter2" not in told
    site.backup(DUMP)
    (folder / "rows").write_text("lost\n")
    site.run("restore", "app", "--overwrite")
    assert (folder / "rows").read_text() == "one\n"


def test_row_d3_list_restore_into_another_instance_and_delete(site: Site) -> None:
    (site.volume("data") / "rows").write_text("one\n")
    other = site.volume("other")
    site.container("box", volumes={"data": "/d"})
    site.container("second", volumes={"other": "/d"})
    site.backup(DUMP)
    for day in ("2026-01-20", "2026-01-21"):
        site.env["RECONCILER_NOW"] = f"{day}T12:00:00Z"
        site.apply()
    assert site.run("list", "--only", "app").stdout.count("2026-01-2") >= 2
    site.run("restore", "app", "--to", f"container:second-{site.tag}", "--overwrite")
    assert (other / "rows").read_text() == "one\n"
    site.run("delete", "app", "--before", "2026-01-21T00:00:00Z", "--yes")
    (left,) = site.copies()
    assert "2026-01-21" in left.name


def test_row_d4_backups_of_what_is_gone_go_only_when_the_policy_says_so(site: Site) -> None:
    (site.volume("data") / "rows").write_text("one\n")
    kept = site.volume("kept")
    (kept / "x").write_text("x")
    site.container("box", volumes={"data": "/d"})
    site.backup(DUMP.rstrip("]\n") + ", {name: kept, kind: volume, volume: kept-TAG}]\n")
    site.env["RECONCILER_NOW"] = "2026-01-20T12:00:00Z"
    site.apply()
    site.backup("targets: [{name: kept, kind: volume, volume: kept-TAG}]\n")
    site.env["RECONCILER_NOW"] = "2026-02-20T12:00:00Z"
    site.apply()
    assert len(site.copies("app_*")) == 1
    policy = "apiVersion: reconciler/v1\nkind: Policy\nmetadata: {name: fleet}\nspec: {orphans: {deleteAfter: 20d}}\n"
    site.write("backup.d/policy.yaml", policy)
    assert "- prune" in site.apply().stdout
    assert site.copies("app_*") == []
    before = site.tree("kept")
    site.run("restore", "kept", "--overwrite")
    assert site.tree("kept") == before


def test_row_d5_what_is_removed_behind_its_back_is_seen_and_healed(site: Site) -> None:
    (site.volume("data") / "rows").write_text("one\n")
    site.container("box", volumes={"data": "/d"})
    site.write(
        "backup.d/second.yaml",
        "apiVersion: reconciler/v1\nkind: Destination\nmetadata: {name: second}\nspec: {url: 'file://../second'}\n",
    )
    site.backup(DUMP)
    specs = site.root / "backup.d/main.yaml"
    specs.write_text(specs.read_text().replace("[local]", "[local, second]"))
    site.apply()
    (copy,) = site.copies()
    whole = copy.read_bytes()
    copy.unlink()
    assert "~ replicate" in site.run("plan", check=False).stdout
    site.apply()
    assert copy.read_bytes() == whole
    copy.write_bytes(whole[:-3])
    site.apply()
    assert copy.read_bytes() == whole
    (site.folder("data") / "rows").write_text("lost\n")
    site.run("restore", "app", "--overwrite")
    assert (site.folder("data") / "rows").read_text() == "one\n"
