"""Destination URLs: which are allowed, and what a relative one means. Used by fields and build. No message shows a URL."""

from __future__ import annotations

import os
import re
from pathlib import Path

from reconciler import registry
from reconciler.spec.suggest import did_you_mean

_ODD = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_ODD_IN_FILE = re.compile(r"[\x00-\x1f\x7f-\x9f\\]| $")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(:(?P<port>[0-9]{1,5}))?")
_WITH_USER = ("sftp", "webdav")
_OTHER_NAMES = {
    "local": "file",
    "ssh": "sftp",
    "scp": "sftp",
    "http": "webdav",
    "https": "webdav",
    "dav": "webdav",
    "davs": "webdav",
}


def complaint(url: str) -> str:
    """What is wrong with ``url`` as a destination; empty when nothing is."""
    match = _SCHEME.fullmatch(url)
    if match is None:
        return _no_scheme(url)
    protocol, rest = match.groups()
    known = registry.names("destinations")
    if protocol not in known:
        near = (
            f' (did you mean "{_OTHER_NAMES[protocol]}"?)'
            if protocol in _OTHER_NAMES
            else did_you_mean(protocol, known)
        )
        return f'unknown protocol "{protocol}"{near}; one of {", ".join(known)}'
    if "::" in re.sub(r"\[[0-9A-Fa-f:.]+\]", "", rest):
        return "chained URLs (::) are not supported"
    if protocol == "file" and _ODD_IN_FILE.search(url):
        return "a file URL holds no backslashes or control characters, and no space at its end"
    if protocol != "file" and _ODD.search(url):
        return "a URL holds no spaces, backslashes or control characters"
    if "?" in rest or "#" in rest:
        return "a destination's URL has no “?” or “#”: settings go to options"
    return _file(rest) if protocol == "file" else _remote(protocol, rest)


def absolute(url: str, folder: Path) -> str:
    """``url`` in its one form: a relative file URL made absolute below ``folder``, no slash at the end, host in lower case."""
    protocol, _, rest = url.partition("://")
    if protocol == "file":
        return "file://" + os.path.normpath(rest if rest.startswith("/") else folder.absolute() / rest)
    authority, slash, path = rest.partition("/")
    if protocol not in ("memory", "s3"):  # a bucket's name is no host name
        user, at, host = authority.rpartition("@")
        authority = f"{user}{at}{host.lower()}"
    return f"{protocol}://{authority}{slash}{path}".rstrip("/")


def _no_scheme(url: str) -> str:
    if "::" in url:
        return "chained URLs (::) are not supported"
    if url.startswith("/") and not _ODD.search(url):
        return "expected a URL: a folder is written as file:///folder"
    if url.startswith("file:"):
        return "expected file:///folder, or file://./folder relative to this file"
    return "expected a URL, such as file:///srv/backups or s3://bucket/folder"


def _file(rest: str) -> str:
    if rest in (".", "..") or rest.startswith(("/", "./", "../")):
        return ""
    return "a file URL names no host: write file:///folder, or file://./folder relative to this file"


def _remote(protocol: str, rest: str) -> str:
    authority, _, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    if ":" in user:
        return "a password in the URL: remove it, and put a reference to it into options"
    if at and (protocol not in _WITH_USER or not user):
        return "credentials in the URL: remove them, and put references to them into options"
    match = _PORT.fullmatch(host)
    if match is None or int(match["port"] or 1) not in range(1, 65536):
        return f"expected {protocol}://{_PLACE.get(protocol, 'host')}/folder"
    if match["port"] and protocol in ("s3", "memory"):
        return "no port belongs here: a server is named in options"
    if ".." in path.split("/"):
        return "“..” is not allowed in a destination's URL"
    return ""


_PLACE = {"s3": "bucket", "memory": "name"}
