"""What an Engine holds, as projects."""

from typing import Any

import pytest

from reconciler.importers.project import Mount
from reconciler.ports import Container, Volume
from reconciler.ports import Mount as EngineMount
from reconciler.scaffold.found import Look, look, sort_out

COMPOSE = "com.docker.compose."


def volume(name: str, at: str) -> EngineMount:
    return EngineMount("volume", at, name, f"/var/lib/docker/volumes/{name}/_data")


def container(name: str, image: str = "app", *mounts: EngineMount, **more: Any) -> Container:
    volumes = tuple(mount.name for mount in mounts if mount.type == "volume")
    given = {"state": "running", "labels": {}, **more}
    return Container(name, name, volumes=volumes, mounts=mounts, image=image, **given)


def of_project(project: str, service: str, **more: str) -> dict[str, str]:
    return {f"{COMPOSE}project": project, f"{COMPOSE}service": service, **more}


def made_by(project: str, name: str, key: str) -> Volume:
    return Volume(name, f"/v/{name}", labels={f"{COMPOSE}project": project, f"{COMPOSE}volume": key})


def names(found: Look) -> tuple[list[str], list[str]]:
    return [item.name for item in found.projects], [item.name for item in found.others]


def test_a_project_has_its_services_and_volumes_by_their_keys() -> None:
    db = container(
        "shop-db-1",
        "postgres:16",
        volume("shop_data", "/var/lib/postgresql/data"),
        EngineMount("bind", "/etc/db.conf", "", "/srv/db.conf"),
        EngineMount("tmpfs", "/tmp"),
        labels=of_project("shop", "db"),
        variables=("POSTGRES_USER",),
    )
    (project,) = sort_out([db], [made_by("shop", "shop_data", "data")]).projects
    assert (project.name, project.volumes) == ("shop", {"data": "shop_data"})
    (service,) = project.services
    assert (service.name, service.container, service.repository) == ("db", "shop-db-1", "postgres")
    assert service.mounts == (
        Mount("volume", "data", "/var/lib/postgresql/data", ""),
        Mount("bind", "/srv/db.conf", "/etc/db.conf", ""),
        Mount("other", "", "/tmp", ""),
    )
    assert (list(service.settings), service.closed) == (["POSTGRES_USER"], "")


def test_no_value_is_kept() -> None:
    item = container("db", labels={"token": "canary"}, variables=("PASSWORD",))
    assert "canary" not in repr(sort_out([item], []))


def test_what_belongs_to_no_project_is_named_after_itself() -> None:
    lone = container("paperless", "ghcr.io/paperless/paperless-ngx:2", volume("papers", "/data"))
    found = sort_out([lone], [Volume("papers", "/v"), Volume("nobodys", "/v")])
    assert names(found) == ([], ["nobodys", "paperless"])
    assert [item.volumes for item in found.others] == [{"data": "nobodys"}, {"papers": "papers"}]
    assert found.others[1].services[0].name == "paperless-ngx"


def test_a_volume_goes_to_the_project_that_made_it_then_to_one_that_uses_it() -> None:
    reader = container("reader", "app", volume("a_data", "/a"), volume("b_data", "/b"))
    user = container("b-app-1", "app", volume("b_data", "/b"), labels=of_project("b", "app"))
    found = sort_out([reader, user], [made_by("a", "a_data", "data"), Volume("b_data", "/v")])
    assert {item.name: item.volumes for item in (*found.projects, *found.others)} == {
        "a": {"data": "a_data"},
        "b": {"b_data": "b_data"},
        "reader": {},
    }


def test_names_that_come_out_as_one_get_numbers() -> None:
    found = sort_out(
        [container("My_App"), container("my-app")], [Volume("my.app", "/v"), Volume("my app", "/v")]
    )
    assert names(found) == ([], ["my-app", "my-app-2", "my-app-3", "my.app"])


@pytest.mark.parametrize(
    ("state", "closed"),
    [("running", False), ("paused", False), ("exited", True), ("created", True)],
)
def test_no_command_runs_where_nothing_runs(state: str, closed: bool) -> None:
    ((service,),) = (item.services for item in sort_out([container("db", state=state)], []).others)
    assert bool(service.closed) == closed


def test_the_tasks_of_a_swarm_service_are_one_whose_container_changes_its_name() -> None:
    labels = {"com.docker.swarm.service.name": "shop_db", "com.docker.stack.namespace": "shop"}
    tasks = [container(f"shop_db.{number}.x", "postgres", labels=labels) for number in (1, 2)]
    (project,) = sort_out(tasks, []).projects
    assert (project.name, [service.name for service in project.services]) == ("shop", ["db"])
    assert "Swarm" in project.services[0].closed


def test_what_compose_ran_once_is_left_out() -> None:
    once = container("shop-app-run-1", labels=of_project("shop", "app", **{f"{COMPOSE}oneoff": "True"}))
    assert sort_out([once], []) == Look()


def test_volumes_without_a_name_are_counted() -> None:
    made_up = "0123456789abcdef" * 4
    found = sort_out([container("a", "app", volume(made_up, "/d"))], [Volume(made_up, "/v")])
    assert found.nameless == 1
    assert [item.volumes for item in found.others] == [{}]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({}, "saver"),
        (of_project("shop", "backup", **{f"{COMPOSE}project.config_files": "/s/c.yaml"}), "/s/c.yaml"),
    ],
)
def test_docker_volume_backup_is_no_service_but_a_file_to_import(labels: dict[str, str], said: str) -> None:
    saver = container("saver", "offen/docker-volume-backup:v2", volume("data", "/backup/data"), labels=labels)
    found = sort_out([saver, container("app", "app", volume("data", "/d"))], [Volume("data", "/v")])
    assert found.importable == (said,)
    assert names(found) == ([], ["app"])


class Holding:
    """An Engine with two containers, of which one vanishes while it is looked at."""

    def containers(self) -> tuple[Container, ...]:
        return (container("old", state="exited"), container("new"))

    def container(self, name: str) -> Container | None:
        return container("new", variables=("MORE",)) if name == "new" else None

    def volumes(self) -> tuple[Volume, ...]:
        return ()


def test_what_an_inspection_says_counts_where_there_is_one() -> None:
    engine: Any = Holding()
    assert {item.name: list(item.services[0].settings) for item in look(engine).others} == {
        "new": ["MORE"],
        "old": [],
    }
