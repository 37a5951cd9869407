"""A real Prometheus on the loopback, with its admin API: it makes snapshots of its own data while it runs.

Beside it promtool, which judges metrics, rules and their tests.
"""

import contextlib
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parts.process import free_port, own_folder, program, serving

CONFIG = """\
global: {{scrape_interval: 200ms}}
scrape_configs: [{{job_name: itself, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""


@dataclass(frozen=True)
class Prometheus:
    """A running server; ``data`` is where it keeps its series."""

    url: str
    data: Path
    version: str

    def series(self) -> int:
        """How many samples of ``up`` it holds."""
        found = self.query("count_over_time(up[1h])")
        return int(found[0]["value"][1]) if found else 0

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives now: ``metric`` (the labels) and ``value`` (the time, and the number as text)."""
        found: list[dict[str, Any]] = self._ask("query", query=expression)["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Every rule that it evaluates, with its ``alerts`` and ``lastEvaluation``."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def _ask(self, what: str, **arguments: str) -> Any:
        query = urllib.parse.urlencode(arguments)
        with urllib.request.urlopen(f"{self.url}/api/v1/{what}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]


@contextmanager
def prometheus(data: Path, *, scraping: bool = True, settings: str = "") -> Iterator[Prometheus]:
    """Run one on ``data``; without ``scraping`` it only answers queries. Other ``settings`` are a ``prometheus.yml``.

    Raises:
        MissingPart: it is not installed.
    """
    binary = program("prometheus", "prometheus")
    port = free_port()
    with own_folder("prometheus") as folder:
        config = folder / "prometheus.yml"
        config.write_text(settings or (CONFIG.format(port=port) if scraping else "{}\n"))
        command = [
            binary,
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-admin-api",
        ]
        about = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
        version = (about.stdout + about.stderr).split()[2]
        url = f"http://127.0.0.1:{port}"
        with serving(command, folder / "log", lambda: ready(url)):
            yield Prometheus(url, data, f"Prometheus {version}")


def ready(url: str) -> bool:
    """Whether it answers queries: it reads its data first."""
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


@dataclass(frozen=True)
class Promtool:
    """The program that judges metrics, rules and tests of rules."""

    binary: str
    version: str

    def run(self, *arguments: str | Path, given: bytes = b"") -> tuple[int, str]:
        """Its exit code, and everything that it said."""
        done = subprocess.run(
            [self.binary, *arguments],
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.returncode, done.stdout.decode()


@contextmanager
def promtool() -> Iterator[Promtool]:
    """Find it. Raises MissingPart."""
    binary = program("promtool", "prometheus")
    about = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    yield Promtool(binary, f"promtool {(about.stdout + about.stderr).split()[2]}")
