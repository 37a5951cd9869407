"""The fleet as the containers of the moment make it: on a real Engine."""

from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reconciler.errors import EngineError
from reconciler.model import Backup, Discover, Fleet, Hook, Observation, Quiesce, Target, TargetId
from reconciler.model.fleet import LabelKind
from reconciler.observe import resolve
from reconciler.plan.notes import fleet_notes
from reconciler.plan.view import View
from reconciler.ports import Engine
from reconciler.targets.container import ContainerTarget
from reconciler.targets.path import PathTarget
from reconciler.targets.volume import VolumeTarget
from tests.faults.world import NOW
from tests.lifecycle.yard import Yard
from tests.parts.engine import EngineHost
from tests.parts.process import until
from tests.parts.swarm import UNTIL_TOLD

D = "docker-volume-backup."
PRE = "pre.hook.backup.velero.io/"


def backup(*targets: Target, name: str = "b", discover: Discover | None = None, **fields: Any) -> Backup:
    return Backup(
        name=name, schedule="@daily", targets=targets, destinations=("x",), discover=discover, **fields
    )


def reading(kind: LabelKind, *targets: Target, **fields: Any) -> Backup:
    return backup(*targets, hooks_from_labels=kind, **fields)


def volume(yard: Yard, **fields: Any) -> VolumeTarget:
    return VolumeTarget(**{"name": "shop", "volume": yard.volume, **fields})


def now(yard: Yard, *backups: Backup) -> Fleet:
    return resolve(Fleet(backups=backups), yard.world())


def ids(fleet: Fleet) -> list[str]:
    return [str(target.id) for item in fleet.backups for target in item.targets]


def only(yard: Yard, pairs: tuple[tuple[str, str], ...]) -> list[str]:
    """What is told of this yard and of Backups, without the tag; other tests may use the Engine too."""
    texts = [f"{subject}: {text}".replace(f"-{yard.tag}", "") for subject, text in pairs]
    return [text for text in texts if text.split()[1].strip(":") in ("db", "web", "worker", "cache", "b")]


def another(yard: Yard, name: str, labels: dict[str, str] | None = None) -> str:
    """One more volume of the yard, with the labels of docker compose."""
    compose = {"com.docker.compose.project": yard.tag, "com.docker.compose.volume": name}
    return str(yard.client.volumes.create(f"{name}-{yard.tag}", labels={**compose, **(labels or {})}).name)


# --- when the Engine is asked ------------------------------------------------------------------------------------------


def no_engine() -> Engine:
    raise EngineError("no Docker Engine answers")


def test_the_engine_is_asked_only_when_a_backup_needs_it(yard: Yard) -> None:
    def never() -> Engine:
        raise AssertionError("it is not needed")

    plain = Fleet(
        backups=(
            backup(volume(yard)),
            reading("velero", volume(yard, type="b"), suspend=True),
            backup(volume(yard, type="c"), quiesce=Quiesce(mode="stop"), suspend=True),
        )
    )
    assert resolve(plain, yard.world(never)) is plain


def test_an_engine_that_does_not_answer_is_a_problem_of_what_needs_it(yard: Yard) -> None:
    fleet = Fleet(
        backups=(
            backup(volume(yard)),
            backup(volume(yard, type="quiet"), name="q", quiesce=Quiesce(mode="pause")),
            reading("velero", volume(yard, type="labelled"), name="l"),
            backup(ContainerTarget(name="c", container="c"), name="c"),
        )
    )
    blind = resolve(fleet, yard.world(no_engine))
    assert {str(key): value for key, value in blind.live.problems.items()} == dict.fromkeys(
        ("shop/quiet", "shop/labelled", "c/data"), "no Docker Engine answers"
    )
    assert blind.live.unresolved == ("c",)
    assert blind.live.errors == ()
    old = [TargetId("c", "scratch"), TargetId("gone", "data")]
    assert blind.orphans(old) == [TargetId("gone", "data")]


