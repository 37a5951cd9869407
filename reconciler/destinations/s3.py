"""``s3://BUCKET/PREFIX``: copies in Amazon S3 or a compatible service, with the rights Put, Get, Delete and ListBucket alone.

s3fs holds the connections. Its file objects are not used: they publish truncated objects after errors and keep
multipart uploads open, so this kind has a writer and a reader of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Annotated, Any, Literal

from msgspec import Meta

from reconciler.adapters import store
from reconciler.adapters.s3 import DENIED, NOT_LISTED, PRESENT, Bucket, abort, error_code, find, is_transient
from reconciler.adapters.store import BaseReader, BaseStore, BaseWriter, Place, reveal
from reconciler.errors import StoreError
from reconciler.model import Destination, Secret
from reconciler.model.base import SpecModel
from reconciler.ports import Reader, Store, Stored, Writer

FIRST_PART = 8 << 20
"""Bytes of a part. Doubles every PARTS_PER_SIZE parts: 10,000 parts are the most that S3 takes."""
PARTS_PER_SIZE = 1000
LARGE_PART = 16 << 20
"""From this size on one part is sent at a time, before that two."""


class Options(SpecModel, frozen=True, kw_only=True, rename=None):
    """How to reach the bucket. Everything may be left out on AWS: the SDK then finds region and credentials itself."""

    endpoint_url: Annotated[
        str | None,
        Meta(
            title="Endpoint",
            description="Address of an S3-compatible service. Default: AWS.",
            examples=["https://s3.example.com"],
        ),
    ] = None
    key: Annotated[
        Secret | None,
        Meta(
            title="Access key id",
            description="Default: the SDK's own chain (environment, profile, container or instance role).",
            examples=[{"fromEnv": "S3_ACCESS_KEY"}],
        ),
    ] = None
    secret: Annotated[
        Secret | None,
        Meta(
            title="Secret access key",
            description="Belongs to `key`.",
            examples=[{"fromFile": "/run/secrets/s3"}],
        ),
    ] = None
    token: Annotated[
        Secret | None,
        Meta(
            title="Session token",
            description="Only with temporary credentials.",
            examples=[{"fromEnv": "S3_SESSION_TOKEN"}],
        ),
    ] = None
    region: Annotated[
        str | None,
        Meta(title="Region", description="Default: the SDK's own.", examples=["eu-central-1"]),
    ] = None
    profile: Annotated[
        str | None,
        Meta(
            title="Profile",
            description="Profile of the AWS configuration files to take region and credentials from.",
            examples=["backups"],
        ),
    ] = None
    path_style: Annotated[
        bool | None,
        Meta(
            title="Path style",
            description="Put the bucket in the path and not in the host name. Default: true with an endpoint, else false.",
            examples=[True],
        ),
    ] = None
    ca_file: Annotated[
        str | None,
        Meta(
            title="CA file",
            description="PEM file of the authorities that may sign the service's certificate. Default: the system's.",
            examples=["/etc/ssl/certs/own-ca.pem"],
        ),
    ] = None
    checksums: Annotated[
        Literal["when_required", "when_supported"] | None,
        Meta(
            title="Checksums",
            description="Whether requests carry a checksum of their own, which many compatible services reject. "
            "Default: when_required with an endpoint, else when_supported.",
            examples=["when_required"],
        ),
    ] = None


def open_store(destination: Destination) -> Store:
    """The store of the URL; connects at the first call. Raises Unreachable, SecretError."""
    place = Place(destination.name)
    bucket, _, prefix = destination.url.removeprefix("s3://").partition("/")
    if not bucket:
        raise place.unreachable(f"{destination.url} names no bucket", "write it as s3://BUCKET/PREFIX")
    given: dict[str, Any] = dict(destination.options)
    fs = store.filesystem(place, "s3", **_settings(Options(**given)))
    fs.retries = 1  # of s3fs itself: all retries are those of Bucket.call
    prefix = prefix.strip("/")
    return S3Store(Bucket(place, fs, bucket, f"{prefix}/" if prefix else ""))


def _settings(options: Options) -> dict[str, Any]:
    """The options in s3fs's words."""
    own = options.endpoint_url is not None
    checksums = options.checksums or ("when_required" if own else "when_supported")
    path_style = own if options.path_style is None else options.path_style
    config = {
        "connect_timeout": store.CALL_SECONDS / 2,
        "read_timeout": store.CALL_SECONDS,
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "s3": {"addressing_style": "path" if path_style else "auto"},
        "request_checksum_calculation": checksums,
        "response_checksum_validation": checksums,
    }
    client = {"region_name": options.region, "verify": options.ca_file}
    settings = {
        "endpoint_url": options.endpoint_url,
        "key": reveal(options.key),
        "secret": reveal(options.secret),
        "token": reveal(options.token),
        "profile": options.profile,
        "use_listings_cache": False,
        "config_kwargs": config,
        "client_kwargs": {name: value for name, value in client.items() if value},
    }
    return {name: value for name, value in settings.items() if value is not None}


