"""Files, folders, relative paths, defaults, positions and speed."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.errors import SpecError
from reconciler.model import Compression, FromEnv, FromFile, Retention
from reconciler.spec import Problem, check, load

LOCAL = """\
apiVersion: reconciler/v1
kind: Destination
metadata: {name: local}
spec: {url: "file://../backups", media: hdd}
"""
BACKUP = """\
apiVersion: reconciler/v1
kind: Backup
metadata: {name: %s}
spec:
  schedule: "0 3 * * *"
  destinations: [local]
  targets: [{name: %s, kind: path, path: ./data}]
"""
QUIET = """\
apiVersion: reconciler/v1
kind: Policy
metadata: {name: fleet}
spec: {rule321: "off"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "backup.d"
    (root / "sub").mkdir(parents=True)
    (root / "local.yaml").write_text(LOCAL)
    (root / "policy.yml").write_text(QUIET)
    (root / "sub" / "app.yaml").write_text(BACKUP % ("app", "app"))
    (root / "README.md").write_text("no spec: {")
    (root / ".hidden.yaml").write_text("no spec: {")
    return root


def _lines(*paths: Path) -> list[str]:
    return [str(problem) for problem in check(paths).problems]


def test_a_folder_is_read_whole_and_relative_paths_start_at_their_file(folder: Path) -> None:
    fleet, warnings = load(folder, commit="0123abcd")
    assert warnings == ()
    assert fleet.commit == "0123abcd"
    assert fleet.destination("local").url == f"file://{folder.parent}/backups"
    (target,) = fleet.backups[0].targets
    assert target.kind == "path"
    assert getattr(target, "path") == f"{folder}/sub/data"  # noqa: B009
    assert fleet.backups[0].where == "backup.d/sub/app.yaml:1"
    assert fleet.policy.rule321 == "off"


def test_places_do_not_depend_on_where_one_stands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absolute, _ = load(folder)
    monkeypatch.chdir(folder.parent)
    relative, _ = load(Path("backup.d"))
    monkeypatch.chdir(folder)
    here, _ = load(Path())
    assert absolute == relative == here


def test_the_order_and_the_repetition_of_paths_do_not_matter(folder: Path) -> None:
    files = [folder / "sub" / "app.yaml", folder / "local.yaml", folder / "policy.yml"]
    one, again = check(files), check([*reversed(files), folder, *files])
    assert one.problems == again.problems == ()
    assert one.files == again.files == 3


def test_nothing_to_read_is_a_problem(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert _lines() == ["backup.d:1:1: no file or folder was given"]
    assert _lines(tmp_path / "empty") == [
        f"{tmp_path}/empty:1:1: no spec files here (*.yaml, *.yml; hidden ones do not count)"
    ]
    assert _lines(folder / "nowhere") == [f"{folder}/nowhere:1:1: no such file or folder"]
    assert _lines(folder, tmp_path / "empty")[0].startswith(f"{tmp_path}/empty:1:1: no spec files here")


def test_links_pipes_and_devices(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(BACKUP % ("b", "b"))
    (folder / "inside.yaml").symlink_to("local.yaml")
    (folder / "outside.yaml").symlink_to(tmp_path / "outside.yaml")
    (folder / "dangling.yaml").symlink_to("nowhere.yaml")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.yaml")
    assert _lines(folder) == [
        f"{folder}/dangling.yaml:1:1: a link that leads nowhere",
        f"{folder}/loop.yaml:1:1: a link that leads nowhere",
        f"{folder}/outside.yaml:1:1: a link that leaves {folder}: put the file there itself",
        f"{folder}/pipe.yaml:1:1: not a file: pipes, devices and sockets are not read",
        f"{folder}/up:1:1: a link that leaves {folder}: put the files there themselves",
    ]
    assert _lines(folder / "pipe.yaml") == [
        f"{folder}/pipe.yaml:1:1: neither a file nor a folder: pipes, devices and sockets are not read"
    ]
    assert _lines(Path("/dev/zero"))[0].startswith("/dev/zero:1:1: neither a file nor a folder")


def test_a_mounted_config_map_is_read_once(tmp_path: Path) -> None:
    data = tmp_path / "backup.d" / "..2026_01_20"
    data.mkdir(parents=True)
    (data / "all.yaml").write_text(f"{LOCAL}---\n{QUIET}---\n{BACKUP % ('a', 'a')}")
    (tmp_path / "backup.d" / "..data").symlink_to("..2026_01_20")
    (tmp_path / "backup.d" / "all.yaml").symlink_to("..data/all.yaml")
    report = check([tmp_path / "backup.d"])
    assert (report.files, report.problems) == (1, ())


def test_file_names_cannot_forge_lines(tmp_path: Path) -> None:
    (tmp_path / "a\nfake.yaml:1:1: all is well.yaml").write_text("[")
    (tmp_path / os.fsdecode(b"\xff.yaml")).write_text("[")
    lines = _lines(tmp_path)
    assert len(lines) == 2
    assert all("\n" not in line and line.encode() for line in lines)


def test_a_file_that_cannot_be_read_makes_no_false_alarms(folder: Path) -> None:
    (folder / "local.yaml").write_text(LOCAL + "broken: [\n")
    assert [line.partition(": ")[0] for line in _lines(folder)] == [f"{folder}/local.yaml:6:1"]
    (folder / "local.yaml").write_text(LOCAL.replace("Destination", "Destnation"))
    assert [line.partition(": ")[0] for line in _lines(folder)] == [f"{folder}/local.yaml:2:7"]


def test_errors_of_all_files_come_at_once_and_sorted(folder: Path) -> None:
    (folder / "local.yaml").write_text(LOCAL.replace("media", "medai"))
    (folder / "sub" / "app.yaml").write_text(BACKUP.replace("0 3 * * *", "0 3 * *") % ("app", "App"))
    places = [line.split(": ")[:2] for line in _lines(folder)]
    assert places == [
        [f"{folder}/local.yaml:4:34", "spec.medai"],
        [f"{folder}/sub/app.yaml:5:13", "spec.schedule"],
        [f"{folder}/sub/app.yaml:7:20", "spec.targets[0].name"],
    ]


def test_load_raises_with_every_line(folder: Path) -> None:
    (folder / "local.yaml").write_text(LOCAL.replace("media", "medai"))
    with pytest.raises(SpecError) as caught:
        load(folder)
    assert caught.value.problems == (
        f'{folder}/local.yaml:4:34: spec.medai: unknown key "medai" (did you mean "media"?)',
    )


def test_defaults_of_the_policy_hold_where_a_backup_is_silent(folder: Path) -> None:
    (folder / "policy.yml").write_text("""\
apiVersion: reconciler/v1
kind: Policy
metadata: {name: fleet}
spec:
  rule321: "off"
  deletions: {maxPerRun: 3}
  defaults:
    schedule: "@daily"
    timezone: Asia/Tokyo
    destinations: [local]
    retention: {weekly: 5}
    compression: gzip
""")
    (folder / "silent.yaml").write_text("""\
apiVersion: reconciler/v1
kind: Backup
metadata: {name: silent}
spec: {targets: [{name: b, kind: path, path: /b}], schedule: "@weekly"}
""")
    (folder / "sub" / "app.yaml").write_text(
        (BACKUP % ("app", "app")) + "  retention: {daily: 2}\n  compression: {level: 9}\n  timezone: UTC\n"
    )
    fleet, _ = load(folder)
    silent, app = sorted(fleet.backups, key=lambda backup: backup.name, reverse=True)
    assert (silent.schedule, silent.timezone, silent.destinations) == ("@weekly", "Asia/Tokyo", ("local",))
    assert silent.retention == Retention(weekly=5)
    assert silent.compression == Compression(codec="gzip")
    assert (app.timezone, app.retention) == ("UTC", Retention(daily=2))
    assert app.compression == Compression(codec="zstd", level=9)
    assert fleet.policy.deletions.max_per_run == 3


def test_options_keep_their_values_and_secrets_stay_references(folder: Path) -> None:
    (folder / "local.yaml").write_text("""\
apiVersion: reconciler/v1
kind: Destination
metadata: {name: local}
spec:
  url: s3://Bucket-1/a/
  options:
    path_style: true
    region: eu-central-1
    ca_file: own-ca.pem
    key: {fromEnv: KEY}
    secret: {fromFile: secret.txt}
""")
    destination = load(folder)[0].destination("local")
    assert destination.url == "s3://Bucket-1/a"
    assert destination.options == {
        "path_style": True,
        "region": "eu-central-1",
        "ca_file": f"{folder}/own-ca.pem",
        "key": FromEnv(from_env="KEY"),
        "secret": FromFile(from_file=f"{folder}/secret.txt"),
    }


def test_a_problem_is_one_line_of_the_known_form() -> None:
    problem = Problem("a.yaml", 3, 7, "spec.url", "it is\nwrong", "warning")
    assert str(problem) == "a.yaml:3:7: warning: spec.url: it is\\nwrong"


def test_two_hundred_files_take_at_most_one_and_a_half_seconds(tmp_path: Path) -> None:
    (tmp_path / "local.yaml").write_text(f"{LOCAL}---\n{QUIET}")
    for number in range(200):
        text = BACKUP.replace("0 3", f"{number % 60} {number % 24}") % (f"b{number}", f"s{number}")
        (tmp_path / f"b{number}.yaml").write_text(text)
    program = (
        "from pathlib import Path; from reconciler.spec import check;"
        f"report = check([Path({str(tmp_path)!r})]); assert report.files == 201 and report.problems == (), report.problems"
    )
    assert _seconds(program) <= 1.5


def _seconds(program: str) -> float:
    """Processor time of a whole Python process, its start included: what it takes on a machine that does nothing else."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
