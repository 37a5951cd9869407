"""Labels of docker-volume-backup and of Velero: every key, and every way in which one cannot be followed."""

import json

import msgspec
import pytest

from reconciler.model import ExecHook, Hook
from reconciler.observe.labels import Labelled, offen, strangers, velero
from reconciler.ports import Container

D = "docker-volume-backup."
PRE, POST, RESTORE = (
    "pre.hook.backup.velero.io/",
    "post.hook.backup.velero.io/",
    "post.hook.restore.velero.io/",
)
SIBLINGS = {"db": "db", "shop-web-1": "shop-web-1", "web": "shop-web-1"}


def container(labels: dict[str, str]) -> Container:
    return Container(id="1", name="db", state="running", labels=labels)


def of_offen(labels: dict[str, str], service: dict[str, str] | None = None) -> Labelled:
    return offen(
        container({D + key: value for key, value in labels.items()}),
        {D + key: value for key, value in (service or {}).items()},
    )


def of_velero(labels: dict[str, str]) -> Labelled:
    return velero(container(labels), SIBLINGS)


def hook(phase: str, *command: str, where: str = "db", **options: object) -> Hook:
    user = options.pop("user", None)
    run = {"container": where, "command": list(command), **({"user": user} if user else {})}
    return msgspec.convert({"phase": phase, "exec": run, **options}, Hook)


@pytest.mark.parametrize("step", ["archive", "process", "copy", "prune"])
@pytest.mark.parametrize("when", ["pre", "post"])
def test_offen_every_phase(step: str, when: str) -> None:
    found = of_offen({f"{step}-{when}": "/bin/sh -c 'a \"b  c\" > /d'"})
    assert found.hooks == (hook(f"{step}-{when}", "/bin/sh", "-c", 'a "b  c" > /d'),)
    assert (found.hooks[0].seconds, found.hooks[0].fails) == (300, True)
    assert found.errors == ()


def test_offen_runs_them_in_the_order_of_phases() -> None:
    found = of_offen({"copy-pre": "c", "archive-post": "b", "archive-pre": "a"})
    assert [item.phase for item in found.hooks] == ["archive-pre", "archive-post", "copy-pre"]


def test_offen_user() -> None:
    found = of_offen({"archive-pre": "id", "archive-pre.user": "1000:1000", "archive-post": "id"})
    users = [item.exec.user for item in found.hooks if isinstance(item.exec, ExecHook)]
    assert users == ["1000:1000", None]


@pytest.mark.parametrize(
    ("labels", "tie", "stop", "restart"),
    [
        ({"exec-label": "database"}, "database", "", False),
        ({"stop-during-backup": "true"}, "", "true", True),
        ({"stop-during-backup": "nightly"}, "", "nightly", True),
        ({"stop-during-backup": "false"}, "", "", True),
        ({"stop-during-backup": ""}, "", "", True),
        ({"stop-during-backup-no-restart": "true"}, "", "true", False),
        ({"stop-during-backup-no-restart": "no"}, "", "", False),
    ],
)
def test_offen_ties_and_stops(labels: dict[str, str], tie: str, stop: str, restart: bool) -> None:
    assert of_offen(labels) == Labelled(tie=tie, stop=stop, restart=restart)


def test_offen_stops_of_a_swarm_service_count_and_its_commands_do_not() -> None:
    found = of_offen({}, {"stop-during-backup": "true", "archive-pre": "true"})
    assert found == Labelled(stop="true")


@pytest.mark.parametrize(
    ("labels", "service", "error"),
    [
        ({"archive-pre": "sh -c 'echo"}, {}, "archive-pre cannot be followed: No closing quotation"),
        ({"archive-pre": "  "}, {}, "archive-pre cannot be followed: it is empty"),
        (
            {"archive-pre": "id", "archive-pre.user": "a b"},
            {},
            'archive-pre.user cannot be followed: "a b" is no name of a user',
        ),
        (
            {"archive-post.user": "root"},
            {},
            "archive-post.user is there without docker-volume-backup.archive-post",
        ),
        ({"archiv-pre": "id"}, {}, f"archiv-pre is not known (did you mean {D}archive-pre?)"),
        ({"stop-during-bakup": "true"}, {}, f"(did you mean {D}stop-during-backup?)"),
        ({"exec-pre": "id"}, {}, f"exec-pre is not known: it is called {D}archive-pre now"),
        ({"zzzzz": "1"}, {}, "zzzzz is not known; known are archive-pre, "),
        (
            {"stop-during-backup": "true", "stop-during-backup-no-restart": "true"},
            {},
            "contradict each other",
        ),
        ({"stop-during-backup": "true"}, {"stop-during-backup": "true"}, "both it and its Swarm service"),
    ],
)
def test_offen_errors(labels: dict[str, str], service: dict[str, str], error: str) -> None:
    (told,) = of_offen(labels, service).errors
    assert error in told


def test_offen_tells_every_error_and_keeps_the_rest() -> None:
    found = of_offen({"archive-pre": "'", "archive-post": "id", "copy": "x"})
    assert (len(found.hooks), len(found.errors)) == (1, 2)


