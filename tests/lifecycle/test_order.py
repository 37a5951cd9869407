"""The order in which containers start, out of compose's labels."""

import random

import pytest

from reconciler.lifecycle.order import awaited, waves
from reconciler.ports import Container


def container(name: str, needs: str = "", project: str = "shop") -> Container:
    labels = {
        "com.docker.compose.project": project,
        "com.docker.compose.service": name,
        "com.docker.compose.depends_on": needs,
    }
    return Container(id=f"id-{name}", name=name, state="running", labels=labels)


def names(*containers: Container) -> list[str]:
    """Each group in one word."""
    return ["+".join(item.name for item in wave) for wave in waves(containers)]


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({"web": "", "db": ""}, ["db+web"]),
        ({"web": "db:service_started:true", "db": ""}, ["db", "web"]),
        ({"web": "db:service_healthy:false,cache:service_started:false"}, ["web"]),
        (
            {
                "web": "db:service_healthy:false,cache:service_started:true",
                "cache": "",
                "db": "disk:x:y",
                "disk": "",
            },
            ["cache+disk", "db", "web"],
        ),
        ({"a": "b", "b": "c", "c": ""}, ["c", "b", "a"]),
        ({"a": "b:service_started:true", "b": "a:service_started:true"}, ["a+b"]),
        ({"a": "b", "b": "a", "c": ""}, ["c", "a+b"]),
        ({"a": "a"}, ["a"]),
        ({"a": ",:, ::", "b": "nobody:service_healthy:true"}, ["a+b"]),
    ],
)
def test_waves(needs: dict[str, str], expected: list[str]) -> None:
    containers = [container(name, text) for name, text in needs.items()]
    random.Random(1).shuffle(containers)
    assert names(*containers) == expected


def test_only_services_of_the_same_project_count() -> None:
    assert names(container("web", "db"), container("db", project="other")) == ["db+web"]


def test_containers_without_labels_are_all_alike() -> None:
    bare = [Container(id=name, name=name, state="running") for name in "ba"]
    assert names(*bare) == ["a+b"]


def test_only_what_must_be_healthy_is_awaited() -> None:
    web = container("web", "db:service_healthy:false,cache:service_started:true,gone:service_healthy:true")
    db, cache = container("db"), container("cache")
    assert awaited(web, [web, db, cache]) == (db,)


def test_a_container_never_starts_before_what_it_needs() -> None:
    choose = random.Random(20260120)
    for _ in range(300):
        count = choose.randint(1, 8)
        graph = {n: [m for m in range(n) if choose.random() < 0.3] for n in range(count)}
        containers = [container(f"s{n}", ",".join(f"s{m}" for m in needs)) for n, needs in graph.items()]
        choose.shuffle(containers)
        place = {item.name: number for number, wave in enumerate(waves(containers)) for item in wave}
        assert len(place) == count
        assert all(place[f"s{m}"] < place[f"s{n}"] for n, needs in graph.items() for m in needs)
