"""GNU tar as a source: the whole tree or an error, and changes while it is read as warnings."""

import io
import os
import signal
import socket
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.errors import SourceError
from reconciler.model import SourceReport
from reconciler.pipeline.archive import MOST_WARNINGS, Messages, TreeSource
from reconciler.pipeline.tarcheck import TarCheck
from tests.trees import build_nasty_tree, snapshot


def read(root: Path, *exclude: str) -> tuple[bytes, SourceReport]:
    source = TreeSource(root, exclude)
    try:
        return b"".join(source.chunks()), source.finish()
    finally:
        source.close()


def names(data: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return set(tar.getnames())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in ("a.tmp", "keep", "cache/x", "cache/.hidden", "sub/cache/deep/y", "sub/b.tmp", "sub/logs/l"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "sub/file-cache").write_text("cache as a part of a name")
    (root / "logs").write_text("a file called logs")
    return root


def test_a_hostile_tree_is_read_whole(tmp_path: Path) -> None:
    build_nasty_tree(tmp_path / "tree")
    data, report = read(tmp_path / "tree")
    assert report.files == len(snapshot(tmp_path / "tree"))
    assert report.warnings == ()
    assert len(data) < 2 << 20, "4 GiB of holes must stay holes"


def test_two_readings_of_a_tree_are_equal(tree: Path) -> None:
    assert read(tree)[0] == read(tree)[0]


def test_a_sparse_file_of_64_gib_is_read_at_once(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(64 << 30)
    data, report = read(tmp_path)
    assert (len(data) < 1 << 20, report.files) == (True, 2)


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("*.tmp", {"./a.tmp", "./sub/b.tmp"}),
        ("cache/", {"./cache/x", "./cache/.hidden", "./sub/cache/deep", "./sub/cache/deep/y"}),
        ("logs/", {"./sub/logs/l"}),
        ("logs", {"./logs", "./sub/logs", "./sub/logs/l"}),
        ("/logs", {"./logs"}),
        ("sub/*.tmp", {"./sub/b.tmp"}),
        ("*/l", set()),
        ("sub/cache/", {"./sub/cache/deep", "./sub/cache/deep/y"}),
        ("--files-from=/etc/passwd", set()),
        ("[ak]*", {"./a.tmp", "./keep"}),
    ],
)
def test_patterns_leave_out_what_the_documentation_says(tree: Path, pattern: str, gone: set[str]) -> None:
    everything = names(read(tree)[0])
    assert everything - names(read(tree, pattern)[0]) == gone


def test_a_folder_that_an_exclusion_empties_is_kept(tree: Path) -> None:
    assert "./cache" in names(read(tree, "cache/", "*.tmp")[0])


@pytest.mark.parametrize("name", ["plain", "-rf", "with\nnewline", "back\\slash", "*"])
def test_a_single_file_is_an_archive_of_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"content")
    (tmp_path / "other").write_bytes(b"other")
    data, report = read(tmp_path / name)
    assert report.files == 1
    assert names(data) == {f"./{name}"}


def test_a_root_that_is_a_link_is_followed(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "link").symlink_to(tree)
    assert read(tmp_path / "link")[0] == read(tree)[0]


def test_a_missing_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere cannot be read: No such file"):
        TreeSource(tmp_path / "nowhere")


def test_a_socket_is_left_out_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "tree/s"))
        _, report = read(tmp_path / "tree")
    assert report.warnings == ("./s: socket ignored",)
    assert report.files == 1


def slow_tree(tmp_path: Path) -> Path:
    """A tree whose first file is larger than all buffers: tar waits in it until the stream is read on."""
    root = tmp_path / "tree"
    (root / "z").mkdir(parents=True)
    (root / "a-large").write_bytes(os.urandom(12 << 20))
    for name in ("b-changes", "b-shrinks", "b-vanishes", "z/in-a-folder"):
        (root / name).write_bytes(b"x" * 100_000)
    return root


def after_first_chunk(source: TreeSource) -> tuple[bytes, Iterator[bytes]]:
    chunks = source.chunks()
    return next(chunks), chunks


def test_a_file_that_vanishes_is_a_warning(tmp_path: Path) -> None:
    root = slow_tree(tmp_path)
    source = TreeSource(root)
    first, rest = after_first_chunk(source)
    (root / "b-vanishes").unlink()
    (root / "z/in-a-folder").unlink()
    (root / "z").rmdir()
    data = first + b"".join(rest)
    report = source.finish()
    source.close()
    assert any("b-vanishes" in w and "removed before we read it" in w for w in report.warnings)
    assert {"./a-large", "./b-changes"} <= names(data)
    assert not {"./b-vanishes", "./z/in-a-folder"} & names(data)


