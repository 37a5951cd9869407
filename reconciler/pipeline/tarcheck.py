"""Is a tar stream whole? Sources feed it every chunk on the way past; it walks headers and unpacks nothing.

GNU tar and the Engine may end early and leave a stream that looks like an archive: only its two zero blocks say
that it is complete.
"""

from __future__ import annotations

from zlib import adler32

from reconciler.errors import SourceError

BLOCK = 512
MOST_PAX = 16 << 20
"""Bytes of extended header for one member; more is an attack or rubbish."""

_HEADER_ONLY = frozenset(
    b"123456"
)  # links, devices, folders, FIFOs: no content, whatever their size field says
_AUXILIARY = frozenset(b"LKgNV")  # long names, global headers, volume labels: describe, but are no members
_PAX = frozenset(b"xX")
_SPARSE = ord("S")
_FOLDER = ord("5")


class TarCheck:
    """Walks ustar, GNU and pax archives. ``members`` counts files, folders, links …, not the headers that describe them."""

    def __init__(self) -> None:
        self.members = 0
        self.end: int | None = None
        """Offset in bytes behind the two zero blocks, once they came."""
        self._fed = 0
        self._held = b""  # the beginning of a block, or of a pax body, that did not fit into the last chunk
        self._skip = 0  # bytes of content and padding still to pass
        self._pax = 0  # size of the pax body that comes next, padding excluded
        self._extended = False  # the next block continues the map of an old GNU sparse file
        self._size: int | None = None  # what a pax header said about the next member
        self._zeros = 0
        self._first: int | None = None

    @property
    def of_one_file(self) -> bool:
        """Whether the archive holds a file and no tree: its first member is no folder."""
        return self._first is not None and self._first != _FOLDER

    def feed(self, data: bytes) -> None:
        """Take the next bytes, any number of them. Raises SourceError where they are no tar."""
        self._fed += len(data)
        if self._held:
            data, self._held = self._held + data, b""
        at, end = 0, len(data)
        while at < end and self._zeros < 2:
            if self._skip and not self._extended:
                step = min(self._skip, end - at)
                self._skip -= step
                at += step
                continue
            need = _padded(self._pax) or BLOCK
            if end - at < need:
                self._held = data[at:]
                return
            self._take(data[at : at + need])
            at += need
        if self._zeros == 2 and self.end is None:
            self.end = self._fed - (end - at)
        if data.count(0, at) != end - at:
            raise SourceError("the archive goes on after its end: what was read is no sound tar")

    def finish(self) -> None:
        """After the last byte. Raises SourceError unless the archive is complete."""
        if self._zeros < 2:
            raise SourceError(
                f"the archive breaks off after {self.members} members: its end is missing, so the rest of the data is too"
            )

    def _take(self, block: bytes) -> None:
        if self._pax:
            self._size = _pax_size(block[: self._pax])
            self._pax = 0
        elif self._extended:
            self._extended = block[504] != 0
        elif _byte_sum(block) == 0:
            self._zeros += 1
        elif self._zeros:
            raise SourceError("a lone zero block stands inside the archive: what was read is no sound tar")
        else:
            self._header(block)

    def _header(self, block: bytes) -> None:
        if _byte_sum(block) - _byte_sum(block[148:156]) + 256 != _number(block[148:156]):
            raise SourceError(f"a header of the archive is damaged (checksum), after {self.members} members")
        flag, size = block[156], _number(block[124:136])
        if flag in _PAX:
            if size > MOST_PAX:
                raise SourceError(
                    f"the archive holds an extended header of {size} bytes: that is no sound tar"
                )
            self._pax = size
            return
        if flag not in _AUXILIARY:
            self.members += 1
            self._first = flag if self._first is None else self._first
            size, self._size = size if self._size is None else self._size, None
            self._extended = flag == _SPARSE and block[482] != 0
        self._skip = 0 if flag in _HEADER_ONLY else _padded(size)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _byte_sum(block: bytes) -> int:
    """The sum of at most 512 bytes. The low half of Adler-32 is a sum modulo 65521: exact for 256 bytes, and fast."""
    return (adler32(block[:256], 0) & 0xFFFF) + (adler32(block[256:], 0) & 0xFFFF)


def _number(field: bytes) -> int:
    """A number of a header: octal, or base 256 when its first bit is set."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        raise SourceError(f"a header of the archive holds {field!r} where a number belongs") from None


def _pax_size(body: bytes) -> int | None:
    """The ``size`` record of a pax header: it overrides the size field, which holds 8 GiB at most."""
    size = None
    at = 0
    while b" size=" in body[at:]:
        length, space, _ = body[at : at + 20].partition(b" ")
        if not (space and length.isdigit() and int(length) > 0):
            raise SourceError("an extended header of the archive is damaged")
        key, _, value = body[at + len(length) + 1 : at + int(length) - 1].partition(b"=")
        if key == b"size":
            size = _decimal(value)
        at += int(length)
    return size


def _decimal(value: bytes) -> int:
    if not value.isdigit():
        raise SourceError(f"an extended header of the archive holds the size {value[:40]!r}")
    return int(value)
