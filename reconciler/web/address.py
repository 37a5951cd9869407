"""Where the page is served, and whose names for it are taken. Pure; used by the command line and by ``access``."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple

from reconciler.errors import ReconcilerError

PORT = 8080
_PLACE = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9.-]*))(?::(?P<port>[0-9]{1,5}))?")


class Address(NamedTuple):
    """A host and a port. ``host`` is a name or an IP address, without brackets."""

    host: str = "127.0.0.1"
    port: int = PORT

    @classmethod
    def parse(cls, text: str) -> Address:
        """``HOST:PORT``, ``HOST``, ``PORT`` or ``:PORT``; an IPv6 address in brackets. Raises ReconcilerError."""
        found = _PLACE.fullmatch(f":{text}" if text.isdigit() else text)
        port = int(found["port"] or PORT) if found else 0
        if not found or not text or not 0 < port < 65536 or not _is_six(found["six"]):
            raise ReconcilerError(
                f"{text!r} is no address to listen on: write HOST:PORT, as 127.0.0.1:8080 or [::]:8080"
            )
        return cls(found["six"] or found["name"] or cls().host, port)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        """As in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether a name or IP address always means the machine itself; no name is looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def host_of(header: str) -> str:
    """The host in a ``Host`` header, without its port and brackets; empty for anything else than that."""
    found = _PLACE.fullmatch(header)
    return (found["six"] or found["name"]) if found else ""


def _is_six(host: str | None) -> bool:
    try:
        return not host or ip_address(host).version == 6
    except ValueError:
        return False