class S3Store(BaseStore):
    """The objects below a prefix of a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket.place.name)
        self._bucket = bucket
        self._heeds: bool | None = None
        self.exclusive = False

    def list(self) -> Iterable[Stored]:
        """Every object, 1,000 to a request. Folder marks that other tools make are left out."""
        bucket = self._bucket
        more: dict[str, Any] = {}
        while True:
            page = bucket.call("list_objects_v2", "list", Prefix=bucket.prefix, **more)
            for found in page.get("Contents", ()):
                if not found["Key"].endswith("/"):
                    yield Stored(found["Key"].removeprefix(bucket.prefix), found["Size"])
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def read(self, key: str) -> Reader:
        """Open ``key``. Raises Missing."""
        return S3Reader(self._bucket, self.place.check(key))

    def create(self, key: str) -> Writer:
        """Begin to write ``key``; nothing is sent before there is a part's worth of it."""
        return S3Writer(self._bucket, self.place.check(key))

    def _claim(self, key: str, data: bytes) -> bool:
        """Put it on the condition that there is none. Whether the service heeds that, a second try tells: it must be refused."""
        if not self.exclusive and find(self._bucket, self.place.check(key)):
            return False
        if not self._put_new(key, data):
            return False
        if self._heeds is None:
            self._heeds = self.exclusive = not self._put_new(key, data)
        return True

    def _put_new(self, key: str, data: bytes) -> bool:
        try:
            self._bucket.call("put_object", "claim", self.place.check(key), Body=data, IfNoneMatch="*")
        except StoreError as error:
            if error_code(error.__cause__) in NOT_LISTED - DENIED:  # no conditions at all here
                self._bucket.call("put_object", "claim", key, Body=data)
                return True
            if error_code(error.__cause__) in PRESENT:
                return False
            raise
        return True

    def delete(self, key: str) -> None:
        """Remove ``key``, and ask whether it is gone. Raises StoreError."""
        self._bucket.call("delete_object", "delete", self.place.check(key))
        if find(self._bucket, key):
            todo = "look for a lock or a retention rule on the bucket"
            raise self.place.error("delete", key, "it is still there", todo)

    def abandon(self, key: str) -> None:
        """Abort the open uploads of exactly this key, as far as the credentials may list them."""
        bucket = self._bucket
        full, more = bucket.prefix + self.place.check(key), dict[str, Any]()
        while True:
            page = self._open_uploads(full, more)
            for upload in page.get("Uploads", ()):
                if upload["Key"] == full:
                    abort(bucket, key, upload["UploadId"])
            if not page.get("IsTruncated"):
                return
            more = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _open_uploads(self, full: str, more: dict[str, Any]) -> dict[str, Any]:
        """A page of uploads; empty where listing them is not allowed or not known."""
        try:
            return self._bucket.call("list_multipart_uploads", "list uploads", Prefix=full, **more)
        except StoreError as error:
            if error_code(error.__cause__) in NOT_LISTED:
                return {}
            raise

    def close(self) -> None:
        """End connections. Safe twice."""
        creator = getattr(self._bucket.fs, "_s3creator", None)
        if creator is not None:
            with suppress(Exception):  # they end with the process at the latest
                store.wait_for(self._bucket.fs, creator.__aexit__, None, None, None)


