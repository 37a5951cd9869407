"""A hostile file tree, and a snapshot that compares two trees in everything a backup has to keep.

Used by every test that ends in a restore: `assert snapshot(restored) == snapshot(original)`.
"""

import hashlib
import os
import stat
import struct
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.parts.process import program

GIB = 1 << 30
BLOCK = 1 << 16
UNKNOWN_UID, UNKNOWN_GID = 54321, 65432
# A file capability as the kernel keeps it: version 2, effective, CAP_NET_BIND_SERVICE permitted.
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
TIMES = {
    b"times/nanoseconds": 1_768_878_000_123_456_789,
    b"times/one nanosecond": 1,
    b"times/before the epoch": -86_400_000_000_000,
    b"times/after 2038": 4_102_444_800_999_999_999,
}


class Entry(NamedTuple):
    """What one name in a tree is; two trees are the same when all their entries are equal."""

    kind: int
    """S_IFREG, S_IFDIR, …"""
    mode: int
    """Permission bits with setuid, setgid and sticky."""
    uid: int
    gid: int
    mtime_ns: int
    size: int
    """Bytes of a file; 0 for everything else."""
    content: str
    """sha256 over the blocks that are not zero, with their places: the same whether a hole is one or not."""
    sparse: bool
    """Whether a large file takes less than half of its size on the disk."""
    target: bytes
    """Of a symbolic link."""
    xattrs: tuple[tuple[str, bytes], ...]
    """Extended attributes; ACLs and file capabilities are among them."""
    links: tuple[bytes, ...]
    """The other names of the same file, sorted."""


Snapshot = dict[bytes, Entry]


def build_nasty_tree(root: Path, sparse_size: int = 4 * GIB, deep_bytes: int = 3500) -> None:
    """Fill `root` with everything that breaks naive backups.

    Args:
        root: an existing or new folder.
        sparse_size: bytes of the sparse file; it takes about 200 kB on the disk.
        deep_bytes: length in bytes of the longest path below `root`; no system call takes more than 4,095.
    """
    root.mkdir(parents=True, exist_ok=True)
    base = os.fsencode(root)
    make_names(base)
    make_links(base)
    make_special(base, sparse_size)
    make_owners_and_modes(base)
    make_attributes(base)
    make_deep(base, deep_bytes)
    make_times(base)


