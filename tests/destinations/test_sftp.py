"""``sftp://``: the pinned host key, logins, and a server's full disk."""

import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.destinations.sftp import SftpStore
from reconciler.errors import StoreError, Unreachable
from reconciler.model import Destination, OptionValue
from tests.contracts.places import Places, destination, keys, opened, read, write
from tests.destinations.conftest import Mount
from tests.parts.process import program
from tests.parts.sftp import SftpServer, make_key

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2tqlbLXxz1aGZ9P1G8F3CqfYd1sXYhL8uQx0dV7n4m"


@pytest.fixture
def place(places: Places) -> Destination:
    return places.make("sftp")


@pytest.fixture
def root(place: Destination, sftp_server: SftpServer) -> Path:
    return sftp_server.root / place.url.rpartition("/")[2]


@pytest.fixture
def store(place: Destination) -> Iterator[SftpStore]:
    there = opened(place)
    assert isinstance(there, SftpStore)
    yield there
    there.close()


def with_options(place: Destination, **options: OptionValue | None) -> Destination:
    """The same place; an option that is None is left out."""
    merged = {**place.options, **options}
    return destination(place.url, {name: value for name, value in merged.items() if value is not None})


def fingerprint(key: str, folder: Path) -> str:
    """What ssh-keygen says of a public key."""
    (folder / "key.pub").write_text(key)
    command = [program("ssh-keygen", "openssh-client"), "-l", "-f", str(folder / "key.pub")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]


def test_folders_and_files_are_for_the_user_alone(store: SftpStore, root: Path) -> None:
    store.put("daily/x", b"1")
    for path in (root, root / "daily"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "daily" / "x").stat().st_mode) == 0o600


def test_a_changed_host_key(
    place: Destination, sftp_server: SftpServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = opened(with_options(place, host_key=OTHER_KEY))
    with pytest.raises(Unreachable, match="its host key has changed") as caught:
        keys(store)
    assert f"pinned ssh-ed25519 {fingerprint(OTHER_KEY, tmp_path)}" in str(caught.value)
    assert f"shown ssh-ed25519 {fingerprint(sftp_server.host_key, tmp_path)}" in str(caught.value)
    assert "ssh-keyscan -p" in str(caught.value)
    with pytest.raises(Unreachable):
        store.put("daily/x", b"1")
    store.close()
    assert capfd.readouterr().err == ""


def test_known_hosts(place: Destination, sftp_server: SftpServer, tmp_path: Path) -> None:
    (tmp_path / "known").write_text(f"{sftp_server.known_hosts}\n")
    store = opened(with_options(place, host_key=None, known_hosts=str(tmp_path / "known")))
    store.put("daily/x", b"1")
    assert keys(store) == ["daily/x"]
    store.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "is not in .*; add its key"), ("[127.0.0.1]:{port} " + OTHER_KEY, "its host key has changed")],
)
def test_known_hosts_that_do_not_hold_the_key(
    place: Destination, sftp_server: SftpServer, tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "known").write_text(content.format(port=sftp_server.port) + "\n")
    store = opened(with_options(place, host_key=None, known_hosts=str(tmp_path / "known")))
    with pytest.raises(Unreachable, match=message):
        keys(store)
    store.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"host_key": None},
            "exactly one of the options host_key and known_hosts is needed; see it with: ssh-keyscan",
        ),
        ({"known_hosts": "/dev/null"}, "exactly one of the options"),
        ({"host_key": "no key"}, "the option host_key is no public key as ssh-keyscan prints it"),
        (
            {"host_key": None, "known_hosts": "/no/file"},
            "known_hosts file /no/file cannot be read: no such file",
        ),
        (
            {"private_key_file": "/no/file"},
            "private key file /no/file cannot be read: no such file or directory",
        ),
        ({"username": "nobody"}, "nobody was refused; check user name, key and password"),
    ],
)
def test_what_cannot_work_is_said(
    place: Destination, options: dict[str, OptionValue | None], message: str
) -> None:
    with pytest.raises(Unreachable, match=message):
        opened(with_options(place, **options)).read("daily/x")


