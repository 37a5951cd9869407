"""``s3://``: requests, rights, uploads left open, lost answers, refusals."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from reconciler.destinations import s3
from reconciler.destinations.s3 import S3Reader, S3Store, S3Writer
from reconciler.errors import Missing, StoreError, Unreachable
from reconciler.model import Destination, OptionValue
from tests.contracts import child
from tests.contracts.places import Places, destination, keys, opened, read, write
from tests.parts.s3 import S3Server
from tests.parts.s3_app import SECRET, Fault

PART = s3.FIRST_PART
BIG = bytes(range(256)) * (10 << 12)  # 10 MiB: two parts


@pytest.fixture
def place(places: Places, s3_server: S3Server) -> Destination:
    return places.s3(s3_server)


@pytest.fixture
def bucket(place: Destination) -> str:
    return place.url.split("/")[2]


@pytest.fixture
def store(place: Destination) -> Any:
    there = opened(place)
    yield there
    there.close()


def with_options(place: Destination, **options: OptionValue | None) -> Destination:
    """The same place; an option that is None is left out."""
    merged = {**place.options, **options}
    return destination(place.url, {name: value for name, value in merged.items() if value is not None})


def test_ten_thousand_objects_take_ten_requests(store: S3Store, s3_server: S3Server, bucket: str) -> None:
    wanted = [f"daily/s{n:05}_data_2026-01-20T030000Z_daily.tar.zst" for n in range(10_000)]
    s3_server.fill(bucket, [f"some/prefix/{key}" for key in wanted] + ["some/prefixes/other", "elsewhere"])
    before = s3_server.counts(bucket)
    start = time.monotonic()
    assert keys(store) == wanted
    assert time.monotonic() - start < 8
    assert s3_server.counts(bucket) - before == Counter(ListObjectsV2=10)


def test_requests_are_few(store: S3Store, s3_server: S3Server, bucket: str) -> None:
    before = s3_server.counts(bucket)
    store.put("marker", b"small")
    assert store.get("marker") == b"small"
    store.delete("marker")
    write(store, "daily/x", BIG)
    asked = s3_server.counts(bucket) - before
    assert asked == Counter(
        PutObject=1,
        HeadObject=3,
        GetObject=1,
        DeleteObject=1,
        CreateMultipartUpload=1,
        UploadPart=2,
        CompleteMultipartUpload=1,
    )


def test_a_bucket_without_a_prefix_and_folder_marks(places: Places, s3_server: S3Server) -> None:
    place = places.s3(s3_server)
    bucket = place.url.split("/")[2]
    whole = opened(destination(f"s3://{bucket}", place.options))
    whole.put("daily/x", b"1")
    s3_server.client().put_object(Bucket=bucket, Key="daily/", Body=b"")
    assert keys(whole) == ["daily/x"]
    whole.close()


def test_no_upload_stays_open(store: S3Store, s3_server: S3Server, bucket: str) -> None:
    writer = store.create("daily/x")
    writer.write(BIG)
    assert s3_server.open_uploads(bucket) == ["some/prefix/daily/x"]
    writer.discard()
    assert s3_server.open_uploads(bucket) == []
    write(store, "daily/x", BIG)
    assert s3_server.open_uploads(bucket) == []
    store.create("daily/y").discard()
    assert "AbortMultipartUpload" not in [
        call.operation for call in s3_server.calls(bucket) if "/y" in call.key
    ]


def test_abandon_aborts_the_uploads_of_exactly_that_key(places: Places, s3_server: S3Server) -> None:
    place = places.s3(s3_server, s3_server.key)
    bucket = place.url.split("/")[2]
    with child.start(place, "hang") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    neighbours = [f"some/prefix/{child.KEY}2", f"some/prefix/{child.KEY}.json", child.KEY]
    for key in neighbours:
        s3_server.client().create_multipart_upload(Bucket=bucket, Key=key)
    assert f"some/prefix/{child.KEY}" in s3_server.open_uploads(bucket)
    store = opened(place)
    store.abandon(child.KEY)
    assert sorted(s3_server.open_uploads(bucket)) == sorted(neighbours)
    store.close()


def test_abandon_gives_up_quietly_where_uploads_may_not_be_listed(
    store: S3Store, s3_server: S3Server, bucket: str
) -> None:
    s3_server.client().create_multipart_upload(Bucket=bucket, Key="some/prefix/daily/x")
    store.abandon("daily/x")
    assert s3_server.open_uploads(bucket) == ["some/prefix/daily/x"]
    assert "ListMultipartUploads" in s3_server.counts(bucket)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("UploadPart", times=2),
        Fault("UploadPart", times=3, status=503, code="SlowDown"),
        Fault("CreateMultipartUpload", times=1),
        Fault("CompleteMultipartUpload", times=2),
        Fault("HeadObject", times=1),
        Fault("GetObject", times=2),
        Fault("ListObjectsV2", times=2, status=503, code="ServiceUnavailable"),
    ],
    ids=lambda fault: fault.operation,
)
def test_a_passing_failure_is_ridden_out(
    store: S3Store, s3_server: S3Server, bucket: str, fault: Fault
) -> None:
    s3_server.fail(Fault(fault.operation, bucket, times=fault.times, status=fault.status, code=fault.code))
    write(store, "daily/x", BIG)
    assert keys(store) == ["daily/x"]
    assert read(store, "daily/x") == BIG


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_a_refusal_publishes_nothing_and_leaves_nothing(
    store: S3Store, s3_server: S3Server, bucket: str, operation: str
) -> None:
    s3_server.fail(Fault(operation, bucket, status=403, code="AccessDenied", times=9))
    with pytest.raises(StoreError, match="write daily/x: access is denied; allow PutObject"):
        write(store, "daily/x", BIG)
    s3_server.stop_failing()
    assert keys(store) == []
    assert s3_server.open_uploads(bucket) == []


class Losing:
    """Carries out calls of one kind and then loses the answers to the first few."""

    def __init__(self, store: S3Store, method: str, times: int = 1) -> None:
        self.real = store._bucket.fs.call_s3
        self.method = method
        self.times = times
        store._bucket.fs.call_s3 = self

    def __call__(self, method: str, **arguments: Any) -> Any:
        answer = self.real(method, **arguments)
        if method == self.method and self.times:
            self.times -= 1
            raise ConnectionError("the answer was lost")
        return answer


@pytest.mark.parametrize(
    "method", ["upload_part", "complete_multipart_upload", "put_object", "delete_object", "head_object"]
)
def test_a_lost_answer_is_no_failure(store: S3Store, s3_server: S3Server, bucket: str, method: str) -> None:
    Losing(store, method)
    write(store, "daily/x", BIG)
    store.put("daily/x.json", b"{}")
    assert read(store, "daily/x") == BIG
    store.delete("daily/x")
    assert keys(store) == ["daily/x.json"]
    assert s3_server.open_uploads(bucket) == []


def test_an_older_object_is_not_taken_for_the_one_whose_answer_was_lost(
    store: S3Store, s3_server: S3Server, bucket: str
) -> None:
    write(store, "daily/x", BIG)
    s3_server.fail(Fault("CompleteMultipartUpload", bucket, status=404, code="NoSuchUpload", times=9))
    with pytest.raises(StoreError):
        write(store, "daily/x", BIG[::-1])
    s3_server.stop_failing()
    assert read(store, "daily/x") == BIG


def test_parts_grow(
    store: S3Store, s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "FIRST_PART", 5 << 20)
    monkeypatch.setattr(s3, "PARTS_PER_SIZE", 1)
    monkeypatch.setattr(s3, "LARGE_PART", 6 << 20)
    content = BIG * 4 + b"end"
    write(store, "daily/x", content)
    assert read(store, "daily/x") == content
    assert s3_server.counts(bucket)["UploadPart"] == 4  # 5 + 10 + 20 + the rest


def test_ten_thousand_parts_hold_the_largest_object_of_s3(store: S3Store) -> None:
    writer = store.create("daily/x")
    assert isinstance(writer, S3Writer)
    sizes = []
    for _ in range(10_000):
        sizes.append(writer._part_size())
        writer._parts.append({})
    assert sizes[0] == sizes[999] == 8 << 20
    assert sizes[1000] == 16 << 20
    assert sum(sizes) > 5 << 40


def test_reading_goes_on_after_a_broken_connection(store: S3Store, s3_server: S3Server, bucket: str) -> None:
    class Broken:
        async def read(self, size: int) -> bytes:
            raise ConnectionError

        async def aclose(self) -> None: ...

    write(store, "daily/x", BIG)
    reader = store.read("daily/x")
    assert isinstance(reader, S3Reader)
    first = reader.read(1000)
    reader.close()
    reader._body = Broken()
    rest = b"".join(iter(lambda: reader.read(1 << 20), b""))
    reader.close()
    assert first + rest == BIG
    assert s3_server.counts(bucket)["GetObject"] == 2


def test_an_object_that_is_replaced_while_it_is_read_is_not_mixed(store: S3Store) -> None:
    write(store, "daily/x", BIG)
    reader = store.read("daily/x")
    reader.read(1000)
    reader.close()
    write(store, "daily/x", BIG[::-1])
    with pytest.raises(StoreError):
        reader.read(1000)


def test_wrong_credentials(places: Places, place: Destination, s3_server: S3Server) -> None:
    store = opened(with_options(place, key=places.secret("AKIANOBODY")))
    for use in (lambda: keys(store), lambda: store.put("x", b"1"), lambda: store.read("x")):
        with pytest.raises(
            Unreachable, match=r"the credentials were refused \(InvalidAccessKeyId\)"
        ) as caught:
            use()
        assert SECRET not in str(caught.value)
        assert "AKIANOBODY" not in str(caught.value)
    store.close()


def test_no_credentials(place: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(with_options(place, key=None, secret=None))
    with pytest.raises(Unreachable, match="no credentials were found; set key and secret"):
        keys(store)
    store.close()


def test_the_default_credential_chain(
    place: Destination, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret)
    store = opened(with_options(place, key=None, secret=None))
    store.put("daily/x", b"1")
    assert keys(store) == ["daily/x"]
    store.close()


def test_a_profile(
    place: Destination, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    credentials = (
        f"[backups]\naws_access_key_id = {s3_server.key}\naws_secret_access_key = {s3_server.secret}\n"
    )
    (tmp_path / "credentials").write_text(credentials)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    store = opened(with_options(place, key=None, secret=None, profile="backups"))
    store.put("daily/x", b"1")
    store.close()
    missing = opened(with_options(place, key=None, secret=None, profile="nobody"))
    with pytest.raises(Unreachable, match="nobody"):
        keys(missing)
    missing.close()


def test_a_missing_bucket_is_unknown_and_not_empty(place: Destination) -> None:
    store = opened(destination("s3://no-such-bucket/prefix", place.options))
    for use in (lambda: keys(store), lambda: store.put("x", b"1"), lambda: store.read("x")):
        with pytest.raises(
            Unreachable, match="there is no bucket no-such-bucket; create it, or mend the URL"
        ):
            use()
    store.close()


def test_denied_listing_is_unknown_and_not_empty(store: S3Store, s3_server: S3Server, bucket: str) -> None:
    s3_server.fail(Fault("ListObjectsV2", bucket, status=403, code="AccessDenied", times=9))
    with pytest.raises(Unreachable, match=f"access to bucket {bucket} is denied; allow PutObject"):
        keys(store)
    s3_server.stop_failing()


def test_a_listing_that_fails_at_its_second_page_is_an_error(
    store: S3Store, s3_server: S3Server, bucket: str
) -> None:
    s3_server.fill(bucket, [f"some/prefix/daily/{n}" for n in range(1500)])
    found = iter(store.list())
    next(found)
    s3_server.fail(Fault("ListObjectsV2", bucket, status=400, code="InvalidArgument", times=9))
    with pytest.raises(StoreError, match="InvalidArgument"):
        list(found)
    s3_server.stop_failing()


def test_a_denied_delete_is_told(store: S3Store, s3_server: S3Server, bucket: str) -> None:
    store.put("daily/x", b"1")
    s3_server.fail(Fault("DeleteObject", bucket, status=403, code="AccessDenied"))
    with pytest.raises(StoreError, match="delete daily/x: access is denied"):
        store.delete("daily/x")
    assert keys(store) == ["daily/x"]


def test_another_region(store: S3Store, s3_server: S3Server, bucket: str) -> None:
    s3_server.fail(Fault("ListObjectsV2", bucket, status=301, code="PermanentRedirect", times=9))
    with pytest.raises(Unreachable, match="the bucket is in another region"):
        keys(store)
    s3_server.stop_failing()


def test_nobody_listens(place: Destination, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as what it is, however slow this machine is just now: so the time of a call is not cut short here."""
    monkeypatch.setattr("reconciler.adapters.store.PATIENCE", 0.5)
    store = opened(with_options(place, endpoint_url=f"http://127.0.0.1:{closed_port}"))
    with pytest.raises(
        Unreachable, match=r"destination there: it cannot be used: .*; check address and network"
    ):
        keys(store)
    store.close()


