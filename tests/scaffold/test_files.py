"""The text of every file: it validates, also where what is only proposed is taken."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from reconciler import scaffold, spec
from reconciler.ports import Mount as EngineMount
from reconciler.ports import Volume
from reconciler.scaffold.found import Look, sort_out
from reconciler.scaffold.installed import Source, parsed
from reconciler.scaffold.layout import Layout, files
from reconciler.scaffold.specs import template
from reconciler.scaffold.zone import local_zone
from tests.scaffold.test_found import container, made_by, of_project, volume

REPOSITORY = Path(__file__).parent.parent.parent
PROPOSED = re.compile(
    r"^(\s*)# (?=- |  |[A-Za-z0-9]+: [^ ]+$|[a-z]+: ?[{\[\"]|options:$|offsite: )", re.MULTILINE
)
FLEET = sort_out(
    [
        container(
            "shop-db-1",
            "postgres:16",
            volume("shop_db", "/var/lib/postgresql/data"),
            labels=of_project("shop", "db"),
        ),
        container("shop-web-1", "nginx", volume("shop_up", "/srv"), labels=of_project("shop", "web")),
        container("shop-web-2", "nginx", volume("shop_up", "/srv"), labels=of_project("shop", "web")),
        container("wiki", "mysql:8", volume("wiki", "/var/lib/mysql"), state="exited"),
        container(
            "site",
            "nginx",
            EngineMount("bind", "/etc/site", "", "/srv/site"),
            EngineMount("bind", "/s", "", "/run/x.sock"),
        ),
        container("policy-app-1", "redis:7", volume("cache", "/data"), labels=of_project("policy", "app")),
    ],
    [
        made_by("shop", "shop_db", "db"),
        made_by("shop", "shop_up", "uploads"),
        made_by("policy", "cache", "cache"),
        Volume("wiki", "/v"),
    ],
)
URLS = [
    "file://../copies",
    "file:///mnt/nas",
    "s3://bucket/x",
    "sftp://me@nas.example.com/x",
    "webdav://nas/x",
]


def written(folder: Path, place: Layout, found: Look) -> list[dict[str, Any]]:
    """Write every file; the documents of the specs, all of which validate, here and in an editor."""
    for name, text in files(place, found).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return valid(folder)


def valid(folder: Path) -> list[dict[str, Any]]:
    """The documents, which are free of errors and fit the schema that each file names."""
    problems = spec.check([folder / "backup.d"]).problems
    assert [str(problem) for problem in problems if problem.severity == "error"] == []
    documents = []
    for path in sorted((folder / "backup.d").iterdir()):
        text = path.read_text()
        named = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
        fits = Draft202012Validator(json.loads((path.parent / named).read_text()))
        for document in yaml.safe_load_all(text):
            fits.validate(document)
            documents.append(document)
    return documents


def taken(folder: Path) -> None:
    """Take everything that is only proposed."""
    for path in (folder / "backup.d").iterdir():
        path.write_text(PROPOSED.sub(r"\1", path.read_text()))


@pytest.mark.parametrize(("url", "found"), [(URLS[0], Look()), *((url, FLEET) for url in URLS)])
def test_the_specs_validate_as_proposed_and_with_every_proposal_taken(
    tmp_path: Path, url: str, found: Look
) -> None:
    before = written(tmp_path, Layout(tmp_path, url), found)
    taken(tmp_path)
    after = valid(tmp_path)
    assert targets(after) > targets(before)
    assert any(document["kind"] == "Destination" and document["spec"]["url"] == url for document in after)


def targets(documents: list[dict[str, Any]]) -> int:
    return sum(len(item["spec"].get("targets", ())) for item in documents)


def backups(documents: list[dict[str, Any]]) -> dict[str, list[str]]:
    """`service/type` of the targets, by the names of the Backups."""
    return {
        item["metadata"]["name"]: [f"{each['name']}/{each.get('type')}" for each in item["spec"]["targets"]]
        for item in documents
        if item["kind"] == "Backup"
    }


def test_one_file_for_each_project_and_one_for_the_rest(tmp_path: Path) -> None:
    documents = written(tmp_path, Layout(tmp_path, "file://../copies"), FLEET)
    assert backups(documents) == {
        "shop": ["shop/db-dump", "shop/uploads"],
        "policy-2": ["policy/app-dump", "policy/cache"],
        "others": ["wiki/wiki"],
    }
    assert scaffold.protected(FLEET) == 5
    assert sorted(path.name for path in (tmp_path / "backup.d").iterdir()) == [
        "destinations.yaml",
        "others.yaml",
        "policy-2.yaml",
        "policy.yaml",
        "shop.yaml",
    ]
    shop = (tmp_path / "backup.d/shop.yaml").read_text()
    assert "type: uploads} # of web\n" in shop
    others = (tmp_path / "backup.d/others.yaml").read_text()
    assert "no command can be run there: its container did not run." in others
    assert (
        "# the files of mysql, read while it is stopped\n    - {name: wiki, kind: volume, volume: wiki, "
        in others
    )
    assert "path: /srv/site" in others
    assert "x.sock" not in others


def test_hooks_of_velero_in_labels_are_read(tmp_path: Path) -> None:
    labels = of_project("shop", "db", **{"pre.hook.backup.velero.io/command": "canary"})
    app = container("shop-db-1", "app", volume("data", "/d"), labels=labels)
    documents = written(
        tmp_path, Layout(tmp_path, "file://../copies"), sort_out([app], [Volume("data", "/v")])
    )
    (shop,) = (item for item in documents if item["kind"] == "Backup")
    assert shop["spec"]["hooksFromLabels"] == "velero"
    assert "canary" not in (tmp_path / "backup.d/shop.yaml").read_text()


def test_where_nothing_needs_a_backup_for_sure_there_are_proposals_beside_the_example(tmp_path: Path) -> None:
    found = sort_out([container("web", "nginx", EngineMount("bind", "/d", "", "/srv/web"))], [])
    assert list(backups(written(tmp_path, Layout(tmp_path, "file://../copies"), found))) == ["example"]
    path = tmp_path / "backup.d/others.yaml"
    head, proposal = path.read_text().split("uncomment what does.\n")
    assert "Nothing of it needs a backup for sure" in head
    path.write_text(head.splitlines()[0] + "\n" + re.sub("^# ", "", proposal, flags=re.MULTILINE))
    taken(tmp_path)
    assert backups(valid(tmp_path))["others"] == ["web/nginx-d"]


def test_an_engine_that_holds_nothing_gives_the_example(tmp_path: Path) -> None:
    assert list(backups(written(tmp_path, Layout(tmp_path, "file://../copies"), Look()))) == ["example"]


def test_the_time_zone_of_the_machine_is_the_schedules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    documents = written(tmp_path, Layout(tmp_path, "file:///x", zone=local_zone()), Look())
    (policy,) = (item for item in documents if item["kind"] == "Policy")
    assert policy["spec"]["defaults"]["timezone"] == "Europe/Berlin"


@pytest.mark.parametrize("name", ["UTC", "Etc/UTC", "Nowhere/Land", "/etc/passwd", "CET-1CEST"])
def test_a_time_zone_that_says_nothing_is_left_out(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("TZ", name)
    assert local_zone() == ""


@pytest.mark.parametrize(
    ("origin", "forges"),
    [
        ("", [".github/workflows/backups.yaml", ".gitlab-ci.yml"]),
        ("https://github.com/me/backups.git", [".github/workflows/backups.yaml"]),
        ("git@gitlab.example.com:me/github.git", [".gitlab-ci.yml"]),
        ("ssh://git@forge.example.com/gitlab/x", [".github/workflows/backups.yaml", ".gitlab-ci.yml"]),
    ],
)
def test_the_workflow_of_the_service_that_origin_names(origin: str, forges: list[str]) -> None:
    made = files(Layout(Path("x"), "s3://bucket/x", origin=origin), Look())
    assert [name for name in made if "backups.yaml" in name or "gitlab" in name] == forges
    assert all(f"`{name}`" in made["README.md"] for name in forges)


def test_a_part_of_a_repository_gets_no_ci() -> None:
    made = files(Layout(Path("x"), "s3://bucket/x", inside=True), Look())
    assert sorted(made) == [
        "README.md",
        "backup.d/destinations.yaml",
        "backup.d/example.yaml",
        "backup.d/policy.yaml",
        "schemas/reconciler.json",
    ]
    assert "CI" not in made["README.md"]


@pytest.mark.parametrize("branch", ["main", "trunk", "feature/x", "on", "a*b", "1.0", "- x"])
def test_the_workflow_and_the_hook_install_what_is_installed_here(branch: str) -> None:
    source = Source("https://git.example.org/tools/reconciler", "v1.2.3")
    made = files(Layout(Path("x"), "s3://bucket/x", branch=branch, source=source), Look())
    workflow = yaml.load(made[".github/workflows/backups.yaml"], yaml.BaseLoader)
    assert workflow["on"]["push"]["branches"] == [branch]
    wanted = "reconciler[all] @ git+https://git.example.org/tools/reconciler@v1.2.3"
    assert workflow["env"]["RECONCILER"] == wanted
    assert yaml.safe_load(made[".gitlab-ci.yml"])["variables"]["RECONCILER"] == wanted
    (hooks,) = yaml.safe_load(made[".pre-commit-config.yaml"])["repos"]
    assert hooks == {"repo": source.url, "rev": "v1.2.3", "hooks": [{"id": "reconciler-validate"}]}


RECORD = {
    "url": "https://git.example.org/tools/reconciler",
    "vcs_info": {"vcs": "git", "requested_revision": "v1.2.3", "commit_id": "ab" * 20},
}


@pytest.mark.parametrize(
    ("change", "revision"),
    [
        ({}, "v1.2.3"),
        ({"vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": "ab" * 20}}, "ab" * 20),
        ({"vcs_info": {"vcs": "git", "commit_id": "ab" * 20}}, "ab" * 20),
        ({"url": "https://token@git.example.org/x"}, None),
        ({"url": "ssh://git@git.example.org/x"}, None),
        ({"url": "file:///x", "vcs_info": None}, None),
        ({"vcs_info": {"vcs": "git", "commit_id": "x; rm"}}, None),
    ],
)
def test_where_the_installer_says_it_comes_from(change: dict[str, Any], revision: str | None) -> None:
    found = parsed(json.dumps(RECORD | change))
    assert (found.revision if found else None) == revision
    assert found is None or found.url == RECORD["url"]


@pytest.mark.parametrize("text", ["", "[]", "{", "{}"])
def test_a_record_that_cannot_be_read_says_nothing(text: str) -> None:
    assert parsed(text) is None


@pytest.mark.parametrize(
    ("url", "ignored"),
    [
        ("file://../copies", "/copies/\n"),
        ("file://./copies", "/backup.d/copies/\n"),
        ("file://..", None),
        ("file://../../copies", None),
        ("s3://bucket/copies", None),
    ],
)
def test_copies_in_the_repository_are_ignored(url: str, ignored: str | None, tmp_path: Path) -> None:
    assert files(Layout(tmp_path, url), Look()).get(".gitignore") == ignored


@pytest.mark.parametrize("name", ["github.yaml", "gitlab.yaml"])
def test_the_workflows_are_the_ones_of_the_docs(name: str) -> None:
    assert template(name) == (REPOSITORY / "examples/ci" / name).read_text()
