"""The image, built and run as examples/compose says, on a private Engine: `make image`, a minute or two.

Not part of `make test`. There is no registry here: the base is made of Debian packages, the wheels come from pip's index.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml
from docker.models.containers import Container

from tests.parts.database_image import apt_sources, cache_folder, locked
from tests.parts.engine import IMAGE, EngineHost
from tests.parts.process import program, until

REPOSITORY = Path(__file__).parent.parent.parent
COMPOSE = yaml.safe_load((REPOSITORY / "examples/compose/compose.yaml").read_text())
CONTEXT = (
    "Containerfile",
    ".dockerignore",
    "reconciler",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "requirements.txt",
)
PACKAGES = (
    *(
        "python3",
        "python3-venv",
        "python3-pip",
        "git",
        "openssh-client",
        "gpg",
        "gpg-agent",
        "ca-certificates",
    ),
    *("coreutils", "dash", "bash", "tar", "sed", "grep", "findutils", "base-passwd", "libc-bin"),
)
USER = 10001
SPECS = """\
apiVersion: reconciler/v1
kind: Destination
metadata: {name: disk}
spec: {url: "file:///srv/copies", media: hdd}
---
apiVersion: reconciler/v1
kind: Backup
metadata: {name: shop}
spec:
  schedule: "@daily"
  destinations: [disk]
  retention: {daily: 7}
  quiesce: stop
  targets:
    - {name: shop, kind: volume, volume: shop}
    - {name: db, kind: command, container: db, backup: cat /d/file, restore: cat >/d/restored, extension: sql}
"""


def base_tar() -> Path:
    """Debian with Python and the PACKAGES of the Containerfile, from the cache or made now."""
    digest = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:16]
    tar = cache_folder() / f"service-base-{digest}.tar"
    with locked(tar.with_suffix(".lock")):
        if not tar.exists():
            new = tar.with_suffix(".new")
            command = [program("mmdebstrap", "mmdebstrap"), "--quiet", "--variant=extract", "--format=tar"]
            subprocess.run(
                [*command, f"--include={','.join(PACKAGES)}", "", str(new), "-"],
                input=apt_sources(),
                text=True,
                check=True,
            )
            new.rename(tar)
    return tar


@pytest.fixture(scope="module")
def image(engine_host: EngineHost, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build it from what a checkout has, with the network of this machine switched off for pip."""
    context = tmp_path_factory.mktemp("context")
    for name in CONTEXT:
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, context / name)
    fetch = [
        "download",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version=3.11",
    ]
    pins = ["--requirement", "requirements.txt", "--dest", "wheels"]
    subprocess.run([sys.executable, "-m", "pip", *fetch, *pins], cwd=context, check=True)
    env = {**os.environ, "DOCKER_HOST": engine_host.url, "DOCKER_BUILDKIT": "0"}
    subprocess.run(["docker", "import", str(base_tar()), "service-base:test"], env=env, check=True)
    given = ["BASE=service-base:test", "PACKAGES=", "PIP_NO_INDEX=1"]
    arguments = [word for one in given for word in ("--build-arg", one)]
    tag = str(COMPOSE["services"]["reconciler"]["image"])
    subprocess.run(
        [
            "docker",
            "build",
            "--quiet",
            "--network=host",
            *arguments,
            "--file=Containerfile",
            "--tag",
            tag,
            ".",
        ],
        cwd=context,
        env=env,
        check=True,
    )
    return tag


class Site:
    """The services of the compose file, each with what it says there, and two containers with data."""

    def __init__(self, engine: EngineHost, client: docker.DockerClient, root: Path) -> None:
        self.engine = engine
        self.client = client
        self.root = root
        self.made: list[Container] = []

    def service(self, name: str, command: list[str] | None = None, **more: Any) -> Container:
        """Run a service of the compose file; ``command`` in place of its own."""
        said = COMPOSE["services"][name]
        real = self.engine.url.removeprefix("unix://")
        mounts = [
            *(volume.replace("/var/run/docker.sock:", f"{real}:", 1) for volume in said["volumes"]),
            f"{self.root}:/srv/git",
        ]
        made = self.client.containers.run(
            said["image"],
            command or said["command"],
            detach=True,
            network_mode="none",
            read_only=said["read_only"],
            cap_drop=said["cap_drop"],
            security_opt=said["security_opt"],
            group_add=[str(os.stat(real).st_gid)] if "group_add" in said else [],
            environment=said.get("environment", {}) | {"RECONCILER_NODE": "site"},
            tmpfs=dict.fromkeys(said.get("tmpfs", ()), ""),
            mem_limit=said.get("mem_limit"),
            volumes=mounts,
            **more,
        )
        self.made.append(made)
        return made

    def data(self, name: str) -> Container:
        """A container ``NAME`` with a volume ``NAME`` that holds a file."""
        volume = self.client.volumes.create(name)
        (Path(volume.attrs["Mountpoint"]) / "file").write_bytes(f"{name}\n".encode() + os.urandom(100_000))
        told = "trap 'exit 0' TERM; sleep infinity & wait"
        made = self.client.containers.run(
            IMAGE, ["sh", "-c", told], name=name, detach=True, network_mode="none", volumes=[f"{name}:/d"]
        )
        self.made.append(made)
        return made

    def folder(self, volume: str) -> Path:
        """Where a volume is on this machine."""
        return Path(self.client.volumes.get(volume).attrs["Mountpoint"])


