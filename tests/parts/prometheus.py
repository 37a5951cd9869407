"""A real Prometheus on the loopback, with its admin API: it makes snapshots of its own data while it runs."""

import contextlib
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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
        query = urllib.parse.urlencode({"query": "count_over_time(up[1h])"})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{query}", timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        return int(found[0]["value"][1]) if found else 0


@contextmanager
def prometheus(data: Path, *, scraping: bool = True) -> Iterator[Prometheus]:
    """Run one on ``data``; without ``scraping`` it only answers queries.

    Raises:
        MissingPart: it is not installed.
    """
    binary = program("prometheus", "prometheus")
    port = free_port()
    with own_folder("prometheus") as folder:
        config = folder / "prometheus.yml"
        config.write_text(CONFIG.format(port=port) if scraping else "{}\n")
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
