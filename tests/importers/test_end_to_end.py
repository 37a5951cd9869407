"""Imported specs do their job: real containers, backups made of them, restores compared."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.parts.databases import REDIS, Database, mariadb, postgres, redis
from tests.parts.engine import EngineHost
from tests.parts.process import until
from tests.systems.site import Site, opened
from tests.trees import snapshot


@pytest.fixture
def site(tmp_path: Path, engine_host: EngineHost) -> Iterator[Site]:
    """An Engine, and a folder whose backup.d is still empty."""
    with opened(tmp_path, engine_host) as site:
        (tmp_path / "backup.d/destination.yaml").unlink()
        yield site


def import_into(site: Site, compose: dict[str, object]) -> str:
    """Import a compose file into backup.d; what was said about it."""
    site.write("shop/compose.yaml", yaml.safe_dump(compose))
    return site.run("import", "compose", "shop/compose.yaml", "--output", "backup.d").stderr


def test_a_volume_and_a_folder_that_docker_volume_backup_looked_after(site: Site) -> None:
    data = site.volume("data")
    (data / "album").mkdir()
    (data / "album/photo.jpg").write_bytes(bytes(range(256)) * 1000)
    config = site.write("shop/config/app.ini", "[app]\n").parent
    (site.root / "disk").mkdir()
    told = import_into(
        site,
        {
            "services": {
                "app": {"image": "app", "volumes": ["data:/data"]},
                "backup": {
                    "image": "offen/docker-volume-backup:v2",
                    "environment": {"BACKUP_RETENTION_DAYS": 7, "BACKUP_EXCLUDE_REGEXP": r"\.tmp$$"},
                    "volumes": [
                        "data:/backup/data:ro",
                        "./config:/backup/config:ro",
                        "../disk/copies:/archive",
                    ],
                },
            },
            "volumes": {"data": {"name": f"data-{site.tag}"}},
        },
    )
    assert told == ""
    (data / "scratch.tmp").write_text("left out")
    before, folder = snapshot(data), snapshot(config)
    del before[b"scratch.tmp"]

    site.apply()

    assert sorted(path.name[:12] for path in site.root.glob("disk/copies/*ly/shop_*.zst")) == [
        "shop_config_",
        "shop_data_20",
    ]
    (data / "album/photo.jpg").write_text("overwritten")
    (config / "app.ini").unlink()
    for target in ("shop/data", "shop/config"):
        site.run("restore", target, "--overwrite")
    assert site.tree("data") == before
    assert snapshot(config) == folder
    assert "Nothing to do" in site.apply().stdout


def test_labels_of_the_compose_file_do_what_they_did(site: Site) -> None:
    """One container dumps before the copy, another one is stopped during it; neither is changed."""
    dumps, uploads = site.volume("dumps"), site.volume("uploads")
    (uploads / "photo").write_bytes(bytes(1000))
    prefix = "docker-volume-backup"
    labels = {
        "db": {
            f"{prefix}.archive-pre": "/bin/sh -c 'echo dumped > /d/dump.sql'",
            f"{prefix}.exec-label": "shop",
        },
        "web": {f"{prefix}.stop-during-backup": "true"},
    }
    site.container("db", labels=labels["db"], volumes={"dumps": "/d"})
    web = site.container("web", labels=labels["web"], volumes={"uploads": "/u"})
    services = {
        name: {"image": "app", "container_name": f"{name}-{site.tag}", "labels": labels[name]}
        for name in labels
    }
    services["backup"] = {
        "image": "offen/docker-volume-backup:v2",
        "environment": {"EXEC_LABEL": "shop"},
        "volumes": [
            "dumps:/backup/dumps:ro",
            "uploads:/backup/uploads:ro",
            "../copies:/archive",
            "/var/run/docker.sock:/var/run/docker.sock:ro",
        ],
    }
    volumes = {name: {"name": f"{name}-{site.tag}"} for name in ("dumps", "uploads")}
    assert import_into(site, {"services": services, "volumes": volumes}) == ""
    web.reload()
    started, before = web.attrs["State"]["StartedAt"], site.tree("uploads")

    site.apply()

    web.reload()
    assert web.status == "running"
    assert web.attrs["State"]["StartedAt"] > started
    (dumps / "dump.sql").unlink()
    (uploads / "photo").write_text("overwritten")
    site.run("restore", "shop/dumps", "--overwrite")
    site.run("restore", "shop/uploads", "--overwrite")
    assert (site.folder("dumps") / "dump.sql").read_text() == "dumped\n"
    assert site.tree("uploads") == before


def dumped_and_restored(site: Site, service: str, database: Database, statements: str) -> None:
    """Back the database up by the imported specs, destroy what it holds, restore it, and compare dumps."""
    before = database.dump()
    site.apply()
    database.sql(statements)
    assert database.dump() != before
    site.run("restore", f"shop/{service}-dump", "--overwrite")
    assert database.dump() == before


def compose(
    site: Site, service: str, image: str, environment: dict[str, str], data: str
) -> dict[str, object]:
    """A compose file with one database and no backup."""
    return {
        "services": {
            service: {
                "image": image,
                "container_name": f"{service}-{site.tag}",
                "environment": environment,
                "volumes": [f"files:{data}"],
            }
        },
        "volumes": {"files": {"name": f"files-{site.tag}"}},
    }


def without_destination(site: Site) -> None:
    """Point the Destination that people are to choose to a folder of the test."""
    (specs,) = (site.root / "backup.d").glob("*.yaml")
    specs.write_text(specs.read_text().replace("file:///srv/backups/shop", f"file://{site.root}/copies"))


def test_the_proposed_dump_of_postgresql_restores(
    site: Site, engine_host: EngineHost, database_image: str
) -> None:
    environment = {"POSTGRES_USER": "shop", "POSTGRES_DB": "shop"}
    import_into(site, compose(site, "pg", "postgres:16", environment, "/var/lib/postgresql/data"))
    without_destination(site)
    with postgres(engine_host, f"files-{site.tag}", f"pg-{site.tag}") as database:
        database.sql(
            "CREATE TABLE wares (name text); INSERT INTO wares SELECT 'ware ' || n FROM generate_series(1, 1000) n;"
        )
        dumped_and_restored(
            site, "pg", database, "DELETE FROM wares WHERE name LIKE '%7%'; ALTER TABLE wares ADD more int;"
        )


@pytest.mark.parametrize("image", ["mariadb:11", "mysql:8"])
def test_the_proposed_dumps_of_mariadb_and_mysql_restore(
    site: Site, engine_host: EngineHost, database_image: str, image: str
) -> None:
    """The image holds MariaDB under both names of its commands."""
    import_into(site, compose(site, "my", image, {"MYSQL_ROOT_PASSWORD": "secret"}, "/var/lib/mysql"))
    without_destination(site)
    with mariadb(engine_host, f"files-{site.tag}", f"my-{site.tag}") as database:
        database.sql("CREATE TABLE wares (name text); INSERT INTO wares VALUES ('a'), ('it''s'), ('ä');")
        dumped_and_restored(site, "my", database, "DELETE FROM wares; INSERT INTO wares VALUES ('b');")


def test_the_proposed_dump_of_redis_loads(site: Site, engine_host: EngineHost, database_image: str) -> None:
    """It is a file for a new server to start with. The password is in the container's environment."""
    client = "env -u REDISCLI_AUTH redis-cli -p 7001"
    environment = {"REDIS_PASSWORD": "secret", "REDISCLI_AUTH": "secret"}
    import_into(site, compose(site, "cache", "redis:7", {}, "/data"))
    without_destination(site)
    with redis(engine_host, f"files-{site.tag}", f"cache-{site.tag}", environment=environment) as database:
        database.sql(
            "SET greeting hello\nRPUSH wares a b c\n" + "".join(f"SET k{n} {n}\n" for n in range(500))
        )
        site.apply()
        site.run("restore", "shop/cache-dump", "--to", f"path:{site.root}/out")
        (dump,) = (site.root / "out").iterdir()
        database.run("mkdir /tmp/new && cat > /tmp/new/dump.rdb", dump.read_bytes())
        database.run("redis-server --port 7001 --dir /tmp/new --daemonize yes")
        until(lambda: b"PONG" in database.run(f"{client} ping || true"), "the new server answers")
        loaded = database.run(REDIS.dump.replace("redis-cli", client)).decode()
        assert loaded.splitlines() == database.dump().splitlines()
