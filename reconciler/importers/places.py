"""The storages of a docker-volume-backup as Destinations. Pure; used by convert."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from reconciler.importers.emit import Noted
from reconciler.importers.project import Project
from reconciler.importers.settings import Config
from reconciler.spec.urls import complaint

_AWS = "s3.amazonaws.com"
OFFSITE = "if it is in another place than this machine"
_VOLUMES = "/var/lib/docker/volumes"


class Place(NamedTuple):
    """A destination: ``kind`` is what it is called, ``theirs`` what docker-volume-backup calls it, in small letters."""

    kind: str
    theirs: str
    url: Any
    media: str
    offsite: bool = False
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed

    @property
    def address(self) -> str:
        """The URL without its comment."""
        return str(self.url.value if isinstance(self.url, Noted) else self.url)

    def spec(self) -> dict[str, Any]:
        """The spec of the Destination."""
        found: dict[str, Any] = {"url": self.url, "media": self.media}
        if self.offsite:
            found["offsite"] = Noted(value=True, why=OFFSITE)
        return {**found, "options": self.options} if self.options else found


def places(config: Config, project: Project) -> Iterator[Place]:
    """Every storage that is configured and has a destination here; what is wrong with one is told instead."""
    for make in (_local, _s3, _sftp, _webdav):
        place = make(config, project)
        if place is None:
            continue
        if wrong := complaint(place.address):
            config.findings.lose(config.service.place, f"the {place.theirs} storage", wrong)
        else:
            yield place


def _local(config: Config, project: Project) -> Place | None:
    folder = config.text("BACKUP_ARCHIVE", "/archive").rstrip("/")
    if host := config.service.on_host(folder):
        return Place("local", "local", f"file://{host}", "disk")
    for mount in config.service.mounts:
        if mount.kind == "volume" and mount.target == folder:
            url = f"file://{_VOLUMES}/{project.volumes[mount.source]}/_data"
            why = "where this volume usually lies: see docker volume inspect; a folder of another disk is better"
            return Place("local", "local", Noted(url, why), "disk")
    if config.text("BACKUP_ARCHIVE"):
        config.lose("BACKUP_ARCHIVE", "nothing is mounted there: theirs silently keeps no local copies")
    return None


def _s3(config: Config, project: Project) -> Place | None:
    bucket = config.text("AWS_S3_BUCKET_NAME")
    if not bucket:
        return None
    host = config.text("AWS_ENDPOINT", _AWS).rpartition("@")[2]
    proto = config.text("AWS_ENDPOINT_PROTO", "https")
    options: dict[str, Any] = {}
    if host != _AWS or proto != "https":
        options["endpoint_url"] = f"{proto}://{host}"
        _inside(config, project, "AWS_ENDPOINT", host)
    for option, name in (("key", "AWS_ACCESS_KEY_ID"), ("secret", "AWS_SECRET_ACCESS_KEY")):
        if reference := config.secret(name):
            options[option] = reference
    if config.text("AWS_ENDPOINT_CA_CERT").startswith("/"):
        if file := config.path("AWS_ENDPOINT_CA_CERT"):
            options["ca_file"] = file
    elif config.text("AWS_ENDPOINT_CA_CERT"):
        config.lose("AWS_ENDPOINT_CA_CERT", "write the certificate into a file and name it with ca_file")
    path = config.text("AWS_S3_PATH").strip("/")
    return Place(
        "s3",
        "s3",
        f"s3://{bucket}/{path}".rstrip("/"),
        "object-storage",
        elsewhere(host, _names(project)),
        options,
    )


def _sftp(config: Config, project: Project) -> Place | None:
    host = config.text("SSH_HOST_NAME").rpartition("@")[2]
    if not host:
        return None
    user, port = config.text("SSH_USER"), config.text("SSH_PORT", "22")
    _inside(config, project, "SSH_HOST_NAME", host)
    options: dict[str, Any] = {
        "known_hosts": Noted(
            "~/.ssh/known_hosts", "theirs trusts any server; here its key must be in this file"
        )
    }
    config.differ(
        "SSH_HOST_NAME",
        f"the server's key must be known here: ssh-keyscan -p {port} {host} prints it; compare it, then add it",
    )
    if key := config.path("SSH_IDENTITY_FILE", "/root/.ssh/id_rsa"):
        options["private_key_file"] = key
    for option, name in (("password", "SSH_PASSWORD"), ("passphrase", "SSH_IDENTITY_PASSPHRASE")):
        if reference := config.secret(name):
            options[option] = reference
    path = config.text("SSH_REMOTE_PATH").strip("/")
    address = f"{quote(user)}@{host}" if user else host
    url = f"sftp://{address}{'' if port == '22' else f':{port}'}/{path}".rstrip("/")
    return Place("sftp", "ssh", url, "server", elsewhere(host, _names(project)), options)


def _webdav(config: Config, project: Project) -> Place | None:
    text = config.text("WEBDAV_URL")
    if not text:
        return None
    scheme, _, rest = text.partition("://")
    if scheme not in ("http", "https"):
        config.lose("WEBDAV_URL", "no address that begins with https://")
        return None
    authority, _, folder = rest.partition("/")
    host = authority.rpartition("@")[2]
    path = f"{folder.strip('/')}/{config.text('WEBDAV_PATH').strip('/')}".strip("/")
    options: dict[str, Any] = {}
    if "@" in authority:
        config.lose("WEBDAV_URL", "a password in the address: put a reference to it into options")
    if scheme == "http":
        options["tls"] = Noted(value=False, why="allowed to a server on this machine alone")
    _inside(config, project, "WEBDAV_URL", host)
    if user := config.text("WEBDAV_USERNAME"):
        options["username"] = user
    if reference := config.secret("WEBDAV_PASSWORD"):
        options["password"] = reference
    url = f"webdav://{host}/{path}".rstrip("/")
    return Place("webdav", "webdav", url, "cloud", elsewhere(host, _names(project)), options)


def _inside(config: Config, project: Project, name: str, host: str) -> None:
    """Tell when a host's name is a service of the compose file, which only containers can reach."""
    if _bare(host) in _names(project):
        config.differ(
            name,
            "a service's name, which only containers can resolve: publish its port, and name this machine",
        )


def elsewhere(host: str, inside: Collection[str] = ()) -> bool:
    """Whether a host is likely in another place: a public name that is not ``inside``, or a public address."""
    bare = _bare(host)
    if "." not in bare or bare in inside:
        return False
    try:
        return ipaddress.ip_address(bare).is_global
    except ValueError:
        return not bare.endswith((".local", ".lan", ".home", ".internal", ".localdomain"))


def _names(project: Project) -> set[str]:
    return {service.name for service in project.services}


def _bare(host: str) -> str:
    return re.sub(r":[0-9]+$", "", host).strip("[]").lower()