@pytest.mark.parametrize("suspend", [False, True])
def test_nothing_is_an_orphan_while_discovery_cannot_look(yard: Yard, suspend: bool) -> None:
    fleet = Fleet(backups=(backup(discover=Discover(label="x"), suspend=suspend),))
    blind = resolve(fleet, yard.world(no_engine))
    assert blind.orphans([TargetId("gone", "data")]) == []
    errors = () if suspend else (("backup b", "nothing can be discovered: no Docker Engine answers"),)
    assert blind.live.errors == errors


def test_what_discovery_of_another_node_finds_is_no_orphan_here() -> None:
    far = backup(discover=Discover(label="x"), node="far")
    container = backup(ContainerTarget(name="db", container="db"), name="c", node="far")
    gone = [TargetId("gone", "data"), TargetId("db", "scratch")]
    assert Fleet(backups=(far,)).on("here").orphans(gone) == []
    assert Fleet(backups=(container,)).on("here").orphans(gone) == [TargetId("gone", "data")]


def test_an_engine_that_dies_while_it_is_asked(yard: Yard) -> None:
    class Dying:
        def __getattr__(self, name: str) -> Any:
            if name == "container":
                return lambda _: no_engine()
            return getattr(yard.engine, name)

    yard.create("db")
    fleet = Fleet(backups=(backup(ContainerTarget(name="db", container=yard.name("db"))),))
    blind = resolve(fleet, yard.world(Dying))
    assert list(blind.live.problems.values()) == ["no Docker Engine answers"]


# --- containers as targets ---------------------------------------------------------------------------------------------


def test_a_container_becomes_its_mounts(yard: Yard, tmp_path: Path) -> None:
    bound = tmp_path / "bound"
    bound.mkdir()
    yard.run(
        "db", volumes={yard.volume: {"bind": "/d"}, str(bound): {"bind": "/files"}}, tmpfs={"/scratch": ""}
    )
    fleet = now(yard, backup(ContainerTarget(name="shop", container=yard.name("db"))))
    assert fleet.backups[0].targets == (
        volume(yard, type=f"data-{yard.tag}"),
        PathTarget(name="shop", type="files", path=str(bound)),
        ContainerTarget(name="shop", type="scratch", container=yard.name("db"), mounts=("/scratch",)),
    )
    assert set(fleet.live.containers.values()) == {yard.name("db")}


def test_a_container_that_is_stopped_is_known_by_the_engines_own_folder(yard: Yard, tmp_path: Path) -> None:
    yard.run("db", volumes={str(tmp_path): {"bind": "/files"}}).kill()
    (item,) = now(yard, backup(ContainerTarget(name="shop", container=yard.name("db")))).backups
    assert item.targets == (PathTarget(name="shop", type="files", path=str(tmp_path)),)


def test_a_missing_container_is_one_target_and_its_artifacts_are_no_orphans(yard: Yard) -> None:
    fleet = now(yard, backup(ContainerTarget(name="shop", container=yard.name("dbb"))))
    assert ids(fleet) == ["shop/data"]
    assert fleet.orphans([TargetId("shop", "scratch"), TargetId("shop", "data")]) == []
    target = fleet.backups[0].targets[0]
    assert isinstance(target, ContainerTarget)
    yard.create("db")
    hint = f"container {yard.name('dbb')} does not exist (did you mean {yard.name('db')}?)"
    assert target.probe(yard.world().host).problem.startswith(hint)


def test_a_mount_that_is_missing_is_a_problem_of_the_target(yard: Yard) -> None:
    yard.create("db")
    fleet = now(yard, backup(ContainerTarget(name="shop", container=yard.name("db"), mounts=("x",))))
    assert list(fleet.live.problems) == [TargetId("shop", "data")]
    assert "has no mount x" in fleet.live.problems[TargetId("shop", "data")]
    assert fleet.orphans([TargetId("shop", "scratch")]) == []


