"""D. Cycle, with real databases: what a command writes to stdout, and reads back on stdin, into an empty server."""

import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.parts import databases
from tests.parts.databases import Database, Kind, database
from tests.systems.site import Site
from tests.test_docs import REPOSITORY, blocks

pytestmark = pytest.mark.usefixtures("database_image")

PAGE = REPOSITORY / "docs" / "databases.md"
SQL = (
    "create table orders(id integer primary key, item text); begin;"
    + "".join(f"insert into orders values({n}, 'thing {n}');" for n in range(500))
    + "commit;"
)
REDIS = "\n".join(f"set key:{n} value-{n}" for n in range(200)) + "\nlpush list a b c\n"


class Example(NamedTuple):
    """A row's example: the commands as a user writes them."""

    kind: Kind
    content: str
    backup: str
    restore: str
    extension: str = "sql"
    user: str = ""


EXAMPLES = {
    "pg_dump -Ft": Example(
        databases.POSTGRES,
        SQL,
        'PGPASSWORD="$POSTGRES_PASSWORD" pg_dump -U "$POSTGRES_USER" --clean -Ft "$POSTGRES_DB"',
        'PGPASSWORD="$POSTGRES_PASSWORD" pg_restore -U "$POSTGRES_USER" --clean --if-exists -Ft -d "$POSTGRES_DB"',
        "tar",
    ),
    "mysqldump --all-databases": Example(
        databases.MARIADB,
        SQL,
        "mysqldump --all-databases -u root -p$MYSQL_ROOT_PASSWORD",
        "mysql -u root -p$MYSQL_ROOT_PASSWORD < /dev/stdin",
    ),
    "sqlite3 .backup": Example(
        databases.SQLITE,
        SQL,
        'sqlite3 "$SQLITE_FILE" ".backup /tmp/b" && cat /tmp/b && rm /tmp/b',
        'cat > /tmp/b && sqlite3 "$SQLITE_FILE" ".restore /tmp/b" && rm /tmp/b',
        "db",
    ),
}


