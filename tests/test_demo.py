"""scripts/demo, as `make demo` runs it, in a fresh clone: it checks every step itself, so its exit code is the verdict."""

import os
import subprocess
import sys
from pathlib import Path

from tests.parts.engine import EngineHost

REPOSITORY = Path(__file__).parent.parent


def demo(folder: Path, docker_host: str) -> str:
    """Clone this repository, run its demonstration, and return what it printed."""
    clone = folder / "a clone"  # a space in a path is nothing special
    subprocess.run(["git", "clone", "--quiet", REPOSITORY, clone], check=True)
    done = subprocess.run(
        [clone / "scripts/demo", Path(sys.executable).parent],
        cwd=folder,
        env={**os.environ, "DOCKER_HOST": docker_host},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    changed = ["git", "status", "--porcelain"]
    assert subprocess.run(changed, cwd=clone, capture_output=True, text=True, check=True).stdout == ""
    return done.stdout


def test_without_docker(tmp_path: Path) -> None:
    out = demo(tmp_path, f"unix://{tmp_path}/nothing.sock")
    assert out.endswith("demo: everything as promised (look at ./demo)\n")
    assert "integrity: ok" in out
    assert "kind: volume" not in out


def test_with_docker(tmp_path: Path, engine_host: EngineHost) -> None:
    out = demo(tmp_path, engine_host.url)
    assert "+ create    shop/cache" in out
    assert "Restore the volume of the Docker Engine" in out
    client = engine_host.client()
    assert [volume.name for volume in client.volumes.list() if "reconciler-demo" in str(volume.name)] == []
    client.close()