def make_file(path: bytes, content: bytes = b"content\n") -> bytes:
    """Write a file and the folders above it; its path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    return path


def make_names(base: bytes) -> None:
    """Names that shells, tar listings and text codecs trip over."""
    names = [
        b"caf\xe9-latin1", b"\xff\xfe", b"two\nlines", b"a\ttab", b"-rf", b"--help", b" space ",
        b"star*", b"question?", b"[brackets]", b"quote'\"", b"$HOME", b"`id`", b"%s%n", b"~", b"#",
        b"cafe\xcc\x81", b"\xf0\x9f\x92\xbe", b"\x01\x1b[31m", b"x" * 255, b"y" * 100, b"z" * 101,
        b".@LongLink", b"...", b"CON", b"case", b"Case", b"back\\slash", b"caf\xc3\xa9",
    ]  # fmt: skip
    for name in names:
        make_file(os.path.join(base, b"names", name), b"of " + name)
    os.makedirs(os.path.join(base, b"names", b"folder\nwith\xe9" + b"d" * 200))


def make_links(base: bytes) -> None:
    """Hard links across folders; symbolic links that dangle, loop, leave the tree or are very long."""
    first = make_file(os.path.join(base, b"links", b"first"), b"shared")
    os.makedirs(os.path.join(base, b"links", b"other"))
    os.link(first, os.path.join(base, b"links", b"second"))
    os.link(first, os.path.join(base, b"links", b"other", b"third"))
    targets = {
        b"dangling": b"nowhere",
        b"loop": b"loop",
        b"absolute": b"/etc/passwd",
        b"up": b"../../..",
        b"dot": b".",
    }
    for name, target in (targets | {b"bytes": b"caf\xe9\n", b"long": b"t/" * 2000}).items():
        os.symlink(target, os.path.join(base, b"links", name))


def make_special(base: bytes, sparse_size: int) -> None:
    """A FIFO, empty things, and files with holes."""
    place = os.path.join(base, b"special")
    os.makedirs(os.path.join(place, b"empty", b"emptier"))
    os.mkfifo(os.path.join(place, b"fifo"), 0o640)
    make_file(os.path.join(place, b"empty file"), b"")
    make_file(os.path.join(place, b"one byte"), b"\0")
    make_file(os.path.join(place, b"binary"), bytes(range(256)) * 1000)
    with open(os.path.join(place, b"sparse"), "wb") as file:
        for offset in (0, sparse_size // 4, sparse_size // 2 + 12345):
            file.seek(offset)
            file.write(b"data in a hole" * 1000)
        file.truncate(sparse_size)
    with open(os.path.join(place, b"only a hole"), "wb") as file:
        file.truncate(sparse_size // 4)


def make_owners_and_modes(base: bytes) -> None:
    """Modes with setuid, setgid and sticky; owners that no passwd entry names (as root)."""
    place = os.path.join(base, b"modes")
    unreadable = () if os.geteuid() else (0o000, 0o111)
    for mode in (*unreadable, 0o400, 0o444, 0o4755, 0o2755, 0o6711, 0o1644, 0o777):
        os.chmod(make_file(os.path.join(place, b"file %o" % mode)), mode)
    for mode in (0o700, 0o2775, 0o1777, 0o555):
        folder = os.path.join(place, b"folder %o" % mode)
        os.makedirs(folder)
        os.chmod(folder, mode)
    if os.geteuid() != 0:
        return
    os.chown(make_file(os.path.join(base, b"owners", b"unknown")), UNKNOWN_UID, UNKNOWN_GID)
    os.chown(make_file(os.path.join(base, b"owners", b"large")), 4_000_000_000, 4_000_000_001)
    os.symlink(b"unknown", os.path.join(base, b"owners", b"link"))
    os.chown(os.path.join(base, b"owners", b"link"), UNKNOWN_UID, UNKNOWN_GID, follow_symlinks=False)
    setuid = make_file(os.path.join(base, b"owners", b"setuid of another"))
    os.chown(setuid, UNKNOWN_UID, UNKNOWN_GID)
    os.chmod(setuid, 0o4750)


def make_attributes(base: bytes) -> None:
    """Extended attributes, POSIX ACLs (a default one too), a file capability (as root)."""
    place = os.path.join(base, b"attributes")
    plain = make_file(os.path.join(place, b"user"))
    os.setxattr(plain, "user.comment", b"caf\xe9\0 and a zero")
    os.setxattr(plain, "user.empty", b"")
    os.setxattr(place, "user.of.a.folder", b"x" * 1000)
    folder = os.path.join(place, b"acl folder")
    os.makedirs(folder)
    file = make_file(os.path.join(place, b"acl file"))
    setfacl = program("setfacl", "acl")
    subprocess.run([setfacl, "-m", f"u:{UNKNOWN_UID}:rwx,g:{UNKNOWN_GID}:r", file, folder], check=True)
    subprocess.run([setfacl, "-d", "-m", f"u:{UNKNOWN_UID}:r-x", folder], check=True)
    if os.geteuid() == 0:
        os.setxattr(make_file(os.path.join(place, b"capable")), "security.capability", CAPABILITY)


def make_deep(base: bytes, deep_bytes: int) -> None:
    """A chain of folders with a file at its end, `deep_bytes` long from `base` on."""
    length, here = len(b"deep"), os.path.join(base, b"deep")
    os.mkdir(here)
    at = os.open(here, os.O_DIRECTORY)
    while length + 200 < deep_bytes:
        os.mkdir(b"d" * 120, dir_fd=at)
        below = os.open(b"d" * 120, os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at, length = below, length + 121
    file = os.open(b"f" * (deep_bytes - length - 1), os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=at)
    os.write(file, b"at the end of a deep path\n")
    os.close(file)
    os.close(at)


def make_times(base: bytes) -> None:
    """Times that need nanoseconds, a sign, or more than 32 bits; last of all, since writing changes them."""
    for name, time in TIMES.items():
        path = make_file(os.path.join(base, name))
        os.utime(path, ns=(time, time))
    link = os.path.join(base, b"times", b"link")
    os.symlink(b"nanoseconds", link)
    os.utime(link, ns=(0, 1_000_000_000_987_654_321), follow_symlinks=False)
    for folder in (os.path.join(base, b"times"), os.path.join(base, b"special", b"empty"), base):
        os.utime(folder, ns=(0, 1_700_000_000_111_222_333))


def snapshot(root: Path) -> Snapshot:
    """Everything comparable of the tree at `root`, by path relative to it; `b"."` is the root itself."""
    found: dict[bytes, tuple[os.stat_result, Entry]] = {}
    names: dict[tuple[int, int], list[bytes]] = defaultdict(list)
    for path, place in walk(os.fsencode(root)):
        about = os.lstat(place)
        found[path] = about, entry_of(place, about)
        if not stat.S_ISDIR(about.st_mode):
            names[about.st_dev, about.st_ino].append(path)
    return {
        path: entry._replace(links=tuple(sorted(set(names[about.st_dev, about.st_ino]) - {path})))
        for path, (about, entry) in found.items()
    }


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What is not the same, one line each, to read when `before == after` fails."""
    lines = [f"missing: {path!r}" for path in sorted(before.keys() - after.keys())]
    lines += [f"extra: {path!r}" for path in sorted(after.keys() - before.keys())]
    for path in sorted(before.keys() & after.keys()):
        pairs = zip(Entry._fields, before[path], after[path], strict=True)
        lines += [f"{path!r}: {name}: {old!r} -> {new!r}" for name, old, new in pairs if old != new]
    return lines


