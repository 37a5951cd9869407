"""`reconciler init` beside an Engine with a real database: what it proposes is carried out as it stands, and comes back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.types import Mount

from tests.parts.databases import IMAGE, MARIADB, PASSWORD, Database, database
from tests.systems.site import Site

COMPOSE = "com.docker.compose."
KNOWN = "registry.example.com/library/mariadb:init-test"
OTHER = "offen/docker-volume-backup:init-test"
SQL = "create table wares(id integer primary key, name text); insert into wares values(1, 'it''s'), (2, 'ä');"


@pytest.fixture
def shop(site: Site, database_image: str) -> Iterator[Database]:
    """A compose project with MariaDB, under a name by which it is known, and a folder of uploads; a volume of nobody."""
    labels = {f"{COMPOSE}project": f"shop-{site.tag}"}
    files = f"db-{site.tag}"
    site.client.images.get(IMAGE).tag(KNOWN)
    site.client.volumes.create(files, labels={**labels, f"{COMPOSE}volume": "db"})
    for folder in (site.volume("uploads", {**labels, f"{COMPOSE}volume": "uploads"}), site.volume("notes")):
        (folder / "album").mkdir()
        (folder / "album/photo.jpg").write_bytes(bytes(range(256)) * 1000)
    cache = Mount("/cache", None)
    site.container(
        "web", volumes={"uploads": "/srv"}, labels={**labels, f"{COMPOSE}service": "web"}, mounts=[cache]
    )
    site.client.images.get(site.image).tag(OTHER)
    site.container("saver", image=OTHER)
    given = {"image": KNOWN, "labels": {**labels, f"{COMPOSE}service": "db"}}
    with database(MARIADB, site.engine, files, files, **given) as running:
        running.sql(SQL)
        yield running
    site.client.images.remove(KNOWN)
    site.client.containers.get(f"saver-{site.tag}").remove(force=True)
    site.client.images.remove(OTHER)


def test_what_runs_is_backed_up_as_proposed_and_comes_back(site: Site, shop: Database) -> None:
    before = shop.dump(), site.tree("uploads"), site.tree("notes")

    init = site.run("init", "new")
    assert "proposed: " in init.stdout
    assert (
        f"docker-volume-backup runs here (saver-{site.tag}): reconciler import compose makes specs of"
        in init.stderr
    )
    assert "1 volume without a name cannot be named" in init.stderr
    site.root = site.root / "new"
    specs = written(site.root / "backup.d")
    assert {"destinations.yaml", "policy.yaml", "others.yaml", f"shop-{site.tag}.yaml"} <= specs.keys()
    assert PASSWORD not in "".join(specs.values())
    site.run("validate")
    targets = [f"shop-{site.tag}/db-dump", f"shop-{site.tag}/uploads", f"notes-{site.tag}/data"]
    planned = site.run("plan", check=False)
    assert planned.returncode == 2
    assert [target for target in targets if f"+ create    {target} " not in planned.stdout] == []
    only = [word for target in targets for word in ("--only", target)]  # of an Engine that others use as well
    site.apply(*only)
    assert "Nothing to do" in site.apply(*only).stdout

    shop.sql("drop table wares;")
    for folder in (site.folder("uploads"), site.folder("notes")):
        (folder / "album/photo.jpg").unlink()
    for target in targets:
        site.run("restore", target, "--overwrite")
    assert (shop.dump(), site.tree("uploads"), site.tree("notes")) == before


def written(folder: Path) -> dict[str, str]:
    """The files of the specs."""
    return {path.name: path.read_text() for path in folder.iterdir()}