def test_nobody_answers(place: Destination, silent_port: int, impatient: None) -> None:
    store = opened(with_options(place, endpoint_url=f"http://127.0.0.1:{silent_port}"))
    start = time.monotonic()
    with pytest.raises(Unreachable):
        keys(store)
    writer = store.create("daily/x")
    with pytest.raises(Unreachable):
        writer.write(BIG)
    writer.discard()
    assert time.monotonic() - start < 15
    store.close()


@pytest.mark.parametrize("checksums", ["when_required", "when_supported"])
def test_checksums_either_way(place: Destination, checksums: str) -> None:
    store = opened(with_options(place, checksums=checksums))
    write(store, "daily/x", BIG)
    store.put("daily/y", b"small")
    assert read(store, "daily/x") == BIG
    assert store.get("daily/y") == b"small"
    store.close()


def test_a_url_without_a_bucket(place: Destination) -> None:
    with pytest.raises(Unreachable, match="names no bucket"):
        opened(destination("s3://", place.options))


def test_a_process_ends_although_a_write_is_open(place: Destination) -> None:
    script = (
        "import base64, pickle, sys\n"
        "from tests.contracts.places import opened\n"
        "writer = opened(pickle.loads(base64.b64decode(sys.argv[1]))).create('daily/x')\n"
        "writer.write(bytes(20 << 20))\n"
        "raise SystemExit(3)\n"
    )
    command = [sys.executable, "-c", script, child.argument(place)]
    done = subprocess.run(
        command, cwd=child.REPOSITORY, timeout=30, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    store = opened(place)
    assert keys(store) == []
    with pytest.raises(Missing):
        store.read("daily/x")
    store.close()
