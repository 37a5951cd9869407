"""A home server: a folder of specs in git, one destination on disk, containers on a private Engine, and the real program."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container

from tests.parts.engine import IMAGE, EngineHost
from tests.trees import Snapshot, snapshot

PROGRAM = str(Path(sys.executable).parent / "reconciler")
MEASURE = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(child.pid, 0)
print(used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small program between: what a process used counts from its fork on, and the one that runs the tests is large."""
DESTINATION = """\
apiVersion: reconciler/v1
kind: Destination
metadata: {name: local}
spec: {url: "file://../copies", media: hdd}
"""


class Site:
    """Every name of a container or volume made here ends with ``tag``, and is removed with the site."""

    def __init__(self, root: Path, engine: EngineHost, client: docker.DockerClient) -> None:
        self.root = root
        self.engine = engine
        self.client = client
        self.tag = uuid.uuid4().hex[:8]
        self.image = IMAGE
        self.env: dict[str, str] = {}
        (root / "backup.d").mkdir(parents=True)
        (root / "copies").mkdir()
        self.write("backup.d/destination.yaml", DESTINATION)

    def write(self, name: str, text: str) -> Path:
        """One file below the root."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def backup(self, spec: str, name: str = "main") -> None:
        """Commit a Backup to ``local``, daily; ``spec`` is the rest of it, in YAML and unindented. ``TAG`` stands for the tag."""
        body = "".join(f"  {line}\n" for line in spec.replace("TAG", self.tag).splitlines())
        head = f"apiVersion: reconciler/v1\nkind: Backup\nmetadata: {{name: {name}}}\nspec:\n"
        self.write(f"backup.d/{name}.yaml", f'{head}  schedule: "@daily"\n  destinations: [local]\n{body}')

    def run(self, *arguments: str, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run the program as a user does; with ``check`` an exit code other than 0 fails the test."""
        done = subprocess.run(
            [PROGRAM, *arguments],
            cwd=self.root,
            env={**os.environ, **self.environment(), **self.env},
            capture_output=True,
            text=True,
            input=stdin,
            check=False,
            timeout=100,
        )
        assert not (check and done.returncode), (
            f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def memory(self, *arguments: str) -> int:
        """Run the program to a good end; the most memory that its process used, in MiB."""
        env = {**os.environ, **self.environment(), **self.env}
        starts = [sys.executable, "-S", "-c", MEASURE, PROGRAM, *arguments]
        done = subprocess.run(starts, cwd=self.root, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (arguments, done.stderr)
        return int(done.stdout) >> 10

    def environment(self) -> dict[str, str]:
        """The Engine, and nothing of this user's state."""
        return {
            "DOCKER_HOST": self.engine.url,
            "RECONCILER_STATE_DIR": str(self.root / "state"),
            "RECONCILER_NODE": "site",
        }

    def apply(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Back up what is due."""
        return self.run("apply", *arguments, check=check)

    def copies(self, pattern: str = "*") -> list[Path]:
        """Artifacts at the destination, oldest first; manifests left out."""
        found = (self.root / "copies").glob(f"*/{pattern}")
        artifacts = (path for path in found if path.suffix != ".json" and "_" in path.name)
        return sorted(artifacts, key=lambda path: path.name)

    def volume(self, name: str, labels: dict[str, str] | None = None) -> Path:
        """A new volume ``name-TAG``; its folder on this machine."""
        made = self.client.volumes.create(f"{name}-{self.tag}", labels=labels or {})
        return Path(made.attrs["Mountpoint"])

    def container(self, name: str, command: str = "exec sleep 600", **options: Any) -> Container:
        """A running container ``name-TAG`` of busybox; volumes as ``{"name": "/place"}``, without the tag."""
        volumes = {f"{key}-{self.tag}": {"bind": place} for key, place in options.pop("volumes", {}).items()}
        return self.client.containers.run(
            options.pop("image", self.image),
            options.pop("argv", ["sh", "-c", f"trap 'exit 0' TERM; {command} & wait"]),
            name=f"{name}-{self.tag}",
            detach=True,
            network_mode="none",
            volumes=volumes,
            **options,
        )

    def folder(self, volume: str) -> Path:
        """The folder of a volume, by its name without the tag."""
        found = self.client.volumes.get(f"{volume}-{self.tag}")
        return Path(found.attrs["Mountpoint"])

    def tree(self, volume: str) -> Snapshot:
        """What is in a volume, to compare."""
        return snapshot(self.folder(volume))

    def close(self) -> None:
        """Remove everything that carries the tag."""
        for container in self.client.containers.list(all=True, ignore_removed=True):
            if self.tag in str(container.name):
                container.remove(force=True, v=True)
        for volume in self.client.volumes.list():
            if self.tag in str(volume.name):
                volume.remove(force=True)


@contextmanager
def opened(root: Path, engine: EngineHost) -> Iterator[Site]:
    """A site that is gone at the end of the block."""
    client = engine.client()
    site = Site(root, engine, client)
    try:
        yield site
    finally:
        site.close()
        client.close()
