"""The wheel, the compose file and the units say what is so. What the image does is for `make image` (image.py)."""

import email
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from reconciler.cli import cli
from tests.parts.process import program
from tests.systems.site import PROGRAM
from tests.test_docs import run_all
from tests.trees import build_nasty_tree, differences, snapshot

REPOSITORY = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
COMPOSE = yaml.safe_load((REPOSITORY / "examples/compose/compose.yaml").read_text())
SERVICES = COMPOSE["services"]
UNITS = sorted((REPOSITORY / "examples/systemd").glob("reconciler*"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from what .dockerignore lets into an image, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in re.findall(r"(?m)^!(.+)$", (REPOSITORY / ".dockerignore").read_text()):
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, folder / name)
        elif (REPOSITORY / name).exists():
            shutil.copy(REPOSITORY / name, folder)
    build = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", "dist", "."]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *build], cwd=folder, check=True)
    (built,) = (folder / "dist").iterdir()
    return zipfile.ZipFile(built)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    files = {
        str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "reconciler").rglob("*") if path.is_file()
    }
    files = {name for name in files if "__pycache__" not in name}
    info = f"reconciler-{PROJECT['version']}.dist-info/"
    assert {name for name in wheel.namelist() if not name.startswith(info)} == files
    assert b"reconciler = reconciler.__main__:main" in wheel.read(f"{info}entry_points.txt")


def test_the_wheel_has_every_extra(wheel: zipfile.ZipFile) -> None:
    about = email.message_from_bytes(wheel.read(f"reconciler-{PROJECT['version']}.dist-info/METADATA"))
    assert set(about.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])
    needs = [Requirement(need) for need in about.get_all("Requires-Dist", [])]
    for extra, packages in PROJECT["optional-dependencies"].items():
        found = {need.name for need in needs if need.marker and need.marker.evaluate({"extra": extra})}
        assert found >= {Requirement(package).name for package in packages}


def test_every_service_is_hardened() -> None:
    for service in SERVICES.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service.keys() & {"privileged", "cap_add", "pid", "ports", "user"}


def test_only_the_proxy_sees_the_socket_and_it_has_no_network() -> None:
    assert [name for name, service in SERVICES.items() if "docker.sock:" in str(service["volumes"])] == [
        "engine-proxy"
    ]
    assert SERVICES["engine-proxy"]["network_mode"] == "none"


@pytest.mark.parametrize("name", SERVICES)
def test_the_commands_of_the_compose_file_are_understood(name: str) -> None:
    first, *rest = SERVICES[name]["command"]
    cli.commands[first].make_context(first, rest)


def test_compose_and_the_pages_name_this_version() -> None:
    assert {service["image"] for service in SERVICES.values()} == {f"reconciler:{PROJECT['version']}"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_units_are_understood(unit: Path, tmp_path: Path) -> None:
    """The real systemd finds nothing wrong with them, once the program is where they say."""
    here = shutil.copy(unit, tmp_path)
    for other in UNITS:
        text = other.read_text().replace("/usr/local/bin/reconciler", sys.executable)
        (tmp_path / other.name).write_text(text)
    verified = subprocess.run(
        [program("systemd-analyze", "systemd"), "verify", "--man=no", here],
        capture_output=True,
        text=True,
        check=False,
    )
    about = [line for line in verified.stderr.splitlines() if "reconciler" in line]
    assert (verified.returncode, about) == (0, []), verified.stderr


@pytest.mark.parametrize(
    "unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name
)
def test_the_commands_of_the_units_are_understood(unit: Path) -> None:
    words = re.search(r"(?m)^ExecStart=\S+ (.*)$", unit.read_text())
    assert words is not None
    first, *rest = words[1].split()
    cli.commands[first].make_context(first, rest)


SPECS = """\
apiVersion: reconciler/v1
kind: Destination
metadata: {name: disk}
spec: {url: "file://../copies", media: hdd}
---
apiVersion: reconciler/v1
kind: Backup
metadata: {name: tree}
spec:
  schedule: "@daily"
  destinations: [disk]
  retention: {daily: 7}
  targets:
    - {name: tree, kind: path, path: ../tree}
"""


@pytest.mark.parametrize(
    "unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name
)
def test_the_capabilities_of_the_units_are_enough(unit: Path, tmp_path: Path) -> None:
    """Owners, modes and attributes of other users' files come back, with the capabilities of the unit and no others."""
    if os.geteuid():
        pytest.skip("only root has capabilities to give up: run the tests as root")
    kept = re.search(r"(?m)^CapabilityBoundingSet=(.*)$", unit.read_text())
    assert kept is not None
    bounding = ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in kept[1].split())])
    few = [
        program("setpriv", "util-linux"),
        "--no-new-privs",
        f"--bounding-set={bounding}",
        f"--inh-caps={bounding}",
    ]
    (tmp_path / "backup.d").mkdir()
    (tmp_path / "backup.d/all.yaml").write_text(SPECS)
    (tmp_path / "tree").mkdir()
    build_nasty_tree(tmp_path / "tree", sparse_size=1 << 20, deep_bytes=500)
    before = snapshot(tmp_path / "tree")
    for command in (["apply"], ["restore", "tree/files", "--to", "path:restored"]):
        done = subprocess.run(
            [*few, PROGRAM, *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (done.stdout, done.stderr)
    assert differences(before, snapshot(tmp_path / "restored")) == []


def test_the_move_to_another_machine(tmp_path: Path) -> None:
    """The page's commands: the new machine restores, and then has nothing to back up again."""
    first, second = run_all(REPOSITORY / "docs/operations.md", tmp_path)
    assert "+ create" in first
    assert "restored notes/files" in second
    assert "+ create" not in second
    assert (tmp_path / "notes/shopping.txt").read_text() == "milk, bread, backups\n"


WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
from reconciler.errors import ReconcilerError
from reconciler.model import Destination
from reconciler.wiring import _open_store
pinned = {"known_hosts": "/dev/null"} if sys.argv[2].startswith("sftp:") else {}
try:
    _open_store(Destination(name="x", url=sys.argv[2], options=pinned), lambda limited: None)
except ReconcilerError as error:
    print(error)
"""
"""Opens a destination at a URL, where a package cannot be imported."""


@pytest.mark.parametrize(
    ("protocol", "package"), [("s3", "s3fs"), ("sftp", "paramiko"), ("webdav", "webdav4")]
)
def test_what_is_missing_is_told_with_its_extra(protocol: str, package: str) -> None:
    """Without the extra, and only where such a destination is used. A process of its own: this one may have imported it."""
    tried = subprocess.run(
        [sys.executable, "-c", WITHOUT, package, f"{protocol}://example.com/folder"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"pip install 'reconciler[{protocol}]'" in tried.stdout, tried
