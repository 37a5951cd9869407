"""Containers as targets, discovery and labels, from the specs to a restore that is compared."""

import json
import shutil
import subprocess
from typing import Any

from reconciler.naming import parse
from tests.parts.process import until
from tests.parts.swarm import UNTIL_TOLD
from tests.systems.site import Site
from tests.trees import build_nasty_tree, snapshot

D = "docker-volume-backup"
CONTAINER = "targets: [{name: shop, kind: container, container: db-TAG}]\n"


def filled(site: Site, **options: Any) -> None:
    """A container ``db`` with a volume, a folder of this machine and a tmpfs, each with data."""
    site.volume("data", labels={"com.docker.compose.volume": "db_data", "owner": "shop"})
    build_nasty_tree(site.folder("data"), sparse_size=1 << 20)
    build_nasty_tree(site.root / "files", sparse_size=1 << 20)
    site.client.containers.run(
        site.image,
        ["sh", "-c", f"mkdir /scratch/deep; echo dump > /scratch/deep/dump.sql; touch /ready; {UNTIL_TOLD}"],
        name=f"db-{site.tag}",
        detach=True,
        network_mode="none",
        volumes={
            f"data-{site.tag}": {"bind": "/var/lib/db"},
            str(site.root / "files"): {"bind": "/files"},
            str(site.root / "backup.d"): {"bind": "/etc/app", "mode": "ro"},
        },
        tmpfs={"/scratch": ""},
        **options,
    )
    made = site.client.containers.get(f"db-{site.tag}")
    until(lambda: made.exec_run(["test", "-e", "/ready"]).exit_code == 0, "the container has made its files")


def names(site: Site) -> list[str]:
    """Service and type of every artifact."""
    found = (parse(f"{path.parent.name}/{path.name}") for path in site.copies())
    return sorted({str(artifact.target) for artifact in found if artifact})


def test_every_mount_of_a_container_is_backed_up_and_comes_back(site: Site) -> None:
    filled(site)
    data, files = site.tree("data"), snapshot(site.root / "files")
    site.backup(CONTAINER)
    planned = site.run("plan", check=False).stdout
    assert "/etc/app is left out: it is mounted read-only" in planned
    site.apply()
    assert names(site) == ["shop/db-data", "shop/files", "shop/scratch"]
    db = site.client.containers.get(f"db-{site.tag}")
    db.exec_run(
        ["sh", "-c", "rm -rf /var/lib/db/* /files/*; echo lost > /scratch/deep/dump.sql; touch /scratch/x"]
    )
    for type_ in ("db-data", "files", "scratch"):
        site.run("restore", f"shop/{type_}", "--overwrite")
    assert site.tree("data") == data
    assert snapshot(site.root / "files") == files
    db.reload()
    assert db.status == "running"
    scratch = db.exec_run(["sh", "-c", "cd /scratch; find . | sort; cat deep/dump.sql"])
    assert scratch.output == b".\n./deep\n./deep/dump.sql\ndump\n"


def test_a_container_that_is_gone_is_one_problem_and_its_backups_can_be_restored(site: Site) -> None:
    filled(site)
    data, files = site.tree("data"), snapshot(site.root / "files")
    site.backup(f"{CONTAINER}retention: {{daily: 1}}\n")
    site.env["RECONCILER_NOW"] = "2026-01-20T12:00:00Z"
    site.apply()
    site.client.containers.get(f"db-{site.tag}").remove(force=True)
    site.client.volumes.get(f"data-{site.tag}").remove()
    shutil.rmtree(site.root / "files")
    site.env["RECONCILER_NOW"] = "2026-01-22T12:00:00Z"
    gone = site.apply(check=False)
    assert gone.returncode == 1
    assert f"container db-{site.tag} does not exist" in gone.stderr
    assert "orphan" not in gone.stdout + gone.stderr
    assert names(site) == ["shop/db-data", "shop/files", "shop/scratch"]
    site.run("restore", "shop/db-data")
    site.run("restore", "shop/files")
    assert (site.tree("data"), snapshot(site.root / "files")) == (data, files)
    assert site.client.volumes.get(f"data-{site.tag}").attrs["Labels"]["owner"] == "shop"
    refused = site.run("restore", "shop/scratch", check=False)
    assert refused.returncode == 1
    assert f"container db-{site.tag} does not exist" in refused.stderr
    other = site.container("other", tmpfs={"/scratch": ""})
    site.run("restore", "shop/scratch", "--to", f"container:other-{site.tag}")
    assert other.exec_run(["cat", "/scratch/deep/dump.sql"]).output == b"dump\n"
    site.run("restore", "shop/scratch", "--to", f"path:{site.root}/beside")
    assert (site.root / "beside/deep/dump.sql").read_text() == "dump\n"


