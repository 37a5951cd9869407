from collections.abc import Iterator

import pytest

from tests.cli.place import Place
from tests.cli.test_json import documented, fields
from tests.parts.engine import EngineHost

VOLUMES = """\
apiVersion: reconciler/v1
kind: Backup
metadata: {name: volumes}
spec:
  schedule: "@daily"
  destinations: [local, offsite]
  targets:
    - {name: seen, kind: volume, volume: coverage_seen}
"""


@pytest.fixture
def engine_place(place: Place, engine_host: EngineHost) -> Iterator[Place]:
    """Two volumes, one of them protected."""
    place.env["DOCKER_HOST"] = engine_host.url
    place.write("backup.d/volumes.yaml", VOLUMES)
    client = engine_host.client()
    volumes = [client.volumes.create(name) for name in ("coverage_seen", "coverage_unseen")]
    container = client.containers.create(
        engine_host.image, volumes=["coverage_unseen:/data"], name="coverage-user"
    )
    yield place
    container.remove(force=True)
    for volume in volumes:
        volume.remove(force=True)
    client.close()


def test_what_no_spec_protects(engine_place: Place, engine_host: EngineHost) -> None:
    ran = engine_place.process("coverage")
    assert (ran.code, ran.err) == (2, "")
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["volume", "coverage_unseen", "coverage-user", "-"] in rows
    assert ["image", engine_host.image] in [row[:2] for row in rows]
    assert not any("coverage_seen" in row for row in rows)


def test_json(engine_place: Place) -> None:
    ran = engine_place.run("coverage", "--output", "json")
    assert ran.code == 2
    assert set(fields(ran.json)) == set(documented("coverage"))
    items = {item["name"]: item for item in ran.json["items"]}
    assert items["coverage_seen"]["by"] == "seen/data"
    assert items["coverage_unseen"]["usedBy"] == ["coverage-user"]
    assert ran.json["unprotected"] == sum(not item["covered"] for item in ran.json["items"])


def test_a_volume_is_backed_up_and_restored(engine_place: Place, engine_host: EngineHost) -> None:
    client = engine_host.client()
    write = ["sh", "-c", "echo precious > /data/file"]
    client.containers.run(
        engine_host.image, write, volumes=["coverage_seen:/data"], remove=True, network_mode="none"
    )
    assert engine_place.run("apply", "--only", "seen").code == 0
    assert engine_place.run("restore", "seen", "--to", "path:new").code == 0
    assert (engine_place.root / "new/file").read_text() == "precious\n"
    ran = engine_place.run("restore", "seen", "--to", "volume:coverage_unseen")
    assert (ran.code, ran.err) == (0, "")
    read = ["cat", "/data/file"]
    shown = client.containers.run(
        engine_host.image, read, volumes=["coverage_unseen:/data"], remove=True, network_mode="none"
    )
    assert shown == b"precious\n"
    client.close()


def test_no_engine(place: Place) -> None:
    place.env["DOCKER_HOST"] = f"unix://{place.root}/nothing.sock"
    ran = place.process("coverage")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: no Docker Engine answers at unix://")
    assert ran.err.count("\n") == 1