def test_velero_defaults() -> None:
    command = json.dumps(["/bin/sh", "-c", "PGPASSWORD=$P pg_dump > /scratch/x"])
    found = of_velero({f"{PRE}command": command, f"{POST}command": '["rm", "/scratch/x"]'})
    assert found.hooks == (
        hook("archive-pre", *json.loads(command), timeout="30s", onError="Fail"),
        hook("archive-post", "rm", "/scratch/x", timeout="30s", onError="Fail"),
    )
    assert found.errors == ()


def test_velero_text_that_is_no_list_is_one_word() -> None:
    (found,) = of_velero({f"{PRE}command": "/bin/backup.sh now"}).hooks
    assert found.exec
    assert found.exec.command == ("/bin/backup.sh now",)


def test_velero_every_key_of_a_backup_hook() -> None:
    labels = {"command": '["id"]', "container": "web", "timeout": "3m", "on-error": "Continue"}
    found = of_velero({PRE + key: value for key, value in labels.items()})
    assert found.hooks == (hook("archive-pre", "id", where="shop-web-1", timeout="3m", onError="Continue"),)


def test_velero_every_key_of_a_restore_hook() -> None:
    labels = {
        "command": '["id"]',
        "container": "shop-web-1",
        "exec-timeout": "1m30s",
        "on-error": "Fail",
        "wait-timeout": "10m",
        "wait-for-ready": "true",
    }
    found = of_velero({RESTORE + key: value for key, value in labels.items()})
    wait = {"waitForReady": True, "waitTimeout": "10m"}
    assert found.hooks == (
        hook("restore-post", "id", where="shop-web-1", timeout="1m30s", onError="Fail", **wait),
    )
    (plain,) = of_velero({f"{RESTORE}command": "id"}).hooks
    assert (plain.fails, plain.wait_for_ready, plain.seconds) == (False, False, 30)


def test_velero_the_old_key_without_a_phase() -> None:
    (found,) = of_velero({"hook.backup.velero.io/command": '["id"]'}).hooks
    assert found.phase == "archive-pre"


@pytest.mark.parametrize(
    ("labels", "error"),
    [
        ({f"{POST}timeout": "3m"}, "post.hook.backup.velero.io/command is missing"),
        ({f"{PRE}command": ""}, "pre.hook.backup.velero.io/command is missing"),
        ({f"{PRE}command": '["a"'}, "is no JSON list"),
        ({f"{PRE}command": 100_000 * "["}, "is no JSON list"),
        ({f"{PRE}command": '["a", 1]'}, "is no JSON list of words"),
        ({f"{PRE}command": "[]"}, "is no JSON list of words"),
        ({f"{PRE}command": "id", f"{PRE}timeout": "300"}, '"300" is not a duration such as 30s'),
        ({f"{PRE}command": "id", f"{PRE}timeout": ""}, '"" is not a duration'),
        ({f"{RESTORE}command": "id", f"{RESTORE}exec-timeout": "soon"}, '"soon" is not a duration'),
        ({f"{RESTORE}command": "id", f"{RESTORE}wait-timeout": "5 m"}, '"5 m" is not a duration'),
        (
            {f"{RESTORE}command": "id", f"{RESTORE}wait-for-ready": "yes"},
            "wait-for-ready is 'yes': true or false",
        ),
        ({f"{PRE}command": "id", f"{PRE}on-error": "fail"}, "on-error is 'fail': Fail or Continue"),
        ({f"{PRE}command": "id", f"{PRE}container": "api"}, "there is no container api"),
        ({f"{PRE}comand": "id", f"{PRE}command": "id"}, f"(did you mean {PRE}command?)"),
        ({f"{PRE}command": "id", f"{PRE}exec-timeout": "3m"}, f"(did you mean {PRE}timeout?)"),
        ({"pre.hooks.backup.velero.io/command": "id"}, f"(did you mean {PRE}?)"),
        ({"backup.velero.io/backup-volume": "a"}, "(did you mean backup.velero.io/backup-volumes?)"),
        ({"init.hook.restore.velero.io/command": "id"}, "have no counterpart here"),
        ({"pre.hook.restore.velero.io/command": "id"}, "have no counterpart here"),
        ({f"{PRE}command": "id", "hook.backup.velero.io/command": "id"}, "say the same: remove the former"),
    ],
)
def test_velero_errors(labels: dict[str, str], error: str) -> None:
    (told,) = of_velero(labels).errors
    assert error in told


def test_velero_leaves_other_labels_alone() -> None:
    labels = {"backup.velero.io/backup-volumes": "a", "velero.io/exclude-from-backup": "true", "app": "x"}
    assert of_velero(labels) == Labelled()


def test_labels_of_the_other_system_are_seen() -> None:
    labels = {f"{D}archive-pre": "id", f"{PRE}command": "id", "app": "x"}
    assert strangers(labels, "velero") == (f"{D}archive-pre",)
    assert strangers(labels, "docker-volume-backup") == (f"{PRE}command",)