def test_two_targets_of_one_identity_are_not_mixed(yard: Yard) -> None:
    """The written one goes on; of two that were found neither does."""
    yard.create("db", volumes={another(yard, "data2"): {"bind": "/d"}})
    container = ContainerTarget(name="shop", type="data", container=yard.name("db"))
    fleet = now(yard, backup(volume(yard)), backup(container, name="c"))
    assert ids(fleet) == ["shop/data"]
    assert fleet.live.problems == {}
    assert [subject for subject, _ in fleet.live.errors] == ["backup c"]
    yard.create("web")
    second = msgspec.structs.replace(container, container=yard.name("web"))
    fleet = now(yard, backup(container, second))
    assert ids(fleet) == ["shop/data"]
    expected = f"volume data2-{yard.tag} of container {yard.name('db')} and volume {yard.volume} of container {yard.name('web')}"
    assert fleet.live.problems[TargetId("shop", "data")].startswith(f"{expected} would both be shop/data")


# --- discovery ---------------------------------------------------------------------------------------------------------


def test_discovery_by_label(yard: Yard) -> None:
    label = {f"backup.{yard.tag}": "yes"}
    alone = another(yard, "alone", {**label, "com.docker.compose.project": ""})
    yard.create("db", labels=label)
    yard.create("web", labels={f"backup.{yard.tag}": "no"})
    plain = {"com.docker.compose.service": "", **label}
    yard.create("worker", labels=plain, volumes={}, tmpfs={"/scratch": ""})
    fleet = now(yard, backup(discover=Discover(label=f"backup.{yard.tag}=yes")))
    assert ids(fleet) == [f"db/data-{yard.tag}", f"worker-{yard.tag}/scratch", f"alone-{yard.tag}/data"]
    assert fleet.backups[0].targets[2] == VolumeTarget(name=f"alone-{yard.tag}", volume=alone)
    found = f"discovered: db/data-{yard.tag}, worker-{yard.tag}/scratch, alone-{yard.tag}/data"
    assert fleet.live.found == (("backup b", found),)
    assert (
        len(ids(now(yard, backup(discover=Discover(label=f"backup.{yard.tag}"))))) == 3
    )  # web shares db's volume


def test_discovery_by_compose_project(yard: Yard) -> None:
    mine, shared, idle = another(yard, "mine"), another(yard, "shared"), another(yard, "idle")
    hex_ = "0f" * 28 + yard.tag
    yard.client.volumes.create(hex_, labels={"com.docker.compose.project": yard.tag})
    yard.create("db", volumes={mine: {"bind": "/m"}, shared: {"bind": "/s"}})
    yard.create("web", volumes={shared: {"bind": "/s"}})
    fleet = now(yard, backup(discover=Discover(compose_project=yard.tag)))
    yard.client.volumes.get(hex_).remove()
    found = {str(target.id): getattr(target, "volume", "") for target in fleet.backups[0].targets}
    assert found == {"db/mine": mine, f"{yard.tag}/shared": shared, f"{yard.tag}/idle": idle}
    assert ("backup b", f"volume {hex_[:12]}… is left out: it has no name of its own") in fleet.live.found


def test_what_the_specs_name_is_not_found_a_second_time(yard: Yard) -> None:
    mine = another(yard, "mine")
    yard.create("db", volumes={mine: {"bind": "/m"}, another(yard, "own"): {"bind": "/o"}})
    discover = backup(name="d", discover=Discover(compose_project=yard.tag))
    written = backup(VolumeTarget(name="written", volume=mine))
    assert ids(now(yard, discover, written)) == ["db/own", "written/data"]
    container = backup(ContainerTarget(name="c", container=yard.name("db"), mounts=("mine",)), name="c")
    assert ids(now(yard, discover, container)) == ["db/own", "c/mine"]
    suspended = msgspec.structs.replace(written, suspend=True)
    assert ids(now(yard, discover, suspended)) == ["db/own", "written/data"]


def test_two_containers_of_one_service_name_are_not_mixed(yard: Yard) -> None:
    label = {f"backup.{yard.tag}": "yes", "com.docker.compose.service": "db"}
    for name in ("db", "cache"):
        yard.create(name, labels=label, volumes={}, tmpfs={"/data": ""})
    fleet = now(yard, backup(discover=Discover(label=f"backup.{yard.tag}")))
    assert ids(fleet) == ["db/data"]
    assert list(fleet.live.problems) == [TargetId("db", "data")]
    assert "name them in targets" in fleet.live.errors[0][1]


