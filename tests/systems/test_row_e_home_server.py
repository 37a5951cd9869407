"""E. A home server's notes on Docker backups."""

import subprocess

from tests.conftest import Parts
from tests.parts.process import until
from tests.parts.prometheus import prometheus
from tests.systems.site import Site
from tests.trees import snapshot


def test_row_e1_volumes_to_a_dated_archive_and_images_by_docker_save(site: Site) -> None:
    folder = site.volume("data")
    (folder / "file").write_text("content")
    site.client.api.import_image_from_data(bytes(1024), f"app-{site.tag}", "v1.2.3")
    before, image = site.tree("data"), site.client.images.get(f"app-{site.tag}:v1.2.3").id
    site.backup(
        "targets:\n"
        "  - {name: app, kind: volume, volume: data-TAG}\n"
        "  - {name: app, kind: image, image: 'app-TAG:v1.2.3'}\n"
    )
    site.apply()
    assert [path.name[:9] for path in site.copies()] == ["app_data_", "app_v1.2."]
    site.client.volumes.get(f"data-{site.tag}").remove()
    site.client.images.remove(f"app-{site.tag}:v1.2.3")
    site.run("restore", "app/data")
    site.run("restore", "app/v1.2.3")
    assert site.tree("data") == before
    assert site.client.images.get(f"app-{site.tag}:v1.2.3").id == image
    site.client.images.remove(f"app-{site.tag}:v1.2.3")


def test_row_e2_the_rule_of_three_two_one_warns_and_can_be_required(site: Site) -> None:
    site.volume("data")
    site.backup("targets: [{name: app, kind: volume, volume: data-TAG}]")
    assert "3-2-1" in site.run("validate").stderr + site.run("validate").stdout
    site.write(
        "backup.d/policy.yaml",
        "apiVersion: reconciler/v1\nkind: Policy\nmetadata: {name: fleet}\nspec: {rule321: require}\n",
    )
    assert site.run("validate", check=False).returncode == 1


def test_row_e3_names_and_folders(site: Site) -> None:
    (site.volume("data") / "x").write_text("x")
    site.backup("targets: [{name: app, kind: volume, volume: data-TAG}]")
    site.apply()
    (copy,) = site.copies()
    assert copy.parent.name in ("daily", "weekly", "monthly")
    service, type_, _time, tier = copy.name.partition(".")[0].split("_")
    assert (service, type_, tier) == ("app", "data", copy.parent.name)
    by_hand = site.root / "by-hand"
    by_hand.mkdir()
    subprocess.run(f"zstd -d -c < {copy} | tar -x -C {by_hand}", shell=True, check=True)
    assert (by_hand / "x").read_text() == "x"


def test_row_e4_from_by_hand_to_cron_it_is_one_command(site: Site) -> None:
    (site.volume("data") / "x").write_text("x")
    site.backup("targets: [{name: app, kind: volume, volume: data-TAG}]")
    before = site.tree("data")
    assert "+ create" in site.run("plan", check=False).stdout
    assert "1 done" in site.apply().stdout.splitlines()[-2] + site.apply("--now").stdout
    assert "Nothing to do" in site.apply().stdout
    site.run("restore", "app", "--overwrite")
    assert site.tree("data") == before


def test_row_e5_the_defaults_and_a_message_when_a_backup_fails(site: Site) -> None:
    folder = site.volume("data")
    (folder / "x").write_text("x")
    told = site.root / "told"
    site.backup(
        "targets: [{name: app, kind: volume, volume: data-TAG}]\n"
        "hooks:\n"
        f"  - {{phase: failure, script: 'echo \"$RECONCILER_SERVICE: $RECONCILER_ERROR\" >> {told}'}}\n"
        "  - {phase: archive-pre, script: 'test ! -e broken'}\n"
    )
    site.apply()
    assert not told.exists()
    site.write("backup.d/broken", "")
    failed = site.apply("--now", check=False)
    assert failed.returncode == 1
    assert told.read_text().startswith("app: archive-pre hook of backup main failed")
    before = site.tree("data")
    site.run("restore", "app", "--overwrite")
    assert site.tree("data") == before


def test_row_e6_the_application_makes_its_own_snapshot(site: Site, parts: Parts) -> None:
    data = site.root / "prometheus"
    with prometheus(data) as server:
        parts.used.append(server.version)
        until(lambda: server.series() >= 3, "Prometheus has scraped itself")
        site.backup(
            "targets:\n"
            "  - name: prometheus\n"
            "    kind: path\n"
            "    path: ../prometheus/snapshots\n"
            "    hooks:\n"
            "      - phase: archive-pre\n"
            f"        http: {{method: POST, url: '{server.url}/api/v1/admin/tsdb/snapshot', expect: [200]}}\n"
            "        timeout: 3m\n"
        )
        data.joinpath("snapshots").mkdir()
        held = server.series()
        site.apply()
    site.run("restore", "prometheus", "--to", f"path:{site.root}/back")
    (snapshot_folder,) = (site.root / "back").iterdir()
    assert snapshot(snapshot_folder) == snapshot(data / "snapshots" / snapshot_folder.name)
    with prometheus(snapshot_folder, scraping=False) as again:
        assert again.series() >= held


def test_row_e6_stop_while_the_application_writes(site: Site) -> None:
    folder = site.volume("data")
    writer = site.container(
        "writer",
        "while true; do echo line >> /d/a; echo line >> /d/b; done",
        volumes={"data": "/d"},
    )
    until((folder / "b").exists, "the application writes")
    writer.reload()
    site.backup("quiesce: stop\ntargets: [{name: app, kind: volume, volume: data-TAG}]")
    site.apply()
    after = site.client.containers.get(f"writer-{site.tag}")
    assert after.status == "running"
    assert after.attrs["State"]["StartedAt"] > writer.attrs["State"]["StartedAt"]
    site.run("restore", "app", "--to", f"path:{site.root}/back")
    one, two = ((site.root / "back" / name).read_text().count("line\n") for name in "ab")
    assert one - two in (0, 1)  # stopped between two writes at most, never while it was read


def test_row_e7_a_restore_that_fails_leaves_the_old_data(site: Site) -> None:
    folder = site.volume("data")
    (folder / "x").write_text("old" * 10_000)
    site.backup("targets: [{name: app, kind: volume, volume: data-TAG}]")
    site.apply()
    (copy,) = site.copies()
    whole = copy.read_bytes()
    (folder / "x").write_text("new")
    before = site.tree("data")
    copy.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert site.run("restore", "app", "--overwrite", check=False).returncode == 1
    assert site.tree("data") == before
    copy.write_bytes(whole)
    site.run("restore", "app", "--overwrite")
    assert (site.folder("data") / "x").read_text() == "old" * 10_000
    assert sorted(path.name for path in folder.parent.iterdir()) == ["_data"]


def test_row_e8_coverage_says_what_is_unprotected(site: Site) -> None:
    (site.volume("data") / "x").write_text("x")
    site.volume("forgotten")
    site.backup("targets: [{name: app, kind: volume, volume: data-TAG}]")
    found = site.run("coverage", check=False).stdout
    assert f"forgotten-{site.tag}" in found
    site.apply()
    before = site.tree("data")
    site.run("restore", "app", "--overwrite")
    assert site.tree("data") == before
