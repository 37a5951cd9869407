"""Dumps and restores of well-known database images, as proposals for command targets. Pure data; used by plain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from reconciler.importers.emit import Noted
from reconciler.importers.project import Service


class Recipe(NamedTuple):
    """The fields of a command target, and where the database keeps its data in the container."""

    fields: Callable[[Service], dict[str, Any]]
    data: str


def recipe(service: Service) -> Recipe | None:
    """The recipe for the service's image, if it is a known one."""
    return _RECIPES.get(service.repository.rpartition("/")[2])


def _postgres(_service: Service) -> dict[str, Any]:
    user, database = '"${POSTGRES_USER:-postgres}"', '"${POSTGRES_DB:-${POSTGRES_USER:-postgres}}"'
    return {
        "backup": Noted(
            f"pg_dump -U {user} -Ft {database}", "this one database; add a target for each other one"
        ),
        "restore": f"pg_restore -U {user} --clean --if-exists -Ft -d {database}",
        "extension": "tar",
    }


def _mariadb(service: Service) -> dict[str, Any]:
    return _mysql_like(service, "mariadb-dump", "mariadb", ("MARIADB_ROOT_PASSWORD", "MYSQL_ROOT_PASSWORD"))


def _mysql(service: Service) -> dict[str, Any]:
    return _mysql_like(service, "mysqldump", "mysql", ("MYSQL_ROOT_PASSWORD",))


def _mysql_like(service: Service, dump: str, client: str, names: tuple[str, ...]) -> dict[str, Any]:
    password = f"MYSQL_PWD={_password(service, names)} "
    return {
        "backup": f"{password}{dump} -u root --all-databases --single-transaction --routines --events",
        "restore": f"{password}{client} -u root",
        "extension": "sql",
    }


def _password(service: Service, names: tuple[str, ...]) -> str:
    """The shell's word for the password that the container's environment holds, or a file that it names."""
    given = next((name for name in names if name in service.settings), None)
    file = next((f"{name}_FILE" for name in names if f"{name}_FILE" in service.settings), None)
    return f'"$(cat "${file}")"' if file and not given else f'"${given or names[0]}"'


def _redis(_service: Service) -> dict[str, Any]:
    why = "with a password: REDISCLI_AUTH=… before it; to restore, put the file into the volume while the server is stopped"
    return {"backup": Noted("redis-cli --rdb -", why), "extension": "rdb"}


def _mongo(service: Service) -> dict[str, Any]:
    login = ""
    if "MONGO_INITDB_ROOT_USERNAME" in service.settings:
        login = ' -u "$MONGO_INITDB_ROOT_USERNAME" -p "$MONGO_INITDB_ROOT_PASSWORD" --authenticationDatabase admin'
    return {
        "backup": f"mongodump --archive --quiet{login}",
        "restore": f"mongorestore --archive --drop --quiet{login}",
        "extension": "archive",
    }


_RECIPES = {
    "postgres": Recipe(_postgres, "/var/lib/postgresql"),
    "mariadb": Recipe(_mariadb, "/var/lib/mysql"),
    "mysql": Recipe(_mysql, "/var/lib/mysql"),
    "redis": Recipe(_redis, "/data"),
    "mongo": Recipe(_mongo, "/data/db"),
}
