"""A tar stream counts only when it is whole: every cut and every damaged header is noticed, in any piece size."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import SourceError
from reconciler.pipeline.tarcheck import TarCheck

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
KINDS = [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]


def checked(data: bytes, piece: int = 1 << 20) -> TarCheck:
    check = TarCheck()
    for at in range(0, len(data), piece):
        check.feed(data[at : at + piece])
    check.finish()
    return check


def archive(members: list[tuple[str, bytes, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar by Python's tarfile of (name, type, content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.mtime = 1.5 if form == tarfile.PAX_FORMAT else 1
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            info.linkname = "elsewhere" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def pieces(data: bytes) -> Iterator[bytes]:
    """Every beginning of ``data`` that ends at a block or in the middle of one."""
    for block in range(0, len(data), 512):
        for cut in (block, block + 1, block + 156, block + 511):
            yield data[:cut]


@settings(max_examples=150, deadline=None)
@given(
    members=st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300),
            st.sampled_from(KINDS),
            st.binary(max_size=2000),
        ),
        max_size=6,
    ),
    form=st.sampled_from(FORMATS[1:]),
    piece=st.integers(1, 3000),
)
def test_archives_of_any_content_pass_in_pieces_of_any_size(
    members: list[tuple[str, bytes, bytes]], form: int, piece: int
) -> None:
    assert checked(archive(members, form), piece).members == len(members)


@pytest.mark.parametrize("form", FORMATS)
def test_every_cut_is_noticed(form: int) -> None:
    whole = archive(
        [("folder", tarfile.DIRTYPE, b""), ("file", tarfile.REGTYPE, b"x" * 1300), ("n" * 90, b"0", b"")],
        form,
    )
    end = len(whole.rstrip(b"\0")) + 511 & ~511
    for cut in pieces(whole[: end + 1023]):
        with pytest.raises(SourceError, match="breaks off"):
            checked(cut)
    assert checked(whole[: end + 1024]).members == 3


@pytest.mark.parametrize("form", FORMATS)
def test_every_damaged_header_is_noticed(form: int) -> None:
    whole = archive([("file", tarfile.REGTYPE, b""), ("other", tarfile.REGTYPE, b"")], form)
    headers = [at for at in range(0, len(whole), 512) if whole[at + 257 : at + 262] == b"ustar"]
    assert len(headers) >= 2
    for at in headers:
        for byte in (0, 100, 124, 150, 156, 345):
            damaged = bytearray(whole)
            damaged[at + byte] ^= 0x15
            with pytest.raises(SourceError):
                checked(bytes(damaged))


@pytest.mark.parametrize("rubbish", [b"x", b"\0" * 100 + b"x", archive([("again", b"0", b"")])])
def test_data_after_the_end_is_noticed(rubbish: bytes) -> None:
    with pytest.raises(SourceError, match="after its end"):
        checked(archive([("file", b"0", b"content")]) + rubbish)


def test_a_lone_zero_block_is_noticed() -> None:
    one = archive([("file", b"0", b"")])
    with pytest.raises(SourceError, match="lone zero block"):
        checked(one[:1024] + bytes(512) + one)


@pytest.mark.parametrize("data", [b"", b"no tar at all", b"x" * 10_000, os.urandom(5000)])
def test_what_is_no_tar_is_noticed(data: bytes) -> None:
    with pytest.raises(SourceError):
        checked(data)


def test_an_empty_archive_is_whole() -> None:
    assert checked(bytes(1024)).members == 0


@pytest.mark.parametrize(
    ("form", "sparse"),
    [
        *((form, []) for form in ("v7", "ustar", "oldgnu", "gnu", "posix")),
        *((form, ["--sparse"]) for form in ("oldgnu", "gnu", "posix")),
        *(("posix", ["--sparse", f"--sparse-version={version}"]) for version in ("0.0", "0.1", "1.0")),
    ],
)
def test_what_gnu_tar_writes_passes(tmp_path: Path, form: str, sparse: list[str]) -> None:
    """Sparse files with more parts than one header holds, long names, long links."""
    tree = tmp_path / "tree"
    tree.mkdir()
    with (tree / "holes").open("wb") as file:
        for part in range(60):
            file.seek(part * 100_000)
            file.write(b"part")
    (tree / "zeros").write_bytes(bytes(4096))
    (tree / "last").write_bytes(b"last")
    if form not in ("ustar", "v7"):
        (tree / ("n" * 200)).write_bytes(b"")
        (tree / "link").symlink_to("t" * 300)
    command = ["tar", "-c", "-f", "-", f"--format={form}", *sparse, "--sort=name", "-C", str(tree), "."]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    assert checked(data, 700).members == 1 + len(list(tree.iterdir()))


def test_sizes_past_eight_gibibytes_are_understood() -> None:
    """In base 256 (GNU) and as a pax record; the content itself is passed over, never held."""
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        info = tarfile.TarInfo("large")
        info.size = 9 << 30
        check, zeros = TarCheck(), bytes(1 << 26)
        check.feed(info.tobuf(form))
        for _ in range(info.size // len(zeros)):
            check.feed(zeros)
        with pytest.raises(SourceError, match="after 1 members"):
            check.finish()
        check.feed(archive([("next", b"0", b"")]))
        check.finish()
        assert check.members == 2


def test_a_name_that_looks_like_a_size_record_is_only_a_name() -> None:
    name = "ä 11 size=99999\n13 size=88888\n"
    assert checked(archive([(name, b"0", b"content"), ("next", b"0", b"")])).members == 2


def test_an_extended_header_of_gigabytes_is_refused() -> None:
    info = tarfile.TarInfo("huge")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    with pytest.raises(SourceError, match="extended header"):
        checked(info.tobuf(tarfile.GNU_FORMAT))


@pytest.mark.parametrize(("kind", "expected"), [(tarfile.REGTYPE, True), (tarfile.DIRTYPE, False)])
def test_an_archive_of_one_file_is_told_from_a_tree(kind: bytes, expected: bool) -> None:
    assert checked(archive([("./ä", kind, b"")])).of_one_file is expected
