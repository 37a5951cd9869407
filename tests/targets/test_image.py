"""Images on a real Engine: types from tags, round trips with the same id, and images that change while they are saved."""

import json
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from reconciler.adapters.docker import connect
from reconciler.errors import SourceError
from reconciler.naming import artifact_key, parse
from reconciler.ports import Engine, Host
from reconciler.targets.image import ImageTarget, sink
from tests.parts.engine import EngineHost

DIGEST = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
NAME = "target-image:v1"


@pytest.fixture
def host(engine_host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("DOCKER_HOST", engine_host.url)
    engine = connect()
    yield Host(lambda: engine, Path("/"))
    engine.close()


@pytest.fixture
def api(engine_host: EngineHost) -> Iterator[docker.APIClient]:
    api = docker.APIClient(base_url=engine_host.url, version="auto")
    api.import_image_from_data(bytes(1024), "target-image", "v1", changes=["ENV A=b"])
    yield api
    if api.images("target-image"):
        api.remove_image(NAME, force=True)
    api.close()


def found(host: Host) -> str:
    engine: Engine = host.engine()
    image = engine.image(NAME)
    return image.id if image else ""


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("myapp:v1.2.3", "v1.2.3"),
        ("myapp", "latest"),
        ("registry.example.com:5000/team/myapp", "latest"),
        ("registry.example.com:5000/team/myapp:1_RC", "1-rc"),
        (f"myapp@{DIGEST}", "sha256-0123456789ab"),
        (f"myapp:v1@{DIGEST}", "sha256-0123456789ab"),
        ("myapp:_odd", "odd"),
        ("myapp:" + "x" * 128, "x" * 63),
    ],
)
def test_the_type_is_the_version(image: str, expected: str) -> None:
    from datetime import UTC, datetime

    target = ImageTarget(name="myapp", image=image)
    assert target.id.type == expected
    assert ImageTarget(name="myapp", image=image, type="own").id.type == "own"
    parsed = parse(artifact_key(target, datetime(2026, 1, 20, 3, tzinfo=UTC), "daily", "zstd"))
    assert parsed is not None
    assert parsed.target == target.id
    assert parsed.key.startswith("images/")


def test_a_round_trip_brings_the_same_id_back(host: Host, api: docker.APIClient) -> None:
    target, before = ImageTarget(name="a", image=NAME), found(host)
    assert target.probe(host).fingerprint == before
    source = target.open(host)
    data = b"".join(source.chunks())
    report = source.finish()
    source.close()
    assert report.fingerprint == before
    assert report.facts == {"image": NAME, "id": before}
    api.remove_image(NAME)
    assert found(host) == ""
    loading = sink(host)
    loading.check(False)
    loading.receive([data])
    loading.commit()
    assert found(host) == before


def test_a_missing_image_gets_a_hint(host: Host, api: docker.APIClient) -> None:
    target = ImageTarget(name="a", image="target-image:v2")
    assert target.probe(host).problem.startswith(
        "image target-image:v2 does not exist here (did you mean target-image:v1?)"
    )
    with pytest.raises(SourceError, match="does not exist here"):
        target.open(host)


def test_an_image_that_is_replaced_while_it_is_saved_is_an_error(host: Host, api: docker.APIClient) -> None:
    source = ImageTarget(name="a", image=NAME).open(host)
    for _ in source.chunks():
        pass
    old = found(host)
    made = api.import_image_from_data(bytes(1024), "target-image", "v1", changes=["ENV A=c"])
    assert json.loads(made.splitlines()[-1])["status"] != old
    with pytest.raises(SourceError, match="became another image"):
        source.finish()
    source.close()
    api.remove_image(old)
