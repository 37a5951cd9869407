"""The process of `tests.parts.s3.moto_server`: moto behind a layer that counts, denies and fails requests.

Run as `python -m tests.parts.s3_app PORTFILE`. The layer names each request by its S3 operation. Its own
addresses lie under `/_test/`, which no bucket can be called: `calls` (a JSON list), `reset`, `fail` (a JSON
`Fault`), `fill` (a JSON object with `bucket` and `keys`).
"""

import json
import os
import re
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wsgi import get_input_stream

FULL_KEY = "AKIATESTFULL"
LIMITED_KEY = "AKIATESTLIMITED"
SECRET = "a-secret-of-the-tests"
# What the IAM actions PutObject, GetObject, DeleteObject and ListBucket allow. AWS lets whoever began a
# multipart upload abort it as well, but list neither uploads nor parts.
LIMITED = frozenset(
    [
        "PutObject",
        "CreateMultipartUpload",
        "UploadPart",
        "CompleteMultipartUpload",
        "AbortMultipartUpload",
        "GetObject",
        "HeadObject",
        "DeleteObject",
        "DeleteObjects",
        "ListObjects",
        "ListObjectsV2",
        "HeadBucket",
    ]
)
BUCKET_QUERIES = {
    "uploads": "ListMultipartUploads",
    "location": "GetBucketLocation",
    "versioning": "GetBucketVersioning",
    "versions": "ListObjectVersions",
    "object-lock": "GetObjectLockConfiguration",
    "policy": "GetBucketPolicy",
    "acl": "GetBucketAcl",
}
BUCKET_METHODS = {"PUT": "CreateBucket", "DELETE": "DeleteBucket", "HEAD": "HeadBucket", "POST": "PostBucket"}
OBJECT_METHODS = {
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "PUT": "PutObject",
    "DELETE": "DeleteObject",
    "POST": "PostObject",
}
MULTIPART_METHODS = {
    "PUT": "UploadPart",
    "POST": "CompleteMultipartUpload",
    "DELETE": "AbortMultipartUpload",
    "GET": "ListParts",
}


@dataclass(frozen=True)
class Call:
    """One request: the S3 operation, the bucket and the key ("" where there is none)."""

    operation: str
    bucket: str
    key: str


@dataclass(frozen=True)
class Fault:
    """Fail the next `times` calls of `operation` whose bucket is `bucket` and whose key contains `key`."""

    operation: str
    bucket: str = ""
    key: str = ""
    times: int = 1
    status: int = 500
    code: str = "InternalError"

    def hits(self, call: Call) -> bool:
        """Whether this fault applies to `call`."""
        same = self.operation == call.operation and self.bucket in ("", call.bucket)
        return self.times > 0 and same and self.key in call.key


def name_call(method: str, path: str, query: str) -> Call:
    """Name a path-style request as the S3 documentation does."""
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    asked = parse_qs(query, keep_blank_values=True)
    if not bucket:
        return Call("ListBuckets", "", "")
    operation = object_operation(method, asked) if key else bucket_operation(method, asked)
    return Call(operation, bucket, key)


def object_operation(method: str, asked: dict[str, list[str]]) -> str:
    """The operation of a request with a key."""
    if "uploadId" in asked:
        return MULTIPART_METHODS.get(method, method)
    if method == "POST" and "uploads" in asked:
        return "CreateMultipartUpload"
    aspect = next(
        (name.title() for name in ("tagging", "acl", "retention", "attributes") if name in asked), ""
    )
    return OBJECT_METHODS.get(method, method) + aspect


def bucket_operation(method: str, asked: dict[str, list[str]]) -> str:
    """The operation of a request with a bucket and no key."""
    if method == "POST" and "delete" in asked:
        return "DeleteObjects"
    if method != "GET":
        return BUCKET_METHODS.get(method, method) + "".join(sorted(set(asked) & set(BUCKET_QUERIES)))
    special = next((BUCKET_QUERIES[name] for name in asked if name in BUCKET_QUERIES), None)
    return special or ("ListObjectsV2" if "list-type" in asked else "ListObjects")


class Watching:
    """A WSGI application in front of moto: the log of calls, access keys, and planned failures."""

    def __init__(self, inner: WSGIApplication) -> None:
        self.inner = inner
        self.lock = threading.Lock()
        self.calls: list[Call] = []
        self.faults: list[Fault] = []

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"].encode("latin-1").decode()
        if path.startswith("/_test/"):
            return self.control(path.removeprefix("/_test/"), body_of(environ), start)
        call = name_call(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""))
        refusal = self.refusal(call, environ)
        if refusal is not None:
            body_of(environ)
            return answer_error(start, *refusal)
        return self.inner(environ, start)

    def refusal(self, call: Call, environ: WSGIEnvironment) -> tuple[int, str] | None:
        """Log the call; (status, error code) when it is to be refused."""
        with self.lock:
            self.calls.append(call)
            for position, fault in enumerate(self.faults):
                if fault.hits(call):
                    self.faults[position] = replace(fault, times=fault.times - 1)
                    return fault.status, fault.code
        key = access_key(environ)
        if key not in (FULL_KEY, LIMITED_KEY):
            return 403, "InvalidAccessKeyId"
        if key == LIMITED_KEY and call.operation not in LIMITED:
            return 403, "AccessDenied"
        return None

    def control(self, name: str, body: bytes, start: StartResponse) -> Iterable[bytes]:
        """Answer the tests' own requests."""
        with self.lock:
            if name == "fail":
                self.faults.append(Fault(**json.loads(body)))
            elif name == "fill":
                fill(**json.loads(body))
            elif name == "reset":
                self.faults.clear()
            answer = json.dumps([vars(call) for call in self.calls] if name == "calls" else []).encode()
        start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
        return [answer]


def fill(bucket: str, keys: list[str]) -> None:
    """Put an object of one byte under each key, past HTTP: thousands in a second."""
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for key in keys:
        backend.put_object(bucket, key, b"x")


def access_key(environ: WSGIEnvironment) -> str:
    """The access key of a signed request, in its header or (presigned) its query; "" if there is none."""
    signed = environ.get("HTTP_AUTHORIZATION", "") or unquote(environ.get("QUERY_STRING", ""))
    found = re.search(r"Credential=([^/]+)/", signed)
    return found.group(1) if found else ""


def body_of(environ: WSGIEnvironment) -> bytes:
    """Read the request to its end: a server that answers early breaks the connection of the client."""
    return get_input_stream(environ).read()


def answer_error(start: StartResponse, status: int, code: str) -> Iterable[bytes]:
    """An error as S3 writes it."""
    said = f"<Error><Code>{code}</Code><Message>{code} (by the tests)</Message></Error>"
    text = f"<?xml version='1.0' encoding='UTF-8'?>{said}".encode()
    start(f"{status} {code}", [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))])
    return [text]


class Quiet(WSGIRequestHandler):
    """Connections stay open, as with the real service; no line on the terminal for each request."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (the name is werkzeug's)
        """Log errors only."""
        if type == "error":
            super().log(type, message, *args)


def main(port_file: str) -> None:
    """Serve until ended; writes the port to `port_file` once it listens."""
    server = make_server("127.0.0.1", 0, Watching(create_backend_app("s3")), True, 1, Quiet)
    with open(f"{port_file}.part", "w") as file:
        file.write(str(server.server_port))
    os.rename(f"{port_file}.part", port_file)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
