"""A process that applies the same specs at each time that it is told: one of two reconcilers, which a test stops and continues.

Run as ``python -m tests.faults.again_and_again SPECS``: a time a line on stdin, a JSON object a line on stdout.
"""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from types import TracebackType
from typing import Any, NamedTuple, Self

from reconciler import cli
from tests.faults.project import REPOSITORY, Project


class Ended(NamedTuple):
    """How one apply went: its exit code, and everything that went wrong."""

    code: int
    said: str


class Reconciler:
    """The process, on the specs of ``project``."""

    def __init__(self, project: Project, **env: str) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.again_and_again", str(project.specs)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **project.env, **env},
        )

    def begin(self, now: str) -> None:
        """Let it apply as if it were ``now``."""
        assert self.child.stdin is not None
        self.child.stdin.write(now + "\n")
        self.child.stdin.flush()

    def end(self) -> Ended:
        """Wait for the end of the apply."""
        assert self.child.stdout is not None
        ended = Ended(**json.loads(self.child.stdout.readline()))
        assert "Traceback" not in ended.said, ended
        return ended

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.child.send_signal(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.child:
            self.child.kill()


def main(specs: str) -> None:
    """Apply for each line of stdin."""
    for line in sys.stdin:
        os.environ["RECONCILER_NOW"] = line.strip()
        out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = cli.main(["apply", specs, "--output", "json", "--jobs", os.environ.get("JOBS", "1")])
        out.flush()
        assert isinstance(out.buffer, io.BytesIO)
        said = err.getvalue() + " ".join(_failures(out.buffer.getvalue()))
        print(json.dumps({"code": code, "said": said}), flush=True)


def _failures(output: bytes) -> Iterator[str]:
    """What the outcomes and the plan complain of."""
    result: Any = json.loads(output) if output else {"outcomes": [], "plan": {"notes": []}}
    for outcome in result["outcomes"]:
        if told := [outcome.get(name) for name in ("error", "failures", "skipped") if outcome.get(name)]:
            yield f"{outcome['action']['type']}: {told}"
    yield from (note["message"] for note in result["plan"]["notes"] if note["severity"] == "error")


if __name__ == "__main__":
    main(sys.argv[1])