def test_nothing_found_is_a_warning(yard: Yard) -> None:
    fleet = now(yard, backup(discover=Discover(label=f"backup.{yard.tag}")))
    (note,) = (
        note for note in fleet_notes(View(fleet, Observation(), {}), NOW) if note.topic == "discovered"
    )
    assert (note.severity, note.subject) == ("warning", "backup b")


# --- labels ------------------------------------------------------------------------------------------------------------


def placed(fleet: Fleet, service: str = "shop") -> list[tuple[str, Hook]]:
    return [
        (item.origin, item.hook)
        for key, hooks in fleet.live.hooks.items()
        if key.service == service
        for item in hooks
    ]


def test_commands_go_to_the_targets_that_a_container_mounts(yard: Yard) -> None:
    for name in ("web", "db"):
        yard.run(name, labels={f"{D}archive-pre": "id"})
    other = volume(yard, type="other", volume=another(yard, "other"))
    fleet = now(yard, reading("docker-volume-backup", volume(yard), other))
    assert list(fleet.live.hooks) == [TargetId("shop", "data")]
    assert [origin for origin, _ in placed(fleet)] == [
        f"container {yard.name('db')}",
        f"container {yard.name('web')}",
    ]
    assert all(item.paired for item in fleet.live.hooks[TargetId("shop", "data")])


def test_a_container_that_does_not_run_is_told(yard: Yard) -> None:
    yard.create("db", labels={f"{D}archive-pre": "id"})
    fleet = now(yard, reading("docker-volume-backup", volume(yard)))
    assert placed(fleet) == []
    told = "container db: it is created, so the commands of its labels do not run"
    assert only(yard, fleet.live.warnings) == [told]


def test_an_error_keeps_back_what_the_container_mounts_and_nothing_else(yard: Yard) -> None:
    yard.run("db", labels={f"{D}archive-pre": "sh -c 'x"})
    other = volume(yard, type="other", volume=another(yard, "other"))
    fleet = now(yard, reading("docker-volume-backup", volume(yard), other))
    told = f"label {D}archive-pre cannot be followed: No closing quotation"
    assert fleet.live.problems == {TargetId("shop", "data"): f"container {yard.name('db')}: {told}"}
    notes = [note for note in fleet_notes(View(fleet, Observation(), {}), NOW) if note.topic == "labels"]
    assert [(note.severity, note.subject, note.message) for note in notes] == [
        ("error", f"container {yard.name('db')}", told)
    ]


def test_labels_of_the_system_that_is_not_read_are_told(yard: Yard) -> None:
    yard.run("db", labels={f"{D}archive-pre": "id"})
    fleet = now(yard, reading("velero", volume(yard)))
    told = f"container db: its labels {D}archive-pre are not read: hooksFromLabels of backup b is velero"
    assert only(yard, fleet.live.warnings) == [told]


def test_velero_names_a_container_by_its_compose_service(yard: Yard) -> None:
    labels = {f"{PRE}command": "id"}
    for asked, meant in (("web", "web"), (yard.name("web"), "web"), ("db", "db")):
        yard.run("web", volumes={})
        yard.run("db", labels={**labels, f"{PRE}container": asked})
        (hook,) = (hook for _, hook in placed(now(yard, reading("velero", volume(yard)))))
        assert hook.exec
        assert hook.exec.container == yard.name(meant)
        for name in ("db", "web"):
            yard.client.containers.get(yard.name(name)).remove(force=True)


