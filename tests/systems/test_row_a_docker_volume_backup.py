"""A. offen/docker-volume-backup: commands during the backup lifecycle."""

from contextlib import closing

from tests.parts.engine import engine_host
from tests.parts.process import until
from tests.systems.site import Site
from tests.trees import snapshot

PREFIX = "docker-volume-backup"
TARGET = "targets: [{name: app, kind: volume, volume: data-TAG}]\n"
STEPS = ("archive-pre", "archive-post", "process-pre", "process-post", "copy-pre", "copy-post")


def restored(site: Site, name: str = "app") -> dict[str, str]:
    """The files of the newest artifact, restored beside."""
    place = site.root / f"back-{name}"
    site.run("restore", name, "--to", f"path:{place}", "--overwrite")
    return {path.name: path.read_text() for path in sorted(place.iterdir()) if path.is_file()}


def test_row_a1_labels_name_commands_for_each_phase(site: Site) -> None:
    folder = site.volume("data")
    labels = {f"{PREFIX}.{step}": f"/bin/sh -c 'echo {step} >> /d/steps'" for step in STEPS}
    site.container("db", labels=labels, volumes={"data": "/d"})
    site.backup(f"hooksFromLabels: docker-volume-backup\n{TARGET}")
    site.apply()
    assert restored(site) == {"steps": "archive-pre\n"}
    assert (folder / "steps").read_text().splitlines() == list(STEPS)


def test_row_a1_prune_labels_run_around_the_deletions(site: Site) -> None:
    (site.volume("data") / "x").write_text("x")
    labels = {f"{PREFIX}.prune-{when}": f"/bin/sh -c 'echo {when} >> /d/prunes'" for when in ("pre", "post")}
    site.container("db", labels=labels, volumes={"data": "/d"})
    site.backup(f"hooksFromLabels: docker-volume-backup\nretention: {{daily: 1}}\n{TARGET}")
    for day in ("2026-01-20", "2026-01-21"):
        site.env["RECONCILER_NOW"] = f"{day}T12:00:00Z"
        site.apply()
    assert (site.folder("data") / "prunes").read_text() == "pre\npost\n"
    assert restored(site)["x"] == "x"


def test_row_a2_the_user_of_a_command(site: Site) -> None:
    folder = site.volume("data")
    folder.chmod(0o777)
    labels = {f"{PREFIX}.archive-pre": "/bin/sh -c 'id -u > /d/who'", f"{PREFIX}.archive-pre.user": "1234"}
    site.container("db", labels=labels, volumes={"data": "/d"})
    site.backup(f"hooksFromLabels: docker-volume-backup\n{TARGET}")
    site.apply()
    assert restored(site) == {"who": "1234\n"}


def test_row_a2_a_user_that_the_container_does_not_have_is_a_clear_error(site: Site) -> None:
    (site.volume("data") / "x").write_text("x")
    labels = {f"{PREFIX}.archive-pre": "true", f"{PREFIX}.archive-pre.user": "nobodyhere"}
    db = site.container("db", labels=labels, volumes={"data": "/d"})
    site.backup(f"hooksFromLabels: docker-volume-backup\n{TARGET}")
    failed = site.apply(check=False)
    assert failed.returncode == 1
    assert "nobodyhere" in failed.stderr
    assert f"db-{site.tag}" in failed.stderr
    assert site.copies() == []
    db.remove(force=True)
    site.apply()
    assert restored(site) == {"x": "x"}


def test_row_a3_exec_label_ties_a_container_to_one_backup(site: Site) -> None:
    site.volume("data")
    site.volume("other")
    for name, label in (("db", "database"), ("cache", "cache")):
        site.container(
            name,
            labels={
                f"{PREFIX}.archive-pre": f"touch /d/{name}",
                f"{PREFIX}.exec-label": label,
            },
            volumes={"data": "/d"},
        )
    site.backup(f"hooksFromLabels: docker-volume-backup\nexecLabel: database\n{TARGET}")
    site.apply()
    assert list(restored(site)) == ["db"]


def test_row_a3_without_one_only_its_own_containers_commands_run(site: Site) -> None:
    site.volume("data")
    site.volume("other")
    pre, label = f"{PREFIX}.archive-pre", f"{PREFIX}.exec-label"
    site.container("mine", labels={pre: "touch /d/mine", label: "some"}, volumes={"data": "/d"})
    site.container("free", labels={pre: "touch /d/free"}, volumes={"data": "/d"})
    foreign = site.container("foreign", labels={pre: "touch /o/foreign", label: "x"}, volumes={"other": "/o"})
    site.backup(f"hooksFromLabels: docker-volume-backup\n{TARGET}")
    ran = site.apply()
    assert list(restored(site)) == ["free", "mine"]
    assert list(site.folder("other").iterdir()) == []
    assert str(foreign.name) in ran.stdout + ran.stderr  # theirs would have run it: said


def test_row_a4_the_order_is_defined_and_each_phase_waits(site: Site) -> None:
    site.volume("data")
    for name in ("c", "a", "b"):
        site.container(
            name,
            labels={f"{PREFIX}.archive-pre": f"/bin/sh -c 'sleep 0.2; echo {name} >> /d/order'"},
            volumes={"data": "/d"},
        )
    site.backup(
        "hooksFromLabels: docker-volume-backup\n"
        "hooks: [{phase: archive-pre, exec: {container: c-TAG, command: /bin/sh -c 'echo spec >> /d/order'}}]\n"
        f"{TARGET}"
    )
    site.apply()
    assert restored(site)["order"].split() == ["spec", "a", "b", "c"]


