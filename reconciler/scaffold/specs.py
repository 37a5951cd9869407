"""The text of ``backup.d``: the destination, the policy, and a Backup for each project that the Engine showed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files as resources
from typing import Any
from urllib.parse import urlsplit

from reconciler.importers import plain
from reconciler.importers.emit import Noted, Off, comment, document
from reconciler.importers.places import OFFSITE, elsewhere
from reconciler.importers.project import Project, free
from reconciler.scaffold.found import Look

SCHEMA = "# yaml-language-server: $schema=../schemas/reconciler.json\n"
DEFAULT_URL = "file://../copies"
_SAME_DISK = "the same disk as the data, where one failure takes both: choose another one"
_S3 = "Another service than AWS, and other keys than those that the AWS tools find:"
_KEY = "the server's key must be in it: ssh-keyscan prints it; compare it, then add it"
_LOGIN = "Where the server asks for a password:"
_PLACES = ("destinations", "policy", "others", "example")


def specs(found: Look, url: str, zone: str) -> dict[str, str]:
    """File names and their texts. ``zone`` is the machine's time zone, empty where it is UTC or unknown."""
    name = _name(url)
    texts = {
        "destinations.yaml": SCHEMA + document("Destination", name, _destination(url)),
        "policy.yaml": SCHEMA + document("Policy", "fleet", _policy(name, zone)),
    }
    texts |= {f"{name}.yaml": text for name, text in _backups(found)}
    if not protected(found):
        texts["example.yaml"] = SCHEMA + template("example.yaml")
    return texts


def template(name: str) -> str:
    """A file that is written nearly as it stands."""
    return (resources("reconciler.scaffold") / "files" / name).read_text(encoding="utf-8")


def protected(found: Look) -> int:
    """How many targets are made; those that are only proposed do not count."""
    projects = (*found.projects, *found.others)
    return sum(isinstance(target, Noted) for project in projects for target in plain.proposed(project))


def _name(url: str) -> str:
    protocol = url.partition("://")[0]
    return "local" if protocol == "file" else protocol


def _destination(url: str) -> dict[str, Any]:
    protocol, host = url.partition("://")[0], urlsplit(url).hostname or ""
    far: dict[str, Any] = {"offsite": Noted(value=True, why=OFFSITE)} if elsewhere(host) else {}
    near: dict[str, Any] = far or {"offsite": Off(value=True, why="Where it is in another place:")}
    match protocol:
        case "s3":
            secrets = {"key": {"fromEnv": "S3_ACCESS_KEY"}, "secret": {"fromEnv": "S3_SECRET_KEY"}}
            options = Off({"endpoint_url": "https://s3.example.com", **secrets}, _S3)
            return {
                "url": url,
                "media": "object-storage",
                "offsite": Noted(value=True, why=OFFSITE),
                "options": options,
            }
        case "sftp":
            known = {"known_hosts": Noted("~/.ssh/known_hosts", _KEY)}
            return {"url": url, "media": "server", **near, "options": known}
        case "webdav":
            login = Off({"username": "backup", "password": {"fromEnv": "WEBDAV_PASSWORD"}}, _LOGIN)
            return {"url": url, "media": "cloud", **near, "options": login}
        case _:
            return {"url": Noted(url, _SAME_DISK) if url == DEFAULT_URL else url, "media": "disk"}


def _policy(destination: str, zone: str) -> dict[str, Any]:
    midnight = "at midnight" if zone else "at midnight UTC; a cron expression and timezone say otherwise"
    defaults: dict[str, Any] = {"schedule": Noted("@daily", midnight)}
    if zone:
        defaults["timezone"] = Noted(zone, "of the machine where this was made")
    defaults["destinations"] = [destination]
    defaults["retention"] = Noted({"daily": 7, "weekly": 4, "monthly": 3}, "so many of each are kept")
    rule = "three copies on two kinds of media, one of them off-site: a warning; require makes it an error"
    return {
        "rule321": Noted("warn", rule),
        "defaults": Noted(defaults, "For each Backup that says nothing else."),
    }


def _backups(found: Look) -> Iterator[tuple[str, str]]:
    """Names and texts of Backups: one for each project, one for everything that belongs to none."""
    taken = dict.fromkeys(_PLACES)
    for project in found.projects:
        name = free(project.name, taken)
        taken[name] = None
        if text := _backup(name, f"What the Docker Engine showed of the project {project.name}.", [project]):
            yield name, text
    if text := _backup("others", "What the Docker Engine showed that belongs to no project.", found.others):
        yield "others", text


def _backup(name: str, what: str, projects: Sequence[Project]) -> str:
    targets = [target for project in projects for target in plain.proposed(project)]
    if not targets:
        return ""
    spec = {**plain.labels(projects), "quiesce": plain.QUIESCE, "targets": targets}
    text = document("Backup", name, spec)
    proposal = "Read it, change it, then: reconciler plan"
    if all(isinstance(target, Off) for target in targets):
        proposal = "Nothing of it needs a backup for sure: uncomment what does."
        text = comment(text.rstrip("\n"))
    return SCHEMA + comment(f"{what} {proposal}") + text