def test_a_file_that_shrinks_and_grows_is_a_warning(tmp_path: Path) -> None:
    root = slow_tree(tmp_path)
    source = TreeSource(root)
    first, rest = after_first_chunk(source)
    os.truncate(root / "a-large", 8 << 20)
    data = first + b"".join(rest)
    report = source.finish()
    source.close()
    assert any("a-large" in w and "shrank" in w for w in report.warnings)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = tar.extractfile("./a-large")
        assert member is not None
        assert len(member.read()) == 12 << 20


def test_a_file_that_a_writer_appends_to_is_a_warning(tmp_path: Path) -> None:
    root = slow_tree(tmp_path)
    stop, wrote = threading.Event(), threading.Event()

    def write() -> None:
        with (root / "a-large").open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"more" * 1000)
                wrote.set()

    writer = threading.Thread(target=write)
    source = TreeSource(root)
    first, rest = after_first_chunk(source)
    writer.start()
    assert wrote.wait(10)
    data = first + b"".join(rest)
    stop.set()
    writer.join()
    report = source.finish()
    source.close()
    assert any("a-large" in w and "changed as we read it" in w for w in report.warnings)
    assert "./z/in-a-folder" in names(data)


def test_a_root_that_is_replaced_is_an_error(tmp_path: Path) -> None:
    """Every file of it would be a mere warning, and the backup next to empty."""
    root = slow_tree(tmp_path)
    source = TreeSource(root)
    _, rest = after_first_chunk(source)
    root.rename(tmp_path / "elsewhere")
    root.mkdir()
    for _ in rest:
        pass
    with pytest.raises(SourceError, match="replaced by another folder"):
        source.finish()
    source.close()


def test_an_unreadable_file_is_an_error() -> None:
    """A kernel file that takes writes alone: not even root may open it to read."""
    source = TreeSource(Path("/sys/bus/cpu/drivers_probe"))
    for _ in source.chunks():
        pass
    with pytest.raises(SourceError, match=r"exit code 2\): ./drivers_probe: Cannot open: Permission denied"):
        source.finish()
    source.close()


def test_a_killed_tar_is_an_error(tmp_path: Path) -> None:
    source = TreeSource(slow_tree(tmp_path))
    _, rest = after_first_chunk(source)
    os.kill(source._tar.pid, signal.SIGKILL)
    for _ in rest:
        pass
    with pytest.raises(SourceError, match="SIGKILL"):
        source.finish()
    source.close()


def test_close_in_the_middle_ends_tar(tmp_path: Path) -> None:
    source = TreeSource(slow_tree(tmp_path))
    after_first_chunk(source)
    source.close()
    source.close()
    assert not Path(f"/proc/{source._tar.pid}").exists()


def test_warnings_are_bounded_and_shown_safely() -> None:
    messages = Messages()
    for number in range(1000):
        messages.take(b"tar: ./%d\xff\x1b%s: file changed as we read it\n" % (number, b"n" * 4000))
    assert len(messages.warnings) == MOST_WARNINGS + 1
    assert messages.warnings[-1] == "… and 980 more warnings"
    assert "\\xff" in messages.warnings[0]
    assert all(len(warning) < 600 for warning in messages.warnings)
    assert not messages.grave


@pytest.mark.parametrize(
    "message",
    [
        "./x: Cannot open: Permission denied",
        "./x: Read error at byte 0, while reading 512 bytes: Input/output error",
        "Error is not recoverable: exiting now",
        "./x: Cannot open: Too many open files",
    ],
)
def test_other_messages_are_grave(message: str) -> None:
    messages = Messages()
    messages.take(f"tar: {message}\n".encode())
    assert list(messages.grave) == [message]


@pytest.mark.parametrize("size", [0, 1, 5_000, 7_168, 60_000, 62_464, 64_000, 3_000_000])
def test_an_archive_is_padded_as_tar_pads_so_that_a_pipe_by_hand_ends_well(tmp_path: Path, size: int) -> None:
    """More padding than a record of tar's would be left unread, and end the program that feeds tar with SIGPIPE."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(bytes(size))
    source = TreeSource(tree)
    data = b"".join(source.chunks())
    source.finish()
    source.close()
    plain = subprocess.run(
        ["tar", "--create", "--format=posix", "--file=-", "--sparse", f"--directory={tree}", "."],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    assert len(data) % 10_240 == 0
    assert len(data) - len(plain) in range(-10_240, 10_241)
    check = TarCheck()
    check.feed(data)
    assert check.end is not None
    assert len(data) - check.end < 10_240
