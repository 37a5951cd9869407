"""A dump that stops in the middle is told from a whole one, by its format; with real dumps of real servers."""

import io
import random
import sqlite3
import tarfile
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import SourceError
from reconciler.pipeline import endmark
from reconciler.pipeline.endmark import WholeSource, insist_whole
from reconciler.targets.command import LocalCommand
from tests.parts import databases
from tests.parts.databases import Kind, database
from tests.parts.engine import EngineHost

ROWS = (
    "create table orders(id integer primary key, item text); begin;"
    + "".join(f"insert into orders values({n}, 'thing {n} -- Dump completed');" for n in range(300))
    + "commit;"
)
KEYS = "\n".join(f"set key:{n} value-{n}" for n in range(200))
ADMIN = 'PGPASSWORD="$POSTGRES_PASSWORD"'
ROOT = '-u root -p"$MYSQL_ROOT_PASSWORD"'
REAL: dict[str, tuple[Kind, str, tuple[str, ...]]] = {
    "PostgreSQL": (
        databases.POSTGRES,
        ROWS,
        (
            f'{ADMIN} pg_dump -U "$POSTGRES_USER" "$POSTGRES_DB"',
            f'{ADMIN} pg_dump -U "$POSTGRES_USER" --clean --create "$POSTGRES_DB"',
            f'{ADMIN} pg_dump -U "$POSTGRES_USER" -Ft "$POSTGRES_DB"',
            f'{ADMIN} pg_dumpall -U "$POSTGRES_USER"',
        ),
    ),
    "MariaDB": (
        databases.MARIADB,
        ROWS,
        (f"mysqldump {ROOT} --all-databases", f"mysqldump {ROOT} --skip-dump-date --databases shop"),
    ),
    "Redis": (
        databases.REDIS,
        KEYS,
        ("env -u REDISCLI_AUTH redis-cli --rdb -",),  # to a file: tests/systems/test_row_d_databases.py
    ),
    "SQLite": (
        databases.SQLITE,
        ROWS,
        (
            'sqlite3 "$SQLITE_FILE" .dump',
            'sqlite3 "$SQLITE_FILE" ".backup /tmp/b" && cat /tmp/b && rm /tmp/b',
            "cd /data && tar -c .",
        ),
    ),
}


def insist(data: bytes) -> None:
    insist_whole(data[: endmark._HEAD], data[-endmark._TAIL :], len(data))


def cuts(data: bytes) -> list[int]:
    """Where to cut it: near both ends, and anywhere between."""
    near = [len(data) - step for step in (1, 2, 9, 100, 512) if step < len(data)]
    return [*near, 600, *random.Random(len(data)).sample(range(600, len(data) - 64), 50)]


@pytest.mark.usefixtures("database_image")
@pytest.mark.parametrize("name", REAL)
def test_a_real_dump_is_whole_and_no_part_of_it_is(name: str, engine_host: EngineHost) -> None:
    kind, content, commands = REAL[name]
    place = f"endmark-{uuid.uuid4().hex[:8]}"
    with database(kind, engine_host, place, place) as server:
        server.sql(content)
        dumps = [server.run(command) for command in commands]
    for data in dumps:
        assert len(data) > 1000
        insist(data)
        passed = [cut for cut in cuts(data) if not refused(data[:cut])]
        # only what lies behind the mark itself may be missing: the date, or the lines that follow
        mark = max(data.rfind(b"-- Dump completed"), data.rfind(b"dump complete\n"), data.rfind(b"COMMIT;"))
        missed = [cut for cut in passed if not 0 < mark < cut]
        # or several dumps in one, cut right behind one of them; a byte of Redis' data may be 255
        assert [cut for cut in missed if not ends_by_chance(data[:cut])] == []


def ends_by_chance(data: bytes) -> bool:
    return b"dump complete\n" in data[-256:] or (
        data.startswith(b"REDIS") and b"\xff" in (data[-9:][:1], data[-49:][:1])
    )


def refused(data: bytes) -> bool:
    try:
        insist(data)
    except SourceError:
        return True
    return False


def test_several_dumps_one_behind_the_other() -> None:
    roles = b"--\n-- PostgreSQL database cluster dump\n--\n-- PostgreSQL database cluster dump complete\n--\n"
    shop = b"--\n-- PostgreSQL database dump\n--\n" + b"row\n" * 40_000
    insist(roles + shop + b"--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n")
    assert refused(roles + shop)
    insist(b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCOMMIT;\nPRAGMA user_version=7;\n")


def test_a_dump_of_sqlite_that_met_an_error() -> None:
    with pytest.raises(SourceError, match="due to errors"):
        insist(b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nROLLBACK; -- due to errors\n")


def test_a_database_of_sqlite(tmp_path: Path) -> None:
    for page in (512, 4096, 65536):
        file = tmp_path / f"{page}.db"
        with sqlite3.connect(file) as db:
            db.executescript(f"pragma page_size={page}; {ROWS}")
        data = file.read_bytes()
        assert len(data) > page
        insist(data)
        assert refused(data[:-1])
        assert refused(data[:-page])
        assert refused(data[:20])


def test_an_archive_as_mongodump_makes_them() -> None:
    """There is no MongoDB here: by the source of its tools, magic, a block with its end, a last block with its end."""
    end = b"\xff" * 4
    archive = b"\x6d\xe2\x99\x81" + b"prelude" + end + b"\x05\0\0\0\0" * 3 + end + b"\x07\0\0\0eof" + end
    insist(archive)
    assert [
        cut for cut in range(4, len(archive)) if not refused(archive[:cut]) and archive[cut - 4 : cut] != end
    ] == []


def test_a_tar_that_python_makes() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("file")
        info.size = 70_000
        tar.addfile(info, io.BytesIO(bytes(range(1, 251)) * 280))
    data = buffer.getvalue()
    insist(data)
    assert all(refused(data[:cut]) for cut in range(600, 70_000, 97))


@given(st.binary(max_size=2000))
def test_what_is_no_such_format_passes(data: bytes) -> None:
    if not any(form.begins(data[: endmark._HEAD]) for form in endmark._FORMATS):
        insist(data)


@pytest.mark.parametrize(
    "text", ["-- a note\nselect 1;\n", "-- pg_dump was here\n", "", "PGDMP", "REDIS0003", "x"]
)
def test_such_texts_are_no_dumps_that_have_an_end(text: str) -> None:
    insist(text.encode())


def test_a_source_is_refused_at_its_end_however_its_chunks_are_cut(tmp_path: Path) -> None:
    file = tmp_path / "dump.sql"
    begin, end = (
        "-- PostgreSQL database dump\n" + "row\n" * 400_000,
        "-- PostgreSQL database dump complete\n--\n\n",
    )
    for text in (begin, begin + end):
        file.write_text(text)
        source = WholeSource(LocalCommand(("cat", str(file))))
        try:
            assert b"".join(source.chunks()).decode() == text
            if text == begin:
                with pytest.raises(
                    SourceError, match="lacks its last line, '-- PostgreSQL database dump complete'"
                ):
                    source.finish()
            else:
                source.finish()
        finally:
            source.close()
