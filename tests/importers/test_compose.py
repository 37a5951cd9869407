"""The forms that compose files have: names, mounts, environments, labels, secrets."""

from pathlib import Path

import pytest

from reconciler.errors import SpecError
from reconciler.importers.compose import conf_files, load
from reconciler.importers.project import Mount, Project, Service, slug

VOLUMES = """
services:
  app:
    image: registry.example.com:5000/team/app:1.2@sha256:00
    volumes:
      - data:/data
      - data:/ro:ro
      - ./conf:/conf:ro,z
      - ../up:/up
      - ~/home:/home
      - ${PLACE:-/srv/place}/sub:/sub/
      - /only
      - {type: volume, source: named, target: /named, volume: {nocopy: true}}
      - {type: bind, source: ./long, target: /long}
      - {type: tmpfs, target: /tmp}
      - {type: volume, target: /nameless}
      - undeclared:/undeclared
volumes:
  data:
  named: {name: "${PLACE:-real}-name"}
  outside: {external: true}
  old: {external: {name: old-name}}
  unused: {driver: local}
"""


def loaded(folder: Path, text: str, **environment: str) -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "compose.yaml"
    path.write_text(text)
    return load(path, {"HOME": "/home/me", **environment})


def service(folder: Path, body: str, more: str = "", **environment: str) -> Service:
    """The one service of a file; ``body`` is one line."""
    return loaded(folder, f"services: {{app: {body}}}\n{more}", **environment).services[0]


def test_mounts(tmp_path: Path) -> None:
    project = loaded(tmp_path / "Shop 1", VOLUMES)
    found = [(mount.kind, mount.source, mount.target) for mount in project.services[0].mounts]
    assert found == [
        ("volume", "data", "/data"),
        ("volume", "data", "/ro"),
        ("bind", f"{tmp_path}/Shop 1/conf", "/conf"),
        ("bind", f"{tmp_path}/up", "/up"),
        ("bind", "/home/me/home", "/home"),
        ("bind", "/srv/place/sub", "/sub"),
        ("other", "", "/only"),
        ("volume", "named", "/named"),
        ("bind", f"{tmp_path}/Shop 1/long", "/long"),
        ("other", "", "/tmp"),
        ("other", "", "/nameless"),
        ("volume", "undeclared", "/undeclared"),
    ]
    assert project.services[0].repository == "registry.example.com:5000/team/app"
    assert project.services[0].mounts[2].place == "compose.yaml:8"


def test_names_of_volumes(tmp_path: Path) -> None:
    assert loaded(tmp_path / "Shop 1", VOLUMES).volumes == {
        "data": "shop1_data",
        "named": "real-name",
        "undeclared": "shop1_undeclared",
        "outside": "outside",
        "old": "old-name",
        "unused": "shop1_unused",
    }


@pytest.mark.parametrize(
    ("folder", "top", "environment", "name"),
    [
        ("shop", "", {}, "shop"),
        ("My Shop_2", "", {}, "myshop_2"),
        ("_-shop", "", {}, "shop"),
        ("…", "", {}, "default"),
        ("shop", "name: other", {}, "other"),
        ("shop", "name: ${WHO}-shop", {"WHO": "my"}, "my-shop"),
        ("shop", "name: other", {"COMPOSE_PROJECT_NAME": "mine"}, "mine"),
    ],
)
def test_names_of_projects(
    tmp_path: Path, folder: str, top: str, environment: dict[str, str], name: str
) -> None:
    assert loaded(tmp_path / folder, f"{top}\nservices: {{}}\n", **environment).name == name


def test_container_names(tmp_path: Path) -> None:
    assert service(tmp_path / "shop", "{image: x}").container == "shop-app-1"
    assert service(tmp_path / "shop", "{container_name: mine}").container == "mine"


