"""The comparison that the end-to-end tests rest on sees every kind of difference, and nothing else."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trees import build_nasty_tree, differences, snapshot

GNU_TAR = ["--format=posix", "--sparse", "--acls", "--xattrs", "--xattrs-include=*", "--numeric-owner"]
MIB = 1 << 20


def tar_copy(source: Path, target: Path) -> None:
    """Copy a tree through GNU tar, the most faithful tool at hand."""
    target.mkdir()
    packed = subprocess.Popen(["tar", *GNU_TAR, "-C", source, "-cf", "-", "."], stdout=subprocess.PIPE)
    subprocess.run(["tar", *GNU_TAR, "-C", target, "-xpf", "-"], stdin=packed.stdout, check=True)
    assert packed.stdout is not None
    packed.stdout.close()
    assert packed.wait() == 0


def test_a_faithful_copy_is_equal(tmp_path: Path) -> None:
    build_nasty_tree(tmp_path / "a")
    tar_copy(tmp_path / "a", tmp_path / "b")
    before, after = snapshot(tmp_path / "a"), snapshot(tmp_path / "b")
    assert differences(before, after) == []
    assert before == after


def test_a_large_hole_is_compared_quickly(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    began = time.monotonic()
    assert snapshot(tmp_path)[b"sparse"].sparse
    assert time.monotonic() - began < 1


def test_content_is_equal_whether_zeros_are_a_hole(tmp_path: Path) -> None:
    content = b"x" * 5000 + bytes(MIB) + b"y" * 5000
    (tmp_path / "dense").write_bytes(content)
    with (tmp_path / "holes").open("wb") as file:
        file.write(b"x" * 5000)
        file.seek(5000 + MIB)
        file.write(b"y" * 5000)
    seen = snapshot(tmp_path)
    assert seen[b"dense"].content == seen[b"holes"].content
    assert (seen[b"dense"].sparse, seen[b"holes"].sparse) == (False, True)


def test_paths_longer_than_any_system_call_takes(tmp_path: Path) -> None:
    build_nasty_tree(tmp_path / "a", sparse_size=MIB, deep_bytes=6000)
    assert max(len(path) for path in snapshot(tmp_path / "a")) == 6000


def change_content(file: Path) -> None:
    about = file.stat()
    file.write_bytes(b"Content\n")
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))


def break_link(file: Path) -> None:
    shutil.copy2(file, file.with_name("copy"))
    file.with_name("copy").rename(file)


def same_size_hole(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.seek(300)
        stream.write(b"!")


@pytest.mark.parametrize(
    ("name", "change", "field"),
    [
        ("names/-rf", lambda file: file.unlink(), "missing"),
        ("names/case", lambda file: file.with_name("new").write_bytes(b""), "extra"),
        ("times/after 2038", change_content, "content"),
        ("special/sparse", same_size_hole, "content"),
        ("times/nanoseconds", lambda file: os.utime(file, ns=(0, 1_768_878_000_123_456_788)), "mtime_ns"),
        ("modes/file 4755", lambda file: file.chmod(0o755), "mode"),
        ("owners/unknown", lambda file: os.chown(file, 0, -1), "uid"),
        ("attributes/user", lambda file: os.removexattr(file, "user.empty"), "xattrs"),
        ("attributes/acl file", lambda file: subprocess.run(["setfacl", "-b", file], check=True), "xattrs"),
        ("links/second", break_link, "links"),
    ],
)
def test_every_change_is_seen(
    tmp_path: Path, name: str, change: Callable[[Path], object], field: str
) -> None:
    if name.startswith("owners") and os.geteuid() != 0:
        pytest.skip("only root gives files away")
    build_nasty_tree(tmp_path / "a", sparse_size=MIB)
    before = snapshot(tmp_path / "a")
    change(tmp_path / "a" / name)
    after = snapshot(tmp_path / "a")
    assert before != after
    assert any(field in line for line in differences(before, after))
