"""Labels of services: what is left to the labels themselves, and what the specs must say beside them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.importers import Imported, imported

PREFIX = "docker-volume-backup."


def take(folder: Path, labels: dict[str, str], environment: dict[str, str], **more: Any) -> Imported:
    services = {
        "app": {
            "image": "app",
            "labels": {f"{PREFIX}{name}": value for name, value in labels.items()},
            **more,
        },
        "backup": {
            "image": "offen/docker-volume-backup:v2",
            "environment": environment,
            "volumes": ["data:/backup/data", "/srv:/archive", "/var/run/docker.sock:/var/run/docker.sock"],
        },
    }
    folder.joinpath("compose.yaml").write_text(yaml.safe_dump({"name": "shop", "services": services}))
    return imported(folder / "compose.yaml", {})


def spec_of(found: Imported) -> dict[str, Any]:
    """The spec of the Backup."""
    spec: dict[str, Any] = list(yaml.safe_load_all(found.text))[-1]["spec"]
    return spec


@pytest.mark.parametrize(
    ("labels", "environment", "said"),
    [
        ({"stop-during-backup": "true"}, {}, False),
        ({"stop-during-backup": "true", "exec-label": "db"}, {"EXEC_LABEL": "db"}, False),
        ({"stop-during-backup": "true", "exec-label": "db"}, {}, True),
        ({"stop-during-backup": "true"}, {"EXEC_LABEL": "db"}, True),
        ({"stop-during-backup": "one"}, {}, False),
        ({"stop-during-backup": "one"}, {"BACKUP_STOP_DURING_BACKUP_LABEL": "one"}, True),
        ({"stop-during-backup": "one"}, {"BACKUP_STOP_CONTAINER_LABEL": "one"}, True),
        (
            {"stop-during-backup": "one"},
            {"BACKUP_STOP_DURING_BACKUP_LABEL": "one", "EXEC_LABEL": "one"},
            False,
        ),
        ({"stop-during-backup": "true"}, {"BACKUP_STOP_DURING_BACKUP_LABEL": "one"}, False),
        ({"stop-during-backup-no-restart": "true"}, {}, False),
    ],
)
def test_containers_that_theirs_stops_and_labels_alone_do_not(
    tmp_path: Path, labels: dict[str, str], environment: dict[str, str], said: bool
) -> None:
    spec = spec_of(take(tmp_path, labels, environment))
    assert spec["hooksFromLabels"] == "docker-volume-backup"
    assert spec.get("execLabel") == environment.get("EXEC_LABEL")
    assert spec.get("quiesce") == ({"mode": "stop", "containers": ["shop-app-1"]} if said else None)


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("exec-pre", f"call it {PREFIX}archive-pre"),
        ("exec-post", f"call it {PREFIX}archive-post"),
        ("archve-pre", "is no label of docker-volume-backup"),
        ("archive-pre.usr", "is no label of docker-volume-backup"),
    ],
)
def test_labels_that_would_be_errors(tmp_path: Path, label: str, told: str) -> None:
    ((title, (entry,)),) = take(tmp_path, {label: "canary"}, {}).sections
    assert title == "Not carried over"
    assert told in entry
    assert "canary" not in entry


def test_labels_that_are_right_are_not_told(tmp_path: Path) -> None:
    steps = [f"{step}-{when}" for step in ("archive", "process", "copy", "prune") for when in ("pre", "post")]
    labels = {name: "root" for step in steps for name in (step, f"{step}.user")} | {"exec-label": "x"}
    assert take(tmp_path, labels, {}).sections == ()


def test_labels_of_a_swarm_service_are_told(tmp_path: Path) -> None:
    labels = {f"{PREFIX}archive-pre": "dump", f"{PREFIX}stop-during-backup": "true"}
    found = take(tmp_path, {}, {}, deploy={"labels": labels})
    ((_, (entry,)),) = found.sections
    assert "is the Swarm service's alone" in entry


def test_without_labels_none_are_read(tmp_path: Path) -> None:
    found = take(tmp_path, {}, {"EXEC_LABEL": "db"})
    assert "hooksFromLabels" not in spec_of(found)
    assert "no service has commands in labels" in found.text


@pytest.mark.parametrize(
    ("label", "read"),
    [
        ("pre.hook.backup.velero.io/command", True),
        ("hook.backup.velero.io/command", True),
        ("post.hook.restore.velero.io/command", True),
        ("backup.velero.io/backup-volumes", False),
        ("docker-volume-backup.archive-pre", False),
    ],
)
def test_hooks_of_velero_are_read_without_another_backup(tmp_path: Path, label: str, read: bool) -> None:
    services = {"app": {"image": "app", "labels": {label: "data"}, "volumes": ["data:/data"]}}
    text = yaml.safe_dump({"name": "shop", "services": services, "volumes": {"data": {}}})
    tmp_path.joinpath("compose.yaml").write_text(text)
    spec = spec_of(imported(tmp_path / "compose.yaml", {}))
    assert spec.get("hooksFromLabels") == ("velero" if read else None)