def test_environments(tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("A=file\nB=file\nC=file\n")
    (tmp_path / ".env").write_text("DOT=from .env\nBOTH=from .env\n")
    settings = service(
        tmp_path,
        "{env_file: [a.env, {path: missing.env, required: false}],"
        " environment: {B: 7, C: , D: $DOT, E: '${BOTH}', F: , G: 'a=b', H: }}",
        BOTH="from outside",
        F="passed on",
    ).settings
    assert {name: setting.value for name, setting in settings.items()} == {
        "A": "file",
        "B": "7",
        "C": "file",
        "D": "from .env",
        "E": "from outside",
        "F": "passed on",
        "G": "a=b",
        "H": "",
    }
    assert (settings["A"].place, settings["D"].variable, settings["F"].variable) == ("a.env:1", "DOT", "F")
    listed = service(tmp_path, "{env_file: a.env, environment: [B=7, 'G=a=b', F]}", F="passed on").settings
    assert [listed[name].value for name in "ABFG"] == ["file", "7", "passed on", "a=b"]


def test_labels(tmp_path: Path) -> None:
    for body in (
        "{labels: {docker-volume-backup.a: 1, other: x}, deploy: {labels: [docker-volume-backup.b=2=2]}}",
        "{labels: [docker-volume-backup.a=1, other], deploy: {labels: {docker-volume-backup.b: '2=2'}}}",
    ):
        labels = service(tmp_path, body).backup_labels
        assert {name: label.value for name, label in labels.items()} == {"a": "1", "b": "2=2"}


def test_secrets(tmp_path: Path) -> None:
    more = "secrets: {a: {file: ./a.txt}, b: {environment: B}, c: {external: true}}"
    body = "{secrets: [a, {source: b, target: bee}, {source: c, target: /abs}]}"
    assert service(tmp_path, body, more).secrets == {
        "/run/secrets/a": {"fromFile": f"{tmp_path}/a.txt"},
        "/run/secrets/bee": {"fromEnv": "B"},
        "/abs": {},
    }


def test_paths_of_a_container_on_this_machine() -> None:
    mounts = (
        Mount("bind", "/srv/all", "/data", ""),
        Mount("bind", "/other", "/data/other", ""),
        Mount("volume", "v", "/volume", ""),
    )
    found = Service(name="app", place="", mounts=mounts)
    paths = ["/data", "/data/a/b", "/data/other/x", "/database", "/volume/x"]
    assert [found.on_host(path) for path in paths] == ["/srv/all", "/srv/all/a/b", "/other/x", "", ""]


def test_configurations_are_read_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/02 b.env").write_text("A=$FROM_SERVICE")
    (tmp_path / "conf/01.env").write_text("A=1")
    found = service(
        tmp_path,
        "{environment: {FROM_SERVICE: x}, volumes: ['./conf:/etc/dockervolumebackup/conf.d']}",
    )
    read = [(name, settings["A"].value) for name, settings in conf_files(found, {})]
    assert read == [("01", "1"), ("02-b", "x")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("db: {image: x}\n", "no “services”: this is no compose file of version 2 or later"),
        ("services: [a]\n", ":1:11: expected keys and values here"),
        ("services: {app: {environment: x}}\n", ":1:31: expected a list here"),
        ("services: {app: {image: [x]}}\n", ":1:25: expected a single value here"),
        ("services: {app: {volumes: {a: b}}}\n", ":1:27: expected a list here"),
        ("services:\n  app: {image: '${X:?}'}\n", ":2:16: the variable X is needed: set it, here or in .env"),
        ("services:\n  app:\n    env_file: a.env\n", ":3:15: the env_file a.env is not there"),
        ("services: {app: {image: \x07}}\n", "the invisible character U+0007: remove it"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError) as error:
        loaded(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path}/compose.yaml:")
    assert message in str(error.value)


def test_a_broken_file_beside_it_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nB=${A\n")
    with pytest.raises(SpecError, match=r"/\.env:2: \$\{ is not closed"):
        loaded(tmp_path, "services: {}\n")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My_Data", "my-data"),
        ("a.b", "a.b"),
        ("__", "data"),
        ("/etc/conf.d/", "etc-conf.d"),
        ("x" * 80, "x" * 50),
        ("ä", "data"),
    ],
)
def test_names_in_specs(text: str, name: str) -> None:
    assert slug(text) == name
