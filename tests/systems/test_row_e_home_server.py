"""E. A home server's notes on Docker backups."""

import subprocess

from tests.systems.site import Site


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
