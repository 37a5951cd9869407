"""A process that writes to a destination: to be killed in the middle, or to have its memory measured.

Run as ``python -m tests.contracts.child PICKLED-DESTINATION hang|measure``.
"""

import base64
import hashlib
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

from reconciler.model import Destination
from reconciler.ports import Store
from tests.contracts.places import opened

REPOSITORY = Path(__file__).parents[2]
KEY = "daily/half"
CHUNK = 1 << 20
MEASURED = 200 << 20


def start(place: Destination, what: str) -> subprocess.Popen[str]:
    """Run this module on ``place``."""
    command = [sys.executable, "-m", "tests.contracts.child", argument(place), what]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def argument(place: Destination) -> str:
    """A destination as an argument of a command."""
    return base64.b64encode(pickle.dumps(place)).decode()


def hang(store: Store) -> None:
    """Write 20 MiB of KEY, say so, and never end."""
    writer = store.create(KEY)
    for _ in range(20):
        writer.write(os.urandom(CHUNK))
    print("half", flush=True)
    threading.Event().wait()


def measure(store: Store) -> None:
    """Write and read 200 MiB; print by how many bytes that raised the peak of this process's memory."""
    store.put("small", b"x")
    store.get("small")
    chunk = os.urandom(CHUNK)
    before = peak()
    writer = store.create(KEY)
    for _ in range(MEASURED // CHUNK):
        writer.write(chunk)
    writer.commit()
    seen = hashlib.sha256()
    with store.read(KEY) as reader:
        while data := reader.read(CHUNK):
            seen.update(data)
    wanted = hashlib.sha256()
    for _ in range(MEASURED // CHUNK):
        wanted.update(chunk)
    assert seen.digest() == wanted.digest()
    print(peak() - before, flush=True)


def peak() -> int:
    """The most memory that this program had, in bytes; ``getrusage`` counts what the test's process had before, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) << 10


if __name__ == "__main__":
    opened_store = opened(pickle.loads(base64.b64decode(sys.argv[1])))
    {"hang": hang, "measure": measure}[sys.argv[2]](opened_store)
    opened_store.close()
