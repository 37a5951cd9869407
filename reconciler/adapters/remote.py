"""The remote of a followed repository: which addresses are allowed, and how git gets its credentials. Used by ``clone``.

Credentials reach git through its environment, never as arguments: every user of a machine can read those.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from reconciler.adapters.secrets import guard, resolve
from reconciler.errors import GitError
from reconciler.model import Secret

PROTOCOLS = "file:https:ssh"
"""Those that git may use, whatever a redirect or a setting says."""

_USER = "x-access-token"
"""The user name beside a token; the forges want some name and do not look at it. One in the URL goes first."""

_SCP = re.compile(r"(?:[\w.-]+@)?[\w][\w.-]*:(?!/?/)[^\s]+", re.ASCII)
_ODD = re.compile(r"[\x00-\x20\x7f-\x9f\\]")


class Remote(NamedTuple):
    """Where a repository is fetched from and pushed to. ``url`` is checked by ``remote`` and holds no secret."""

    url: str
    token: Secret | None = None
    ssh_key: Path | None = None
    known_hosts: Path | None = None

    @property
    def shown(self) -> str:
        """The address for people: without a user, since some write a token there."""
        scheme, separator, rest = self.url.partition("://")
        return f"https://{rest.rpartition('@')[2]}" if separator and scheme == "https" else self.url

    def environment(self) -> dict[str, str]:
        """What git is told beside its arguments. Raises SecretError."""
        settings = {
            "credential.helper": "",  # none of this user's is asked, and none stores what we have
            "http.followRedirects": "false",  # a token goes to the address that was given, and nowhere else
            "http.lowSpeedLimit": "100",
            "http.lowSpeedTime": "30",
        }
        if self.token is not None:
            settings["http.extraHeader"] = f"Authorization: Basic {self._basic()}"
        return {
            "GIT_ALLOW_PROTOCOL": PROTOCOLS,
            "GIT_SSH_COMMAND": self._ssh(),
            "GIT_SSH_VARIANT": "ssh",
            **_settings(settings),
        }

    def _basic(self) -> str:
        assert self.token is not None
        user = urlsplit(self.url).username or _USER
        text = base64.b64encode(f"{user}:{resolve(self.token)}".encode()).decode()
        guard([("token", text)])
        return text

    def _ssh(self) -> str:
        """Ssh with our key and our known hosts alone; nothing of this user's settings, and no question."""
        options = [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "ConnectTimeout=15",
            "ServerAliveInterval=15",
        ]
        options += ["GlobalKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "IdentityAgent=none"]
        if self.known_hosts:
            options.append(f'UserKnownHostsFile="{_literal(self.known_hosts)}"')
        if self.ssh_key:
            options.append(f'IdentityFile="{_literal(self.ssh_key)}"')
        return shlex.join(["ssh", "-F", "/dev/null", *(f"-o{option}" for option in options)])


def remote(
    address: str, token: Secret | None = None, ssh_key: Path | None = None, known_hosts: Path | None = None
) -> Remote:
    """A checked remote: a path, ``file://``, ``https://`` or ``ssh://`` (also ``user@host:path``). Raises GitError."""
    protocol = _protocol(address)
    if protocol == "ssh" and not (ssh_key and known_hosts):
        raise GitError(
            f"repository {address}: over ssh it needs the private key and the host's public key: --ssh-key FILE "
            "and --known-hosts FILE (as ssh-keyscan prints it; compare that with what your forge publishes)"
        )
    if token is not None and protocol != "https":
        raise GitError(f"repository {address}: a token is for https:// alone")
    url = str(Path(address.removeprefix("file://")).absolute()) if protocol == "file" else address
    return Remote(url, token, ssh_key and ssh_key.absolute(), known_hosts and known_hosts.absolute())


def _protocol(address: str) -> str:
    scheme, separator, rest = address.partition("://")
    if not separator:
        return "ssh" if _SCP.fullmatch(address) and not Path(address).exists() else "file"
    if scheme == "file" and rest.startswith("/"):
        return "file"
    if scheme not in ("https", "ssh") or _ODD.search(address) or rest.startswith("-"):
        raise GitError("the repository is given as a path, file:///…, https://… or ssh://…")
    if urlsplit(address).password is not None:
        raise GitError(
            "the repository's address holds a password, which everybody on this machine could read; "
            "give it with --token-from-env NAME or --token-file FILE"
        )
    return scheme


def _literal(path: Path) -> str:
    """A path as ssh's settings take it between quotes: percent signs mean something there."""
    return str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def _settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Git settings as an environment."""
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found
