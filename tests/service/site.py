"""A bare remote, a clone in which people work, and a service that follows the remote."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.cli.place import PROGRAM
from tests.parts.process import until

SPECS = """\
apiVersion: reconciler/v1
kind: Destination
metadata: {{name: disk}}
spec: {{url: "file://{root}/copies", media: hdd}}
---
apiVersion: reconciler/v1
kind: Policy
metadata: {{name: fleet}}
spec: {{rule321: "off"}}
"""
BACKUP = """\
apiVersion: reconciler/v1
kind: Backup
metadata: {{name: {name}}}
spec:
  schedule: "@daily"
  destinations: [disk]
  retention: {{daily: 3}}
  targets:
    - {{name: {name}, {target}}}
"""
NOW = "2026-01-20T03:10:00Z"


class Site:
    """Specs in ``work``, which are pushed to ``remote.git``; data in ``data``; copies in ``copies``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.remote = root / "remote.git"
        self.work = root / "work"
        self.env: dict[str, str] = {"RECONCILER_NOW": NOW}
        for folder in ("data", "copies", "state"):
            (root / folder).mkdir()
        (root / "data" / "file").write_text("content\n")
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.remote), at=root)
        self.git("init", "--quiet", "--initial-branch=main", str(self.work), at=root)
        self.git("remote", "add", "origin", str(self.remote))
        self.write("destinations.yaml", SPECS.format(root=root))

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Run git, in ``work`` by default."""
        who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        ran = subprocess.run(
            ["git", *who, *arguments], cwd=at or self.work, check=True, capture_output=True, text=True
        )
        return ran.stdout.strip()

    def write(self, name: str, text: str) -> None:
        """Write a file of the specs."""
        path = self.work / "backup.d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def backup(self, name: str, target: str = "") -> None:
        """Write a Backup with one target: the folder ``data``, by default."""
        kind = target or f"kind: path, path: {self.root / 'data'}"
        self.write(f"{name}.yaml", BACKUP.format(name=name, target=kind))

    def push(self, *options: str) -> str:
        """Commit everything and push; the commit."""
        self.git("add", ".")
        self.git("commit", "--quiet", "--message=Specs", *options)
        self.git("push", "--quiet", "--force", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def status(self) -> Any:
        """``status.json`` of the remote; nothing when it has none."""
        with suppress(subprocess.CalledProcessError):
            return json.loads(self.git("show", "backup-status:status.json", at=self.remote))
        return {}

    def ready(self) -> tuple[str, str]:
        """Reason and message of the condition Ready, as the remote's status has it."""
        for condition in self.status().get("conditions", ()):
            if condition["type"] == "Ready":
                return condition["reason"], condition["message"]
        return "", ""

    def copies(self, name: str = "") -> list[Path]:
        """The artifacts of a target."""
        found = (self.root / "copies").glob(f"*ly/{name}*")
        return sorted(path for path in found if path.suffix != ".json")

    def lose(self, name: str) -> None:
        """Delete the copies of a target."""
        for path in self.copies(name):
            path.unlink()
            path.with_name(f"{path.name}.json").unlink()

    def command(self, *options: str) -> list[str]:
        """The service, as a command."""
        return [PROGRAM, "run", "--repo", str(self.remote), "--state-dir", str(self.root / "state"), *options]

    def once(self, *options: str) -> subprocess.CompletedProcess[str]:
        """One tick."""
        ran = subprocess.run(
            self.command("--once", *options),
            cwd=self.root,
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in ran.stderr, ran.stderr
        return ran

    @contextmanager
    def running(self, *options: str) -> Iterator["Running"]:
        """The service, which looks every second, until the block ends; it ends as asked."""
        log = self.root / "log"
        with log.open("w") as output:
            child = subprocess.Popen(
                self.command("--interval", "1s", *options),
                cwd=self.root,
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        running = Running(child, log)
        try:
            yield running
            if child.poll() is None:
                assert running.end() == 0
            assert "Traceback" not in running.log.read_text()
        except BaseException:
            print(log.read_text())
            raise
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()


class Running:
    """A service that runs."""

    def __init__(self, child: subprocess.Popen[bytes], log: Path) -> None:
        self.child = child
        self.log = log

    def told(self, text: str, seconds: float = 20) -> None:
        """Wait until its log says so."""
        until(lambda: text in self.log.read_text(), f"the log does not say {text!r}", seconds)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send one signal; the exit code. It must end within 30 s."""
        self.child.send_signal(number)
        return self.child.wait(30)

    def used(self) -> float:
        """Seconds of processor time, with all children that have ended."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Bytes that were resident at most."""
        lines = Path(f"/proc/{self.child.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
