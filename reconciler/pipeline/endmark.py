"""Is a dump whole? What a command wrote may stop in the middle although it ended with exit code 0.

Several formats say at their end that they are complete. ``kind: command`` feeds everything through here: the first bytes tell
the format, the last ones whether it ends as it must. What is no such format passes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from reconciler.errors import SourceError
from reconciler.model import SourceReport
from reconciler.ports import Source

_HEAD = 512  # bytes: all that any format needs to be told by
_TAIL = 64 << 10  # bytes: a statement or two may follow the mark of a dump in SQL
_LAST = 256  # bytes: a mark with its date, and the line that newer versions of pg_dump add
_REDIS_EOF = 40  # bytes: in a pipe, redis-cli --rdb leaves the mark of a diskless transfer behind the file
_POSTGRES, _CLUSTER = b"-- PostgreSQL database dump complete", b"-- PostgreSQL database cluster dump complete"
_MYSQL = b"-- Dump completed"
_SQL_MARKS = (_POSTGRES, _CLUSTER, _MYSQL)


class _Seen(NamedTuple):
    """The beginning and the end of a dump, and its size in bytes."""

    head: bytes
    tail: bytes
    size: int


class _Format(NamedTuple):
    """How a dump in a format begins, and what is wrong with its end (empty: nothing)."""

    name: str
    begins: Callable[[bytes], bool]
    wrong: Callable[[_Seen], str]


class WholeSource:
    """A ports.Source that passes another one on, and is finished only if that one's dump has its end."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._head = b""
        self._tail = b""
        self._size = 0

    def chunks(self) -> Iterator[bytes]:
        """The same chunks."""
        for chunk in self._source.chunks():
            if len(self._head) < _HEAD:
                self._head += chunk[: _HEAD - len(self._head)]
            self._tail = (self._tail + chunk[-_TAIL:])[-_TAIL:]
            self._size += len(chunk)
            yield chunk

    def finish(self) -> SourceReport:
        """The other one's verdict, and then its format's. Raises SourceError."""
        report = self._source.finish()
        insist_whole(self._head, self._tail, self._size)
        return report

    def close(self) -> None:
        """End the other one."""
        self._source.close()


def insist_whole(head: bytes, tail: bytes, size: int) -> None:
    """Raises SourceError where the first bytes name a format, and the last ones are not its end."""
    for form in _FORMATS:
        if form.begins(head) and (why := form.wrong(_Seen(head, tail, size))):
            raise SourceError(
                f"the command ended well, but its output begins as {form.name} and {why}: it is not whole,"
                f" so it was not kept. Run the command by hand and look at what it says"
            )


def _has(mark: bytes) -> Callable[[_Seen], str]:
    """The mark, at the beginning of a line near the end; or another dump's at the very end, as several may be joined."""

    def wrong(seen: _Seen) -> str:
        near = b"\n" + seen.tail
        joined = any(b"\n" + other in near[-_LAST:] for other in _SQL_MARKS)
        return "" if joined or b"\n" + mark in near else f"lacks its last line, {mark.decode()!r}"

    return wrong


def _sql_of(*beginnings: bytes) -> Callable[[bytes], bool]:
    """A dump in SQL with one of these comments near its beginning; MariaDB's sandbox line may come before."""
    return lambda head: (
        head.startswith((b"--", b"/*")) and any(line.startswith(beginnings) for line in head.split(b"\n")[:4])
    )


def _script_of_sqlite(seen: _Seen) -> str:
    if b"\nROLLBACK; -- due to errors" in seen.tail:
        return "ends with ROLLBACK, due to errors"
    return "" if b"\nCOMMIT;" in seen.tail else "lacks its last line, 'COMMIT;'"


def _database_of_sqlite(seen: _Seen) -> str:
    """By https://www.sqlite.org/fileformat.html, 1.3.2 and 1.3.7: the header counts pages, unless an old version wrote last."""
    if len(seen.head) < 100:
        return f"ends after {seen.size} bytes, within its header"
    (page,) = struct.unpack_from(">H", seen.head, 16)
    changed, pages = struct.unpack_from(">II", seen.head, 24)
    (valid,) = struct.unpack_from(">I", seen.head, 92)
    expected = (65536 if page == 1 else page) * pages
    if changed != valid or seen.size >= expected:
        return ""
    return f"has {seen.size} bytes, where its header says {expected}"


def _tar(seen: _Seen) -> str:
    """POSIX pax: two blocks of zeros end it, and it is made of blocks of 512 bytes."""
    return (
        ""
        if seen.size % 512 == 0 and seen.tail.endswith(bytes(1024))
        else "lacks the two empty blocks at its end"
    )


def _redis(seen: _Seen) -> str:
    """From version 5 on, opcode 255 and eight bytes of checksum end it."""
    version = seen.head[5:9]
    ends = (seen.tail[-9 - more :][:1] == b"\xff" for more in (0, _REDIS_EOF))
    if not version.isdigit() or int(version) < 5 or any(ends):
        return ""
    return "lacks its end mark (255 and a checksum)"


def _mongo(seen: _Seen) -> str:
    """Every block of the archive ends with four bytes 255, and so does the last."""
    return "" if seen.tail.endswith(b"\xff" * 4) else "lacks its end mark (four bytes 255)"


_FORMATS = (
    _Format(
        "a dump of PostgreSQL",
        _sql_of(b"-- PostgreSQL database dump"),
        _has(_POSTGRES),
    ),
    _Format(
        "a dump of a PostgreSQL cluster",
        _sql_of(b"-- PostgreSQL database cluster dump"),
        _has(_CLUSTER),
    ),
    _Format("a dump of MySQL", _sql_of(b"-- MySQL dump"), _has(_MYSQL)),
    _Format("a dump of MariaDB", _sql_of(b"-- MariaDB dump"), _has(_MYSQL)),
    _Format(
        "a dump of SQLite",
        lambda head: head.startswith(b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;"),
        _script_of_sqlite,
    ),
    _Format("a database of SQLite", lambda head: head.startswith(b"SQLite format 3\0"), _database_of_sqlite),
    _Format("a tar", lambda head: head[257:262] == b"ustar", _tar),
    _Format("a dump of Redis", lambda head: head.startswith(b"REDIS"), _redis),
    _Format("an archive of mongodump", lambda head: head.startswith(b"\x6d\xe2\x99\x81"), _mongo),
)
