"""An empty destination of each kind, on the real server of that kind. For every test that needs one."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from reconciler.model import Destination, FromFile, OptionValue
from reconciler.ports import Store
from reconciler.registry import find
from tests.parts.s3 import S3Server
from tests.parts.sftp import SftpServer
from tests.parts.webdav import WebdavServer

KINDS = ("memory", "file", "s3", "s3-rclone", "sftp", "webdav")
_numbers = itertools.count(1)


class Places:
    """Makes empty destinations; one for each test."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self.request = request
        self.folder = folder

    def make(self, kind: str) -> Destination:
        """A new, empty destination of ``kind`` (one of KINDS), called ``there``."""
        makers: dict[str, Callable[[str], Destination]] = {
            "memory": lambda name: destination(f"memory://{name}"),
            "file": lambda name: destination(f"file://{self.folder / name}"),
            "s3": lambda _: self.s3(cast(S3Server, self._server("s3_server"))),
            "s3-rclone": lambda _: self.s3(cast(S3Server, self._server("rclone_s3"))),
            "sftp": lambda name: self.sftp(cast(SftpServer, self._server("sftp_server")), name),
            "webdav": lambda name: self.webdav(cast(WebdavServer, self._server("webdav_server")), name),
        }
        return makers[kind](f"place-{next(_numbers)}")

    def s3(self, server: S3Server, key: str = "") -> Destination:
        """A prefix of a new bucket; with the rights of ``key``, by default those that the product asks for."""
        options: dict[str, OptionValue] = {
            "endpoint_url": server.endpoint,
            "key": self.secret(key or server.limited_key),
            "secret": self.secret(server.secret),
            "region": server.region,
        }
        return destination(f"s3://{server.new_bucket()}/some/prefix", options)

    def sftp(self, server: SftpServer, name: str) -> Destination:
        """A folder that does not exist yet."""
        options: dict[str, OptionValue] = {
            "host_key": server.host_key,
            "private_key_file": str(server.private_key),
        }
        return destination(server.url(name), options)

    def webdav(self, server: WebdavServer, name: str) -> Destination:
        """A folder that does not exist yet."""
        password = self.secret(server.password)
        options: dict[str, OptionValue] = {"username": server.user, "password": password, "tls": False}
        return destination(f"{re.sub('^http', 'webdav', server.url)}/{name}", options)

    def secret(self, value: str) -> FromFile:
        """A reference to a secret in a file."""
        path = self.folder / f"secret-{next(_numbers)}"
        path.write_text(f"{value}\n")
        return FromFile(from_file=str(path))

    def _server(self, name: str) -> Any:
        return self.request.getfixturevalue(name)


def destination(url: str, options: dict[str, OptionValue] | None = None) -> Destination:
    """A destination called ``there``."""
    return Destination(name="there", url=url, options=options or {})


def opened(place: Destination) -> Store:
    """Its store."""
    return cast(Store, find("destinations", place.protocol).open_store(place))


def keys(store: Store) -> list[str]:
    """What it lists."""
    return sorted(found.key for found in store.list())


def write(store: Store, key: str, data: bytes, step: int = 1 << 20) -> None:
    """Write ``data`` in steps, as a pipeline would."""
    writer = store.create(key)
    try:
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])
        writer.commit()
    except BaseException:
        writer.discard()
        raise


def read(store: Store, key: str, step: int = 1 << 20) -> bytes:
    """The whole of an object."""
    with store.read(key) as reader:
        return b"".join(iter(lambda: reader.read(step), b""))