@pytest.fixture
def site(engine_host: EngineHost, tmp_path: Path) -> Iterator[Site]:
    with closing(engine_host.client()) as client:
        site = Site(engine_host, client, tmp_path)
        yield site
        for container in site.made:
            container.remove(force=True, v=True)


def git(folder: Path, *arguments: str) -> None:
    """Run git."""
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def remote(root: Path) -> None:
    """A bare repository with the specs, which uid 10001 may write to."""
    git(root, "init", "--quiet", "--initial-branch=main", "work")
    (root / "work/backup.d").mkdir()
    (root / "work/backup.d/shop.yaml").write_text(SPECS)
    git(root / "work", "add", ".")
    git(root / "work", "commit", "--quiet", "--message=Specs")
    git(root, "clone", "--quiet", "--bare", "work", "backups.git")
    for path in (root, *root.rglob("*")):
        os.chown(path, USER, USER)
    for above in (root, *root.parents[:3]):
        above.chmod(above.stat().st_mode | 0o055)


def said(container: Container) -> str:
    """Its log."""
    return str(container.logs().decode())


def health(container: Container) -> str:
    """What its check says."""
    container.reload()
    return str(container.attrs["State"]["Health"]["Status"])


def run(container: Container, *command: str) -> tuple[int | None, str]:
    """A command in it: exit code and output."""
    code, output = container.exec_run(list(command))
    assert isinstance(output, bytes)
    return code, output.decode()


def follow(site: Site) -> Container:
    """The service, behind the proxy; it has backed up, and says that it is well."""
    check = site.client.images.get(COMPOSE["services"]["reconciler"]["image"]).attrs["Config"]["Healthcheck"]
    specs = ["run", "--repo=/srv/git/backups.git", "--listen=127.0.0.1:8080"]
    service = site.service("reconciler", specs, healthcheck={"test": check["Test"], "interval": 10**9})
    until(lambda: len(list(site.folder("copies").glob("*/*.json"))) == 2, f"a backup: {said(service)}", 60)
    until(lambda: health(service) == "healthy", f"it is well: {said(service)}", 60)
    status = site.root / "backups.git/refs/heads/backup-status"
    until(status.exists, f"its status is pushed: {said(service)}", 60)
    return service


def test_the_service_of_the_compose_file(image: str, site: Site) -> None:
    """It backs up and restores, healthy, without root, capabilities, or a disk of its own, behind the proxy."""
    assert site.client.images.get(image).attrs["Config"]["User"] == "reconciler"
    shop, _ = site.data("shop"), site.data("db")
    before = {name: (site.folder(name) / "file").read_bytes() for name in ("shop", "db")}
    remote(site.root)
    proxy = site.service("engine-proxy")
    until((site.folder("engine") / "docker.sock").is_socket, "the proxy listens")
    service = follow(site)

    facts = dict(line.split(":\t", 1) for line in run(service, "cat", "/proc/1/status")[1].splitlines())
    assert facts["Uid"].split() == [str(USER)] * 4
    assert {facts[name] for name in ("CapPrm", "CapEff", "CapBnd")} == {"0" * 16}
    assert "Read-only file system" in run(service, "sh", "-c", "echo x >/var/lib/x")[1]

    (site.folder("shop") / "file").unlink()
    (site.folder("db") / "file").write_bytes(b"")
    shop.stop()
    for target in ("shop/data", "db/dump"):
        done = run(
            service, "reconciler", "restore", target, "--overwrite", "--specs", "/srv/git/work/backup.d"
        )
        assert done[0] == 0, done
    assert (site.folder("shop") / "file").read_bytes() == before["shop"]
    assert (site.folder("db") / "restored").read_bytes() == before["db"]

    service.stop(timeout=30)
    service.reload()
    assert service.attrs["State"]["ExitCode"] == 0, said(service)
    assert "refused" not in said(proxy)
