"""What no schema can tell of hooks, quiescing, discovery and restores. Used by ``fields``.

Works on the plain data; a value of a wrong type is none of its business.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from reconciler.spec.problems import Path, quote
from reconciler.spec.restores import moment
from reconciler.spec.secrecy import ADVICE

Finding = tuple[Path, str]

_KINDS = ("exec", "http", "script")
_WITH_CONTAINER = ("command", "container")


def around_findings(kind: object, block: dict[str, Any], path: Path) -> Iterator[Finding]:
    """What is wrong in the ``spec`` of a document of ``kind``."""
    targets = _dicts(block.get("targets"))
    homeless = [target for _, target in targets if not _has_container(target)]
    yield from _hooks(block, path, homeless=bool(homeless) and kind == "Backup" and "discover" not in block)
    for position, target in targets:
        yield from _hooks(target, (*path, "targets", position), homeless=not _has_container(target))
    if kind == "Backup" and path == ("spec",):
        yield from _backup(block, path)
    if kind == "Restore":
        yield from _restore(block, path)


def _hooks(block: dict[str, Any], path: Path, *, homeless: bool) -> Iterator[Finding]:
    for position, hook in _dicts(block.get("hooks")):
        where = (*path, "hooks", position)
        kinds = [key for key in _KINDS if key in hook]
        if len(kinds) != 1:
            given = f"got {' and '.join(kinds)}" if kinds else "got none of them"
            yield where, f"a hook has exactly one of {', '.join(_KINDS)}; {given}"
        if hook.get("waitForReady") is True and "exec" not in hook:
            yield (*where, "waitForReady"), "only an exec hook has a container to wait for"
        run = hook.get("exec")
        if isinstance(run, dict):
            yield from _exec(run, (*where, "exec"), homeless=homeless)
        request = hook.get("http")
        if isinstance(request, dict) and (message := _address(request.get("url"))):
            yield (*where, "http", "url"), message


def _exec(run: dict[str, Any], path: Path, *, homeless: bool) -> Iterator[Finding]:
    command = run.get("command")
    if isinstance(command, str):
        try:
            shlex.split(command)
        except ValueError as error:
            yield (*path, "command"), f"cannot be split into words as a shell does it: {str(error).lower()}"
    if homeless and "container" not in run:
        yield path, "names no container, and its target has none of its own: add container"


def _address(url: object) -> str:
    """What is wrong with the literal URL of a request."""
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return ""
    try:
        parts = urlsplit(url)
        if parts.username is not None:
            return f"a login in the URL: {ADVICE}, which then holds the whole URL"
        return "" if parts.hostname and parts.port != 0 else "the URL names no server"
    except ValueError:
        return "this is no address of a server: look at its host, brackets and port"


def _has_container(target: dict[str, Any]) -> bool:
    return target.get("kind") in _WITH_CONTAINER and "container" in target


def _backup(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    if "targets" not in block and "discover" not in block:
        yield path, 'required key "targets" is missing, and there is no "discover" in its place'
    if block.get("discover") == {}:
        yield (*path, "discover"), "finds nothing without a condition: give it label or composeProject"
    if "execLabel" in block and block.get("hooksFromLabels") != "docker-volume-backup":
        yield (*path, "execLabel"), "means nothing without hooksFromLabels: docker-volume-backup"


def _restore(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    to = block.get("to")
    if isinstance(to, dict) and len(to) != 1:
        given = f"got {' and '.join(sorted(map(str, to)))}" if to else "got none of them"
        yield (*path, "to"), f"is exactly one of container, path, volume; {given}"
    at = block.get("at")
    if isinstance(at, str):
        try:
            moment(at)
        except ValueError as error:
            text = (
                str(error) if "zone" in str(error) else f"{quote(at)} is no time such as 2026-01-20T12:00:00Z"
            )
            yield (*path, "at"), text


def _dicts(value: Any) -> list[tuple[int, dict[str, Any]]]:
    items = value if isinstance(value, list) else []
    return [(position, item) for position, item in enumerate(items) if isinstance(item, dict)]