def test_row_a5_a_command_is_split_as_words_and_no_shell_reads_it(site: Site) -> None:
    site.volume("data")
    labels = {
        f"{PREFIX}.archive-pre": '/bin/sh -c \'printf "%s" "a  b" > /d/dump.sql\'',
        f"{PREFIX}.archive-post": "touch '/d/$HOME > x'",
    }
    site.container("db", labels=labels, volumes={"data": "/d"})
    site.backup(f"hooksFromLabels: docker-volume-backup\n{TARGET}")
    site.apply()
    assert restored(site) == {"dump.sql": "a  b"}
    assert (site.folder("data") / "$HOME > x").exists()


def test_row_a6_stop_during_backup_stops_and_starts_again(site: Site) -> None:
    folder = site.volume("data")
    db = site.container(
        "db",
        "while true; do echo line >> /d/n; done",
        labels={f"{PREFIX}.stop-during-backup": "true"},
        volumes={"data": "/d"},
    )
    until((folder / "n").exists, "it writes")
    db.reload()
    site.backup(f"hooksFromLabels: docker-volume-backup\n{TARGET}")
    site.apply()
    before = db.attrs["State"]["StartedAt"]
    db.reload()
    assert db.status == "running"
    assert db.attrs["State"]["StartedAt"] > before
    assert set(restored(site)["n"].splitlines()) == {"line"}


def test_row_a6_no_restart_leaves_it_stopped(site: Site) -> None:
    (site.volume("data") / "x").write_text("x")
    db = site.container(
        "db", labels={f"{PREFIX}.stop-during-backup-no-restart": "true"}, volumes={"data": "/d"}
    )
    site.backup(f"hooksFromLabels: docker-volume-backup\n{TARGET}")
    site.apply()
    db.reload()
    assert db.status == "exited"
    site.apply("--now")
    db.reload()
    assert db.status == "exited"
    assert restored(site) == {"x": "x"}


def test_row_a7_the_name_of_the_artifact_is_in_the_environment(site: Site) -> None:
    folder = site.volume("data")
    command = "/bin/sh -c 'echo $COMMAND_RUNTIME_ARCHIVE_FILEPATH > /d/name'"
    site.container("db", labels={f"{PREFIX}.copy-post": command}, volumes={"data": "/d"})
    (folder / "x").write_text("x")
    site.backup(f"hooksFromLabels: docker-volume-backup\n{TARGET}")
    site.apply()
    (copy,) = site.copies()
    assert (folder / "name").read_text() == f"{copy.name}\n"
    assert restored(site) == {"x": "x"}


def test_row_a8_each_node_reaches_its_own_containers(site: Site) -> None:
    folder = site.volume("data")
    (folder / "x").write_text("here")
    for node in ("site", "second"):
        site.backup(
            f"node: {node}\nhooksFromLabels: docker-volume-backup\n"
            f"targets: [{{name: app-{node}, kind: volume, volume: data-TAG}}]\n",
            name=node,
        )
    labels = {f"{PREFIX}.archive-pre": "touch /d/dumped"}
    site.container("db", labels=labels, volumes={"data": "/d"})
    site.apply()
    with engine_host() as second, closing(second.client()) as client:
        made = client.volumes.create(f"data-{site.tag}")
        client.containers.run(
            site.image,
            ["sh", "-c", "sleep 600"],
            labels=labels,
            detach=True,
            network_mode="none",
            volumes={made.name: {"bind": "/d"}},
        )
        site.env |= {"DOCKER_HOST": second.url, "RECONCILER_NODE": "second"}
        site.apply()
    assert restored(site, "app-second") == {"dumped": ""}
    site.env |= {"DOCKER_HOST": site.engine.url, "RECONCILER_NODE": "site"}
    assert restored(site, "app-site") == {"dumped": "", "x": "here"}


def test_row_a9_a_failed_phase_aborts_the_later_ones_and_a_failed_copy_skips_prune(site: Site) -> None:
    folder = site.volume("data")
    (folder / "x").write_text("x")
    site.backup(f"hooksFromLabels: docker-volume-backup\nretention: {{daily: 1}}\n{TARGET}")
    site.env["RECONCILER_NOW"] = "2026-01-20T12:00:00Z"
    site.apply()
    labels = {
        f"{PREFIX}.copy-pre": "/bin/sh -c 'echo no room >&2; exit 7'",
        f"{PREFIX}.copy-post": "touch /d/after",
        f"{PREFIX}.prune-pre": "touch /d/pruned",
    }
    db = site.container("db", labels=labels, volumes={"data": "/d"})
    site.env["RECONCILER_NOW"] = "2026-01-21T12:00:00Z"
    failed = site.apply(check=False)
    assert failed.returncode == 1
    assert "no room" in failed.stderr
    assert [path.name for path in folder.iterdir()] == ["x"]
    (copy,) = site.copies()
    assert "2026-01-20" in copy.name
    before = snapshot(folder)
    db.remove(force=True)
    site.run("restore", "app", "--overwrite")
    assert snapshot(site.folder("data")) == before