def test_what_is_held_is_told_and_what_does_not_run_is_not(yard: Yard) -> None:
    for name in ("web", "db"):
        yard.run(name)
    yard.create("worker")
    yard.run("cache", volumes={}, labels={f"{D}stop-during-backup": "true"})
    quiet = Quiesce(mode="stop", containers=(yard.name("db"), "a-service"))
    data, b = TargetId("shop", "data"), reading("docker-volume-backup", volume(yard))
    holds = now(yard, msgspec.structs.replace(b, quiesce=Quiesce(mode="pause"))).live.holds[data]
    assert holds == tuple(f"pause {yard.name(name)}" for name in ("cache", "db", "web"))
    holds = now(yard, msgspec.structs.replace(b, quiesce=quiet)).live.holds[data]
    assert holds == (f"stop {yard.name('cache')}", f"stop {yard.name('db')}", "stop a-service")
    assert now(yard, b).live.holds[data] == (f"stop {yard.name('cache')}",)
    assert data not in now(yard, reading("velero", volume(yard))).live.holds


@pytest.mark.parametrize(
    ("quiesce", "labels", "lost"),
    [
        (Quiesce(mode="stop"), {}, True),
        (Quiesce(mode="pause"), {}, False),
        (Quiesce(mode="pause"), {f"{D}stop-during-backup": "true"}, False),
        (Quiesce(mode="none"), {}, False),
        (None, {}, False),
        (None, {f"{D}stop-during-backup": "true"}, True),
        (Quiesce(mode="stop", containers=("other",)), {}, False),
    ],
)
def test_a_stop_that_would_empty_what_is_read_is_a_problem(
    yard: Yard, quiesce: Quiesce | None, labels: dict[str, str], lost: bool
) -> None:
    yard.run("db", labels=labels, volumes={}, tmpfs={"/scratch": ""})
    target = ContainerTarget(name="shop", container=yard.name("db"))
    fleet = now(yard, reading("docker-volume-backup", target, quiesce=quiesce))
    assert ("is lost when it is stopped" in fleet.live.problems.get(TargetId("shop", "scratch"), "")) is lost


@pytest.mark.parametrize(
    ("quiesce", "users", "lost"),
    [
        (Quiesce(mode="stop"), ("db",), True),
        (Quiesce(mode="stop"), ("db", "web"), True),
        (Quiesce(mode="pause"), ("db",), False),
        (Quiesce(mode="stop"), (), False),
        (None, ("db",), False),
    ],
)
def test_a_volume_in_memory_is_not_emptied_by_a_stop(
    yard: Yard, quiesce: Quiesce | None, users: tuple[str, ...], lost: bool
) -> None:
    memory = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    made = yard.client.volumes.create(yard.name("ram"), driver_opts=memory)
    containers = [yard.run(name, volumes={made.name: {"bind": "/d"}}) for name in users]
    target = VolumeTarget(name="shop", volume=str(made.name))
    fleet = now(yard, reading("docker-volume-backup", target, quiesce=quiesce))
    assert ("is lost when" in fleet.live.problems.get(TargetId("shop", "data"), "")) is lost
    keeper = yard.run("keeper", volumes={made.name: {"bind": "/d", "mode": "ro"}})
    assert not now(yard, reading("docker-volume-backup", target, quiesce=quiesce)).live.problems
    for container in (*containers, keeper):
        container.remove(force=True)
    made.remove()


@pytest.mark.parametrize("also_container", [False, True])
def test_the_label_of_a_swarm_service_stops_its_containers(
    swarm_host: EngineHost, also_container: bool, tmp_path: Path
) -> None:
    stop = {f"{D}stop-during-backup": "true"}
    with closing(Yard(swarm_host, tmp_path)) as yard:
        name, mounted = f"labelled-{yard.tag}", f"service-{yard.tag}"
        made = yard.client.services.create(  # type: ignore[no-untyped-call]
            swarm_host.image,
            ["sh", "-c", UNTIL_TOLD],
            name=name,
            mounts=[f"{mounted}:/data:rw"],
            labels=stop,
            container_labels=stop if also_container else {},
        )
        until(lambda: any(item.service == name for item in yard.engine.containers()), "a task", 60)
        fleet = now(yard, reading("docker-volume-backup", volume(yard, volume=mounted)))
        made.remove()
        target = TargetId("shop", "data")
        assert [item.container.partition(".")[0] for item in fleet.live.stops[target]] == [name]
        assert ("both it and its Swarm service" in fleet.live.problems.get(target, "")) is also_container
