"""A specs repository of a test, and the real program run on it as a child process."""

import io
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from reconciler import cli
from tests.parts.s3 import S3Server
from tests.trees import differences, snapshot

REPOSITORY = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "reconciler")


@dataclass
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    def data(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)


@dataclass
class Project:
    """Specs in git, in ``folder``/specs. ``env`` is added to the environment of every command."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.specs.mkdir(parents=True)
        self.env |= {"XDG_STATE_HOME": str(self.folder / "state"), "RECONCILER_NODE": "node-1"}
        self.git("init", "--quiet", "--initial-branch=main")

    @property
    def root(self) -> Path:
        """The repository."""
        return self.folder / "specs"

    @property
    def specs(self) -> Path:
        """What the commands get as PATH."""
        return self.root / "backup.d"

    def write(self, *documents: Mapping[str, Any]) -> None:
        """Replace the specs, and commit."""
        text = "---\n".join(json.dumps(document) + "\n" for document in documents)
        (self.specs / "all.yaml").write_text(text)
        self.git("add", ".")
        self.git("-c", "user.name=T", "-c", "user.email=t@localhost", "commit", "--quiet", "-m", "specs")

    def git(self, *arguments: str) -> str:
        """Run git in the repository."""
        done = subprocess.run(
            ["git", "-C", self.root, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout

    def status(self) -> Any:
        """``status.json`` as committed."""
        return json.loads(self.git("show", "backup-status:status.json"))

    def page(self) -> str:
        """``STATUS.md`` as committed."""
        return self.git("show", "backup-status:STATUS.md")

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Begin a command on the specs; in a process group of its own."""
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **self.env, **env},
            process_group=0,
        )

    def run(self, *arguments: str, **env: str) -> Ran:
        """Run a command to its end. Every error must be a line for people, never a traceback."""
        child = self.start(*arguments, **env)
        out, err = child.communicate(timeout=100)
        assert "Traceback" not in err, err
        return Ran(child.returncode, out, err)

    def do(self, *arguments: str, **env: str) -> Ran:
        """Run a command in this process: faster than ``run``. Every expected error is a line for people."""
        held, err = io.BytesIO(), io.StringIO()
        out = io.TextIOWrapper(held, write_through=True)
        with mock.patch.dict(os.environ, self.env | env), redirect_stdout(out), redirect_stderr(err):
            code = cli.main([*arguments[:1], *self._place(arguments[0]), *arguments[1:]])
        return Ran(code, held.getvalue().decode(errors="replace"), err.getvalue())

    def _place(self, command: str) -> tuple[str, ...]:
        return ("--specs", str(self.specs)) if command == "restore" else (str(self.specs),)

    def restored(self, target: str, source: Path, place: str = "", **env: str) -> None:
        """Restore, and compare with the source."""
        to = self.folder / f"restored-{uuid.uuid4().hex}"
        ran = self.do("restore", target, "--to", f"path:{to}", *(("--from", place) if place else ()), **env)
        assert ran.code == 0, ran
        assert differences(snapshot(source), snapshot(to)) == []

    def converge(self, **env: str) -> None:
        """Apply, and insist that all went well and nothing is left to do."""
        applied = self.do("apply", **env)
        assert applied.code == 0, applied
        planned = self.do("plan", **env)
        assert planned.code == 0, planned


def killed(child: "subprocess.Popen[str]", after: float) -> bool:
    """Kill it after so many seconds; False when it had ended by then."""
    try:
        child.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return True
    return False


def destination(name: str, url: str, **more: Any) -> dict[str, Any]:
    """A Destination document."""
    return _document("Destination", name, {"url": url, **more})


def s3_destination(name: str, server: S3Server, bucket: str, **more: Any) -> dict[str, Any]:
    """A Destination document; the credentials are in S3_KEY and S3_SECRET."""
    options = {
        "endpoint_url": server.endpoint,
        "region": server.region,
        "key": {"fromEnv": "S3_KEY"},
        "secret": {"fromEnv": "S3_SECRET"},
    }
    return destination(name, f"s3://{bucket}/backups", options=options, **more)


def backup(
    name: str, targets: Sequence[Mapping[str, Any]], destinations: Sequence[str], **more: Any
) -> dict[str, Any]:
    """A Backup document."""
    spec = {"schedule": "@daily", "targets": list(targets), "destinations": list(destinations), **more}
    return _document("Backup", name, spec)


def policy(**spec: Any) -> dict[str, Any]:
    """A Policy document."""
    return _document("Policy", "policy", {"rule321": "off", **spec})


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}