def target(container: str, example: Example) -> str:
    restore = f"      restore: '{example.restore}'\n" if example.restore else ""
    return (
        "targets:\n"
        "    - name: app\n"
        "      kind: command\n"
        f"      container: {container}\n"
        f"      backup: '{example.backup}'\n{restore}"
        f"      extension: {example.extension}\n"
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_row_d1_a_dump_goes_to_stdout_and_comes_back_into_an_empty_server(site: Site, name: str) -> None:
    example = EXAMPLES[name]
    first, second = f"first-{site.tag}", f"second-{site.tag}"
    plain = {"MYSQL_ROOT_PASSWORD": "as-written"}  # the row's example does not quote it
    with database(example.kind, site.engine, first, first, environment=plain) as old:
        old.sql(example.content)
        expected = old.dump()
        site.backup(target(first, example))
        site.apply()
    with database(example.kind, site.engine, second, second, environment=plain) as new:
        site.run("restore", "app", "--to", f"container:{second}", "--overwrite")
        assert new.dump() == expected


def test_row_d1_the_recipes_of_the_page_work_as_they_stand(site: Site) -> None:
    """docs/databases.md, with its own YAML and names: one apply, and each database comes back after its table is lost."""
    recipes = next(block.text for block in blocks(PAGE) if block.language == "yaml")
    site.write("backup.d/databases.yaml", recipes)
    containers = {"shop-db": databases.POSTGRES, "blog-db": databases.MARIADB, "notes": databases.SQLITE}
    file = {"SQLITE_FILE": "/data/notes.db"}
    with ExitStack() as stack:
        running = [
            stack.enter_context(database(kind, site.engine, f"{name}-{site.tag}", name, environment=file))
            for name, kind in containers.items()
        ]
        for one in running:
            one.sql(SQL)
        expected = [one.dump() for one in running]
        site.apply()
        for one in running:
            one.sql("drop table orders;")
        assert all("thing 7" not in one.dump() for one in running)
        for name in ("shop", "blog", "notes"):
            site.run("restore", name, "--overwrite")
        assert [one.dump() for one in running] == expected


def test_row_d1_redis_comes_back_as_the_file_of_an_empty_server(site: Site) -> None:
    first, second = f"first-{site.tag}", f"second-{site.tag}"
    example = Example(
        databases.REDIS,
        REDIS,
        "env -u REDISCLI_AUTH redis-cli --rdb /tmp/b >/dev/null && cat /tmp/b && rm /tmp/b",
        "",
        "rdb",
    )
    with database(databases.REDIS, site.engine, first, first) as old:
        old.sql(REDIS)
        expected = old.dump()
        site.backup(target(first, example))
        site.apply()
    site.run("restore", "app", "--to", f"path:{site.root}/back")
    (file,) = (site.root / "back").iterdir()
    volume = site.volume("second")
    (volume / "dump.rdb").write_bytes(file.read_bytes())
    (volume / "dump.rdb").chmod(0o644)
    site.container(  # with an append-only file it would not read the dump
        "second",
        image=databases.IMAGE,
        argv=["redis-server", "--dir", "/data", "--appendonly", "no"],
        volumes={"second": "/data"},
        environment=dict(databases.REDIS.env),
    )
    new = Database(site.engine, databases.REDIS, second)
    new.wait_ready()
    assert new.dump() == expected


def test_row_d1_a_dump_of_a_gibibyte_passes_in_bounded_memory(
    site: Site, measured: Callable[[str], None]
) -> None:
    box = site.container("box")
    assert box.exec_run(["dd", "if=/dev/urandom", "of=/tmp/part", "bs=1M", "count=16"]).exit_code == 0
    every = "for n in $(seq 64); do cat /tmp/part; done"
    site.backup(
        "targets:\n  - {name: app, kind: command, container: box-TAG,"
        f" backup: '{every}', restore: 'md5sum > /tmp/sum'}}\n"
    )
    used = [site.memory("apply"), site.memory("restore", "app", "--overwrite")]
    measured(f"a dump of 1 GiB: at most {used[0]} MiB to back it up, {used[1]} MiB to restore it")
    assert sum(path.stat().st_size for path in site.copies()) > 1 << 30
    assert max(used) < 150
    same = f"{{ {every}; }} | md5sum | cmp - /tmp/sum"
    assert box.exec_run(["sh", "-c", same]).exit_code == 0


def test_row_d1_tar_to_stdout(site: Site) -> None:
    folder = site.volume("data")
    (folder / "file").write_text("content")
    site.container("box", volumes={"data": "/d"})
    site.backup(
        "targets:\n  - {name: app, kind: command, container: box-TAG, extension: tgz,"
        " backup: 'cd /d && tar czf /dev/stdout .', restore: 'cd /d && tar xzf /dev/stdin'}\n"
    )
    before = site.tree("data")
    site.apply()
    (folder / "file").unlink()
    site.run("restore", "app", "--overwrite")
    assert site.tree("data").keys() == before.keys()
    assert (folder / "file").read_text() == "content"


def test_row_d1_a_live_sqlite_file_is_copied_torn_and_backed_up_whole(site: Site) -> None:
    """What docs/databases.md says of a copy of the file: what is committed is missing in it, what is not is there."""
    folder, example = site.volume("data"), EXAMPLES["sqlite3 .backup"]
    file, name = folder / "shop.db", f"box-{site.tag}"
    with closing(sqlite3.connect(file, isolation_level=None)) as application:
        application.executescript("pragma journal_mode=wal; pragma wal_autocheckpoint=0;")
        application.executescript(SQL)
        with database(databases.SQLITE, site.engine, folder.parent.name, name):
            copied = f"{{name: copied, kind: path, path: {file}}}\n"
            site.backup(target(name, example) + f"    - {copied}")
            site.apply()
            for what, rows in (("copied", 0), ("app", 500)):
                site.run("restore", what, "--to", f"path:{site.root}/{what}")
                found = next(
                    path for path in (site.root / what, *(site.root / what).glob("*")) if path.is_file()
                )
                assert orders(found) == rows, what


def test_row_d1_a_sqlite_file_copied_in_a_transaction_holds_half_of_it(site: Site) -> None:
    file = site.volume("data") / "shop.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as application:
        application.executescript("create table accounts(id integer primary key, money, note);")
        application.executemany("insert into accounts values(?, 1, ?)", ((n, "x" * 900) for n in range(2000)))
        application.executescript("pragma cache_size=10; begin; update accounts set money = money - 1;")
        site.backup(f"targets: [{{name: copied, kind: path, path: {file}}}]\n")
        site.apply()
        application.execute("rollback")
        assert application.execute("select sum(money) from accounts").fetchone() == (2000,)
    site.run("restore", "copied", "--to", f"path:{site.root}/copied")
    found = next(path for path in (site.root / "copied", *(site.root / "copied").glob("*")) if path.is_file())
    with closing(sqlite3.connect(found)) as copy:
        (money,) = copy.execute("select sum(money) from accounts").fetchone()
    assert 0 < money < 2000, "neither before the transaction nor after it"


def orders(file: Path) -> int:
    """How many rows a restored database holds; 0 also where there is no table."""
    with closing(sqlite3.connect(file)) as db:
        if not db.execute("select 1 from sqlite_master where name = 'orders'").fetchall():
            return 0
        return int(db.execute("select count(*) from orders").fetchone()[0])


@contextmanager
def writing(db: Database) -> Iterator[Path]:
    """A client that inserts all the time, each row a commit; the numbers it was told of stand in the file."""
    told = Path(f"/tmp/{db.name}.told")
    told.write_text("")
    ends = threading.Event()

    def insert() -> None:
        number = 0
        while not ends.is_set():
            number += 1
            statement = f"insert into log values({number});".encode()
            done = subprocess.run(db.argv(db.kind.client), input=statement, capture_output=True, check=False)
            if done.returncode == 0:
                with told.open("a") as file:
                    file.write(f"{number}\n")

    thread = threading.Thread(target=insert)
    thread.start()
    try:
        yield told
    finally:
        ends.set()
        thread.join()
        told.unlink()


def wait_for(told: Path, count: int) -> list[int]:
    from tests.parts.process import until

    until(lambda: len(told.read_text().splitlines()) >= count, "rows are committed")
    return [int(line) for line in told.read_text().split()]


@pytest.mark.parametrize("how", ["command", "stop", "pause"])
def test_postgresql_under_write_load_holds_every_row_committed_before(site: Site, how: str) -> None:
    first, second = f"first-{site.tag}", f"second-{site.tag}"
    dump = EXAMPLES["pg_dump -Ft"]
    with database(databases.POSTGRES, site.engine, first, first) as old:
        old.sql("create table log(n integer primary key);")
        if how == "command":
            site.backup(target(first, dump))
        else:
            site.backup(f"quiesce: {how}\ntargets: [{{name: app, kind: volume, volume: {first}}}]\n")
        with writing(old) as told:
            before = wait_for(told, 10)
            site.apply()
            old.wait_ready()
            wait_for(told, len(before) + 5)  # and it goes on afterwards
    if how != "command":
        site.run("restore", "app", "--to", f"volume:{second}")
    with database(databases.POSTGRES, site.engine, second, second) as new:
        if how == "command":
            site.run("restore", "app", "--to", f"container:{second}", "--overwrite")
        held = {int(line) for line in new.sql("select n from log order by n;").split()}
        assert set(before) <= held
        new.sql("insert into log values(1000000);")
