"""Real PostgreSQL, MariaDB, Redis and SQLite in containers of a private Engine, each with its data in a named volume.

Their environment is that of the well-known images (POSTGRES_USER, MYSQL_ROOT_PASSWORD, …). Containers have network
`none`: clients run inside (`Database.run`). What a container runs is in `servers/`; its image comes from
`database_image.py`.
"""

import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from docker.errors import NotFound
from docker.models.containers import Container

from tests.parts.database_image import database_tar
from tests.parts.engine import EngineHost
from tests.parts.process import program, until

IMAGE = "databases:test"
SERVERS = Path(__file__).parent / "servers"
PASSWORD = "it's \\ a test"
HEALTH_NANOSECONDS = 1_000_000_000
READY_SECONDS = 60.0


@dataclass(frozen=True)
class DatabaseImage:
    """The imported image."""

    name: str
    version: str
    """Versions of its servers, for the list of real parts."""


@contextmanager
def database_image(engine: EngineHost) -> Iterator[DatabaseImage]:
    """Import the image into an Engine of the tests; it ends with the Engine.

    Raises:
        MissingPart: it cannot be built here.
    """
    tar = database_tar()
    with closing(engine.client()) as client:
        changes = ['CMD ["sh"]', "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        repository, tag = IMAGE.split(":")
        client.api.import_image_from_file(str(tar), repository, tag, changes=changes)
        ask = ["sh", "-c", "postgres -V; mariadbd -V; redis-server -v; sqlite3 -version"]
        said = client.containers.run(IMAGE, ask, network_mode="none", remove=True).decode()
    yield DatabaseImage(IMAGE, versions(said))


def versions(said: str) -> str:
    """`PostgreSQL 15.1, …` from what the four programs say of themselves."""
    postgres, mariadb, redis, sqlite = (line.split() for line in said.splitlines())
    return (
        f"PostgreSQL {postgres[2]}, MariaDB {mariadb[2].split('-')[0]}, "
        f"Redis {redis[2].removeprefix('v=')} and SQLite {sqlite[0]} in containers"
    )


@dataclass(frozen=True, eq=False)
class Kind:
    """What tells the four apart. Commands are for `sh -c` in the container."""

    name: str
    data: str
    """Where the volume is mounted."""
    env: Mapping[str, str]
    ready: str
    """Succeeds once the server answers; also the container's health check."""
    client: str
    """Reads statements from stdin, writes rows."""
    dump: str
    """Writes the whole content as text."""
    volatile: tuple[str, ...] = ()
    """How the lines of a dump begin that differ between dumps of the same content."""
    stop_signal: str = "SIGTERM"


DATA, ROOT, CLI = "/var/lib/postgresql/data", '-uroot -p"$MYSQL_ROOT_PASSWORD"', "redis-cli"
POSTGRES = Kind(
    "postgres",
    DATA,
    {"PGDATA": DATA, "POSTGRES_USER": "shop", "POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DB": "shop"},
    ready='pg_isready -q -U "$POSTGRES_USER" -d "$POSTGRES_DB"',
    client='psql -qAt -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" "$POSTGRES_DB"',
    dump='pg_dump -U "$POSTGRES_USER" "$POSTGRES_DB"',
    volatile=("--", "\\restrict", "\\unrestrict"),
    stop_signal="SIGINT",  # a fast shutdown, as in the well-known image: after SIGTERM it waits for its clients
)
MARIADB = Kind(
    "mariadb",
    "/var/lib/mysql",
    {"MYSQL_ROOT_PASSWORD": PASSWORD, "MYSQL_DATABASE": "shop"},
    ready=f"mysqladmin {ROOT} --silent ping",
    client=f'mysql {ROOT} -N -B "$MYSQL_DATABASE"',
    dump=f'mysqldump {ROOT} --skip-dump-date "$MYSQL_DATABASE"',
    volatile=("--",),
)
REDIS = Kind(
    "redis",
    "/data",
    {"REDIS_PASSWORD": "", "REDISCLI_AUTH": ""},
    ready=f"{CLI} ping | grep -qx PONG",
    client=f"{CLI} -e",
    dump=f"{CLI} -e --raw eval {shlex.quote((SERVERS / 'redis_dump.lua').read_text())} 0",
)
SQLITE = Kind(
    "sqlite",
    "/data",
    {"SQLITE_FILE": "/data/shop.db"},
    ready="true",
    client='sqlite3 -bail "$SQLITE_FILE"',
    dump='sqlite3 "$SQLITE_FILE" .dump',
)


@dataclass(frozen=True)
class Database:
    """A container with a database server, or the shell beside an SQLite file."""

    engine: EngineHost
    kind: Kind
    name: str
    """The container's."""

    def argv(self, command: str | Sequence[str], user: str = "") -> list[str]:
        """The `docker exec` for a command (text is for `sh -c`), for a process that a test looks after itself."""
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        whose = ["--user", user] if user else []
        docker_host = [program("docker", "docker.io"), "--host", self.engine.url]
        return [*docker_host, "exec", "--interactive", *whose, self.name, *words]

    def run(self, command: str | Sequence[str], stdin: bytes = b"", user: str = "") -> bytes:
        """What a command in the container writes to stdout.

        Raises:
            AssertionError: it failed; quotes its stderr.
        """
        done = subprocess.run(self.argv(command, user), input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, f"{command!r} in {self.name}: {done.stderr.decode()[-1500:]}"
        return done.stdout

    def sql(self, statements: str) -> str:
        """Run statements (for Redis: commands, a line each); the rows, without the last line's end."""
        return self.run(self.kind.client, statements.encode()).decode().rstrip("\n")

    def dump(self) -> str:
        """The whole content as text that is the same for the same content."""
        lines = self.run(self.kind.dump).decode().splitlines()
        return "\n".join(line for line in lines if not line.startswith(self.kind.volatile))

    def stop(self, seconds: int = 30) -> None:
        """`docker stop`."""
        with self.container() as container:
            container.stop(timeout=seconds)

    def kill(self) -> None:
        """`docker kill`: SIGKILL for all its processes; returns when it no longer runs."""
        with self.container() as container:
            container.kill()
            container.wait()

    def start(self) -> None:
        """`docker start`, then wait until the server answers."""
        with self.container() as container:
            container.start()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Return once the server answers.

        Raises:
            AssertionError: the container ended; quotes its log.
            TimeoutError: it did not answer in READY_SECONDS.
        """
        with self.container() as container:
            until(lambda: self.answers(container), f"{self.name} does not answer", READY_SECONDS)

    def answers(self, container: Container) -> bool:
        """Whether the server answers now."""
        container.reload()
        assert container.status == "running", f"{self.name} ended: {container.logs(tail=20).decode()}"
        return subprocess.run(self.argv(self.kind.ready), capture_output=True, check=False).returncode == 0

    @contextmanager
    def container(self) -> Iterator[Container]:
        """The container, as docker-py has it."""
        with closing(self.engine.client()) as client:
            yield client.containers.get(self.name)


@contextmanager
def database(kind: Kind, engine: EngineHost, volume: str, name: str, **options: Any) -> Iterator[Database]:
    """Run a container `name` with its data in `volume` until the block ends; the volume stays.

    `options` are those of docker-py's `containers.create`; `environment` and `volumes` are added to ours. `image` is another
    name of ours.
    """
    environment = {**kind.env, **options.pop("environment", {})}
    volumes = {volume: {"bind": kind.data, "mode": "rw"}, **options.pop("volumes", {})}
    health = {"test": ["CMD-SHELL", kind.ready], "interval": HEALTH_NANOSECONDS, "retries": 3}
    given = {"healthcheck": health, "stop_signal": kind.stop_signal, "network_mode": "none", **options}
    entry = ["sh", "-c", (SERVERS / f"{kind.name}.sh").read_text()]
    with closing(engine.client()) as client:
        image = given.pop("image", IMAGE)
        client.containers.create(image, entry, name=name, environment=environment, volumes=volumes, **given)
        try:
            running = Database(engine, kind, name)
            running.start()
            yield running
        finally:
            with suppress(NotFound):
                client.containers.get(name).remove(force=True, v=True)


postgres, mariadb = partial(database, POSTGRES), partial(database, MARIADB)
redis, sqlite = partial(database, REDIS), partial(database, SQLITE)