def test_the_line_of_the_manifest_restores_a_tmpfs_by_hand(site: Site) -> None:
    filled(site)
    site.backup(f"targets: [{{name: shop, kind: container, container: db-{site.tag}, mounts: [scratch]}}]\n")
    site.apply()
    (copy,) = site.copies()
    line = json.loads(copy.with_name(f"{copy.name}.json").read_text())["restore"]
    db = site.client.containers.get(f"db-{site.tag}")
    db.exec_run(["rm", "-r", "/scratch/deep"])
    subprocess.run(
        ["sh", "-c", line],
        check=True,
        cwd=copy.parent,
        env={"DOCKER_HOST": site.engine.url, "PATH": "/usr/bin:/bin"},
    )
    assert db.exec_run(["cat", "/scratch/deep/dump.sql"]).output == b"dump\n"


def test_what_carries_a_label_is_found_and_comes_back(site: Site) -> None:
    site.volume("plain", labels={"backup": site.tag})
    build_nasty_tree(site.folder("plain"), sparse_size=1 << 20)
    filled(site, labels={"backup": site.tag, "com.docker.compose.service": "db"})
    plain, data = site.tree("plain"), site.tree("data")
    site.backup("discover: {label: backup=TAG}\n")
    planned = site.run("plan", check=False).stdout
    found = f"info: backup main: discovered: db/files, db/scratch, db/db-data, plain-{site.tag}/data"
    assert found in planned
    site.apply()
    assert site.run("plan").stdout.count("create") == 0
    for volume in ("plain", "data"):
        subprocess.run(["sh", "-c", f"rm -rf {site.folder(volume)}/*"], check=True)
    site.run("restore", f"plain-{site.tag}/data", "--overwrite")
    site.run("restore", "db/db-data", "--overwrite")
    assert (site.tree("plain"), site.tree("data")) == (plain, data)


def test_volumes_of_a_compose_project_are_found(site: Site) -> None:
    labels = {"com.docker.compose.project": site.tag, "com.docker.compose.volume": "data"}
    (site.volume("data", labels=labels) / "x").write_text("x")
    site.container(
        "db",
        labels={"com.docker.compose.project": site.tag, "com.docker.compose.service": "db"},
        volumes={"data": "/d"},
    )
    before = site.tree("data")
    site.backup("discover: {composeProject: TAG}\n")
    site.apply()
    assert names(site) == ["db/data"]
    (site.folder("data") / "x").write_text("y")
    site.run("restore", "db", "--overwrite")
    assert site.tree("data") == before


def test_an_engine_that_is_away_is_an_error_of_what_needs_it_alone(site: Site) -> None:
    filled(site)
    site.backup(CONTAINER)
    site.backup("discover: {label: backup=TAG}\n", name="found")
    site.volume("plain", labels={"backup": site.tag})
    site.apply()
    before = site.copies()
    place = site.root / "plain"
    (place / "sub").mkdir(parents=True)
    site.backup("targets: [{name: plain, kind: path, path: ../plain}]\n", name="plain")
    engine = site.engine.url
    site.env["DOCKER_HOST"] = f"unix://{site.root}/nobody.sock"
    failed = site.apply(check=False)
    assert failed.returncode == 1
    assert "shop/data: no Docker Engine answers" in failed.stderr
    assert "backup found: nothing can be discovered: no Docker Engine answers" in failed.stderr
    assert "orphan" not in failed.stdout
    assert set(before) < set(site.copies())
    assert "plain/files" in names(site)
    shutil.rmtree(place)
    site.run("restore", "plain/files")
    assert (place / "sub").is_dir()
    site.env["DOCKER_HOST"] = engine
    site.apply()
    assert "plain/files" in names(site)


def test_the_post_of_a_label_is_owed_once_its_pre_has_run(site: Site) -> None:
    """Theirs unlocks after a copy that failed; here, besides, also where another container's pre failed."""
    (site.volume("data") / "x").write_text("x")
    locks = {
        f"{D}.archive-pre": "touch /tmp/locked",
        f"{D}.archive-post": "rm /tmp/locked",
        f"{D}.copy-post": "touch /tmp/copied",
    }
    first = site.container("a", labels=locks, volumes={"data": "/d"})
    broken = site.container(
        "b",
        labels={f"{D}.archive-pre": "sh -c 'test -e /d/go'", f"{D}.archive-post": "touch /tmp/after"},
        volumes={"data": "/d"},
    )
    site.backup(
        f"hooksFromLabels: docker-volume-backup\ntargets: [{{name: app, kind: volume, volume: data-{site.tag}}}]\n"
    )

    def marks() -> list[str]:
        made = []
        for name, item in {"a": first, "b": broken}.items():
            output = item.exec_run(["ls", "/tmp"]).output
            assert isinstance(output, bytes)
            made += [f"{name}:{mark}" for mark in output.decode().split()]
        return made

    assert site.apply(check=False).returncode == 1
    assert marks() == []
    (site.folder("data") / "go").write_text("")
    for tier in ("daily", "weekly", "monthly", "yearly"):
        (site.root / "copies" / tier).write_text("no folder: nothing can be written there")
    assert site.apply(check=False).returncode == 1
    assert marks() == ["b:after"]
    for tier in ("daily", "weekly", "monthly", "yearly"):
        (site.root / "copies" / tier).unlink()
    site.apply()
    assert marks() == ["a:copied", "b:after"]
    place = site.root / "back"
    site.run("restore", "app", "--to", f"path:{place}")
    assert (place / "x").read_text() == "x"