def walk(root: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(path relative to the root, path to use now) of everything; however deep it lies."""
    yield b".", root
    with opened_folder(root) as at:
        yield from walk_below(b"", at)


def walk_below(above: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    """The entries below an open folder."""
    base = b"/proc/self/fd/%d/" % at
    for name in sorted(os.fsencode(name) for name in os.listdir(at)):
        yield above + name, base + name
        if stat.S_ISDIR(os.lstat(base + name).st_mode):
            with opened_folder(base + name) as below:
                yield from walk_below(above + name + b"/", below)


@contextmanager
def opened_folder(path: bytes) -> Iterator[int]:
    """A descriptor of a folder."""
    at = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield at
    finally:
        os.close(at)


def entry_of(place: bytes, about: os.stat_result) -> Entry:
    """What lies at `place`, its other names left out."""
    kind, mode = stat.S_IFMT(about.st_mode), stat.S_IMODE(about.st_mode)
    regular = kind == stat.S_IFREG
    size = about.st_size if regular else 0
    content = content_of(place) if regular else ""
    sparse = size > BLOCK and about.st_blocks * 512 < size // 2
    target = os.readlink(place) if kind == stat.S_IFLNK else b""
    known = sorted(set(os.listxattr(place, follow_symlinks=False)) - {"security.selinux"})
    xattrs = tuple((name, os.getxattr(place, name, follow_symlinks=False)) for name in known)
    owner = about.st_uid, about.st_gid
    return Entry(kind, mode, *owner, about.st_mtime_ns, size, content, sparse, target, xattrs, ())


def content_of(place: bytes) -> str:
    """A hash of a file's content that skips holes, so that 4 GiB of them cost nothing."""
    digest, zeros = hashlib.sha256(), bytes(BLOCK)
    with open(place, "rb", buffering=0) as file:
        for start, end in data_ranges(file.fileno()):
            for offset in range(start - start % BLOCK, end, BLOCK):
                block = os.pread(file.fileno(), BLOCK, offset)
                if block != zeros[: len(block)]:
                    digest.update(b"%d:%s" % (offset, block))
    return digest.hexdigest()


def data_ranges(file: int) -> Iterator[tuple[int, int]]:
    """(start, end) of what is no hole; blocks that two ranges share are read once only."""
    size, position = os.fstat(file).st_size, 0
    while position < size:
        try:
            start = os.lseek(file, position, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            return
        start = max(position, start)
        end = os.lseek(file, start, os.SEEK_HOLE)
        position = min(size, end + -end % BLOCK)
        yield start, position
