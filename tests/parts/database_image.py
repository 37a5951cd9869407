"""The root file system of the database containers: a Debian tar with PostgreSQL, MariaDB, Redis and SQLite.

`databases.py` imports it. It is built once per machine (10 s, 190 MB) from the packages that this machine's apt
knows, and kept in the user's cache folder, never in the repository.
"""

import fcntl
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts.process import MissingPart, need_root, program

PACKAGES = (
    *("postgresql", "mariadb-server-core", "mariadb-client", "redis-server", "sqlite3"),
    *(
        "busybox-static",
        "dash",
        "bash",
        "coreutils",
        "tar",
        "gzip",
        "procps",
        "sed",
        "grep",
        "findutils",
        "curl",
    ),
    *("hostname", "tzdata"),
)
BUILD_SECONDS = 600
FINISH = Path(__file__).with_suffix(".sh")
"""What is done to the unpacked packages."""


def database_tar() -> Path:
    """The tar, from the cache or built now; of two processes at once one builds.

    Raises:
        MissingPart: not root, mmdebstrap is missing, or apt cannot get the packages.
    """
    need_root("an image of database servers")
    digest = hashlib.sha256(
        "\n".join((*PACKAGES, FINISH.read_text(), platform.machine())).encode()
    ).hexdigest()[:16]
    tar = cache_folder() / f"databases-{digest}.tar"
    with locked(tar.with_suffix(".lock")):
        if not tar.exists():
            build(tar)
    return tar


def cache_folder() -> Path:
    """`reconciler-tests` in the user's folder for caches; made if needed."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "reconciler-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; the kernel lets go of it however this process ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(tar: Path) -> None:
    """Build under a temporary name, then rename: a broken build leaves nothing that is taken for the tar."""
    new = tar.with_suffix(".new")
    command = [program("mmdebstrap", "mmdebstrap"), "--quiet", "--variant=extract", "--format=tar"]
    hooks = [f"--include={','.join(PACKAGES)}", '--extract-hook=exec sh "$FINISH" "$1"']
    built = subprocess.run(
        [*command, *hooks, "", str(new), "-"],
        input=apt_sources(),
        capture_output=True,
        text=True,
        env={**os.environ, "FINISH": str(FINISH)},
        timeout=BUILD_SECONDS,
        check=False,
    )
    if built.returncode != 0:
        new.unlink(missing_ok=True)
        raise MissingPart(f"the image of database servers could not be built: {built.stderr[-1500:]}")
    new.rename(tar)


def apt_sources() -> str:
    """The Debian sources of this machine's apt, a line each, without third parties and their keys."""
    line = "$(ORIGIN)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    command = [program("apt-get", "apt"), "indextargets", "--format", line, "Created-By: Packages"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    lines = [line.removeprefix("Debian|") for line in listed if line.startswith("Debian|")]
    if not lines:
        raise MissingPart("apt knows no Debian packages: run `apt-get update` as root")
    return "\n".join((*lines, ""))