def test_a_wrong_key_and_a_wrong_password(place: Destination, places: Places, tmp_path: Path) -> None:
    make_key(tmp_path / "other")
    for options in ({"private_key_file": str(tmp_path / "other")}, {"password": places.secret("hunter2")}):
        store = opened(with_options(place, **{"private_key_file": None, **options}))
        with pytest.raises(Unreachable, match="was refused; check user name, key and password") as caught:
            keys(store)
        assert "hunter2" not in str(caught.value)
        store.close()


@pytest.mark.parametrize("url", ["sftp:///folder", "sftp://host:port/folder", "sftp://u:secret@host/folder"])
def test_a_url_that_cannot_be_used(place: Destination, url: str) -> None:
    with pytest.raises(Unreachable) as caught:
        opened(destination(url, place.options))
    assert "secret" not in str(caught.value)


def test_without_the_folder_above_it_is_not_mounted(place: Destination) -> None:
    store = opened(destination(f"{place.url}/deeper", place.options))
    for use in (lambda: keys(store), lambda: store.put("x", b"")):
        with pytest.raises(Unreachable, match=r"there is no folder .* on .*; mount the disk there"):
            use()
    store.close()


def test_nobody_listens(place: Destination, closed_port: int, impatient: None) -> None:
    store = opened(destination(f"sftp://u@127.0.0.1:{closed_port}/x", place.options))
    with pytest.raises(Unreachable, match="no connection: "):
        keys(store)
    store.close()


def test_nobody_answers(
    place: Destination, silent_port: int, impatient: None, capfd: pytest.CaptureFixture[str]
) -> None:
    store = opened(destination(f"sftp://u@127.0.0.1:{silent_port}/x", {**place.options, "timeout": 1}))
    start = time.monotonic()
    with pytest.raises(Unreachable, match="no connection: "):
        store.create("daily/x")
    assert time.monotonic() - start < 10
    store.close()
    assert capfd.readouterr().err == ""


def test_a_connection_that_broke_is_made_again(store: SftpStore) -> None:
    store.put("daily/x", b"1")
    for session in store._server._idle:
        transport = session.client.get_transport()
        assert transport is not None
        transport.close()
    assert keys(store) == ["daily/x"]


def test_links_are_not_listed(store: SftpStore, root: Path) -> None:
    store.put("daily/x", b"1")
    (root / "daily" / "link").symlink_to(root / "daily" / "x")
    (root / "loop").symlink_to(root)
    assert keys(store) == ["daily/x"]


def test_leftovers_are_listed_and_abandoned(store: SftpStore, root: Path) -> None:
    store.put("daily/x", b"1")
    (root / "daily" / "y.part").write_bytes(b"half")
    assert keys(store) == ["daily/x", "daily/y.part"]
    store.abandon("daily/y")
    assert keys(store) == ["daily/x"]


def test_a_full_disk(store: SftpStore, root: Path, mount: Mount) -> None:
    mount(root, "size=4m")
    store.put("daily/good", b"kept")
    for size in (6 << 20, (4 << 20) + 1):
        with pytest.raises(StoreError, match=r"write daily/x: .*; check free space, quota and rights there"):
            write(store, "daily/x", bytes(size), 100_000)
        assert keys(store) == ["daily/good"]
    deadline = time.monotonic() + 20
    while (
        free := os.statvfs(root)
    ).f_bavail * free.f_frsize < 3 << 20:  # the server closes what was removed in its own time
        assert time.monotonic() < deadline
    write(store, "daily/x", bytes(3 << 20))
    assert read(store, "daily/x") == bytes(3 << 20)


def test_a_read_only_disk(store: SftpStore, root: Path, mount: Mount) -> None:
    mount(root, "size=4m")
    store.put("daily/x", b"kept")
    mount(root, "remount,ro")
    for key in ("daily/x", "daily/y", "weekly/y"):
        with pytest.raises(StoreError):
            store.put(key, b"")
    with pytest.raises(StoreError):
        store.delete("daily/x")
    assert store.get("daily/x") == b"kept"


def test_a_file_that_lost_bytes_is_not_published(store: SftpStore, root: Path) -> None:
    writer = store.create("daily/x")
    writer.write(b"12345" * 10_000)
    writer.write(b"end")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "size", 60_000)
        with pytest.raises(StoreError, match="60000 bytes were written, 50003 are there"):
            writer.commit()
    writer.discard()
    assert keys(store) == []