class S3Writer(BaseWriter):
    """Sends parts while it is written to; small objects go in one request at ``commit``.

    Holds one part while it fills, and one or two that are being sent.
    """

    def __init__(self, bucket: Bucket, key: str) -> None:
        super().__init__(bucket.place, key)
        self._bucket = bucket
        self._buffer = bytearray()
        self._upload = ""
        self._mark = uuid.uuid4().hex
        self._parts: list[dict[str, Any]] = []
        self._sending: list[Future[dict[str, Any]]] = []
        self._threads: ThreadPoolExecutor | None = None
        self._discarded = False

    def _append(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) > (size := self._part_size()):
            self._send(size)

    def _part_size(self) -> int:
        return FIRST_PART << (len(self._parts) + len(self._sending)) // PARTS_PER_SIZE

    def _send(self, size: int) -> None:
        """Begin to send the first ``size`` bytes of the buffer as a part, after room was made for it."""
        self._collect(0 if size > LARGE_PART else 1)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(2, "s3-part")
            answer = self._bucket.call(
                "create_multipart_upload", "write", self.key, Metadata={"upload": self._mark}
            )
            self._upload = answer["UploadId"]
        with memoryview(self._buffer) as view:
            part = bytes(view[:size])
        del self._buffer[:size]
        number = len(self._parts) + len(self._sending) + 1
        self._sending.append(self._threads.submit(self._send_part, number, part))

    def _send_part(self, number: int, part: bytes) -> dict[str, Any]:
        """What S3 wants to hear of the part when the upload is completed."""
        if self._discarded:
            raise self.place.error("write", self.key, "the write was discarded")
        about = {"UploadId": self._upload, "PartNumber": number}
        answer = self._bucket.call("upload_part", "write", self.key, Body=part, **about)
        sums = {
            name: value
            for name, value in answer.items()
            if name.startswith("Checksum") and name != "ChecksumType"
        }
        return {"PartNumber": number, "ETag": answer["ETag"], **sums}

    def _collect(self, left: int) -> None:
        """Wait until at most ``left`` parts are being sent. Raises what went wrong with the others."""
        while len(self._sending) > left:
            self._parts.append(self._sending[0].result())
            del self._sending[0]

    def _publish(self) -> None:
        if self._upload:
            self._send(len(self._buffer))
            self._collect(0)
            self._complete()
        else:
            body = bytes(self._buffer)
            self._bucket.call("put_object", "write", self.key, Body=body)
        self._free()
        found = find(self._bucket, self.key) or {"ContentLength": 0}
        if found["ContentLength"] != self.size:
            raise self.place.wrong_size(self.key, found["ContentLength"], self.size)

    def _complete(self) -> None:
        """Complete the upload. If that seems to fail, see whether only its answer was lost."""
        about = {"UploadId": self._upload, "MultipartUpload": {"Parts": self._parts}}
        try:
            self._bucket.call("complete_multipart_upload", "write", self.key, **about)
        except StoreError:
            found = find(self._bucket, self.key) or {}
            if found.get("Metadata", {}).get("upload") != self._mark:
                raise

    def _undo(self) -> None:
        """Abort the upload, once no part of it is under way: one that came later would stay and cost money."""
        self._discarded = True
        self._free()
        if self._upload:
            abort(self._bucket, self.key, self._upload)

    def _free(self) -> None:
        self._buffer.clear()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)


class S3Reader(BaseReader):
    """Reads one object in one request, and goes on from where it was when the connection breaks."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket = bucket
        self._key = key
        self._position = 0
        answer = bucket.call("get_object", "read", key)
        self._length: int = answer["ContentLength"]
        self._version: str = answer["ETag"]
        self._body: Any = answer["Body"]

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes. Raises StoreError."""
        if self._position == self._length:
            return b""
        try:
            chunk = store.persist(lambda: self._read(size), is_transient)
        except StoreError:
            raise
        except Exception as error:
            raise self._bucket.failure("read", self._key, error) from error
        self._position += len(chunk)
        return chunk

    def _read(self, size: int) -> bytes:
        if self._body is None:
            rest = f"bytes={self._position}-"
            answer = self._bucket.call("get_object", "read", self._key, Range=rest, IfMatch=self._version)
            self._body = answer["Body"]
        try:
            chunk: bytes = store.wait_for(
                self._bucket.fs, self._body.read, size, seconds=2 * store.CALL_SECONDS
            )
            if not chunk:
                raise ConnectionError("the connection ended before the object did")
        except BaseException:
            self.close()
            raise
        return chunk

    def close(self) -> None:
        """End the request. Safe twice."""
        body, self._body = self._body, None
        if body is not None:
            with suppress(Exception):  # a connection that cannot be closed is closed
                store.wait_for(self._bucket.fs, body.aclose)
