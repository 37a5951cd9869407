"""Labels of containers that name hooks: those of docker-volume-backup and of Velero. Pure; used by ``resolve``.

What their documentation leaves open is settled in docs/labels.md. A label that cannot be followed is an error against the
container's name, and keeps what it concerns from being backed up: a dump that was not made would be missed too late.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from reconciler.durations import seconds
from reconciler.model import Hook, Phase
from reconciler.model.fleet import LabelKind
from reconciler.ports import Container

NONE: Mapping[str, str] = MappingProxyType({})
OFFEN = "docker-volume-backup."
_STEPS = tuple(
    f"{step}-{when}" for step in ("archive", "process", "copy", "prune") for when in ("pre", "post")
)
_STOP, _STAY, _TIE = "stop-during-backup", "stop-during-backup-no-restart", "exec-label"
_OFFEN_KEYS = (*_STEPS, *(f"{step}.user" for step in _STEPS), _STOP, _STAY, _TIE)

_OLD_KEYS = {"exec-pre": "archive-pre", "exec-post": "archive-post"}

VOLUMES = "backup.velero.io/backup-volumes"
VOLUMES_NOT = "backup.velero.io/backup-volumes-excludes"
_VELERO: dict[str, Phase] = {
    "pre.hook.backup.velero.io/": "archive-pre",
    "hook.backup.velero.io/": "archive-pre",
    "post.hook.backup.velero.io/": "archive-post",
    "post.hook.restore.velero.io/": "restore-post",
}
_INIT = ("init.hook.restore.velero.io/", "pre.hook.restore.velero.io/")
_BACKUP_KEYS = ("command", "container", "timeout", "on-error")
_RESTORE_KEYS = ("command", "container", "exec-timeout", "on-error", "wait-timeout", "wait-for-ready")
_VELERO_TIMEOUT = "30s"


class Labelled(NamedTuple):
    """What the labels of one container ask for.

    ``tie`` is the value of its exec-label, ``stop`` that of a label that stops it; ``restart``: and starts it again.
    """

    hooks: tuple[Hook, ...] = ()
    tie: str = ""
    stop: str = ""
    restart: bool = True
    errors: tuple[str, ...] = ()


def strangers(labels: Mapping[str, str], kind: LabelKind) -> tuple[str, ...]:
    """The labels that name hooks in the way of the system that ``kind`` is not."""
    if kind == "velero":
        return tuple(sorted(key for key in labels if key.startswith(OFFEN)))
    return tuple(sorted(key for key in labels if key.startswith((*_VELERO, *_INIT))))


def offen(container: Container, service: Mapping[str, str] = NONE) -> Labelled:
    """The labels ``docker-volume-backup.*``. ``service``: those of the Swarm service, of which only stops count."""
    given = _with_prefix(container.labels, OFFEN)
    deployed = {key: value for key, value in _with_prefix(service, OFFEN).items() if key in (_STOP, _STAY)}
    errors = list(_unknown(given, _OFFEN_KEYS, OFFEN))
    hooks: list[Hook] = []
    for step in _STEPS:
        user = given.get(f"{step}.user")
        if step in given:
            hooks += _offen_hook(container.name, step, given[step], user, errors)
        elif user is not None:
            errors.append(f"label {OFFEN}{step}.user is there without {OFFEN}{step}")
    if deployed and given.keys() & {_STOP, _STAY}:
        errors.append(f"both it and its Swarm service {container.service} say when to stop: remove one label")
    given = deployed | given
    if _STOP in given and _STAY in given:
        errors.append(f"labels {OFFEN}{_STOP} and {OFFEN}{_STAY} contradict each other: remove one")
    stop = _on(given.get(_STOP) or given.get(_STAY, ""))
    return Labelled(tuple(hooks), given.get(_TIE, ""), stop, _STOP in given, tuple(errors))


def _offen_hook(name: str, step: str, command: str, user: str | None, errors: list[str]) -> list[Hook]:
    try:
        words = tuple(shlex.split(command))
        if not words:
            raise ValueError("it is empty")
        return [_hook({"phase": step, "exec": _exec(name, words, user)})]
    except msgspec.ValidationError:  # nothing else of it can be amiss
        errors.append(f'label {OFFEN}{step}.user cannot be followed: "{user}" is no name of a user')
    except ValueError as error:
        errors.append(f"label {OFFEN}{step} cannot be followed: {error}")
    return []


def _on(value: str) -> str:
    """The value of a stop label; one that says no is none."""
    return "" if value.lower() in ("false", "0", "no", "off") else value


def velero(container: Container, siblings: Mapping[str, str]) -> Labelled:
    """The labels ``*.hook.*.velero.io/*``. ``siblings``: containers by the names that ``…/container`` may have for them."""
    errors = list(_velero_unknown(container.labels))
    hooks: list[Hook] = []
    for prefix, phase in _VELERO.items():
        given = _with_prefix(container.labels, prefix)
        known = _RESTORE_KEYS if phase == "restore-post" else _BACKUP_KEYS
        errors += _unknown(given, known, prefix)
        if not given:
            continue
        try:
            hooks.append(_velero_hook(container.name, prefix, phase, given, siblings))
        except ValueError as error:
            errors.append(f"labels {prefix}… cannot be followed: {error}")
    if sum(hook.phase == "archive-pre" for hook in hooks) > 1:
        errors.append(
            "labels hook.backup.velero.io/… and pre.hook.backup.velero.io/… say the same: remove the former"
        )
    return Labelled(tuple(hooks), errors=tuple(errors))


def _velero_unknown(labels: Mapping[str, str]) -> Iterator[str]:
    """Keys that look as if they were to name hooks or volumes, and do not."""
    if any(key.startswith(_INIT) for key in labels):
        yield f"labels {_INIT[0]}… (init containers) have no counterpart here: use a restore-pre hook"
    known = (*_VELERO, *_INIT)
    for key in sorted(labels):
        head = f"{key.partition('/')[0]}/"
        if not re.search(r"(hook|backup)s?\..*velero\.io/", head) or head in known:
            continue
        if head == VOLUMES.partition("/")[0] + "/":
            if key not in (VOLUMES, VOLUMES_NOT):
                yield f"label {key} is not known{_hint(key, (VOLUMES, VOLUMES_NOT))}"
        else:
            yield f"label {key} is not known{_hint(head, known)}"


def _velero_hook(
    name: str, prefix: str, phase: Phase, given: Mapping[str, str], siblings: Mapping[str, str]
) -> Hook:
    if not given.get("command"):
        raise ValueError(f"{prefix}command is missing")
    where = siblings.get(given.get("container", name))
    if where is None:
        raise ValueError(
            f"there is no container {given['container']}, nor such a service of its compose project"
        )
    on_error = given.get("on-error", "Continue" if phase == "restore-post" else "Fail")
    if on_error not in ("Fail", "Continue"):
        raise ValueError(f"on-error is {on_error!r}: Fail or Continue")
    fields: dict[str, object] = {
        "phase": phase,
        "exec": _exec(where, _argv(given["command"]), None),
        "timeout": _duration(given.get("exec-timeout", given.get("timeout", _VELERO_TIMEOUT))),
        "onError": on_error,
    }
    if phase == "restore-post":
        fields["waitForReady"] = _truth(given.get("wait-for-ready", "false"))
        fields["waitTimeout"] = _duration(given.get("wait-timeout", "5m"))
    return _hook(fields)


def _argv(text: str) -> tuple[str, ...]:
    """A JSON list, or, as Velero has it, one word that is the whole text."""
    if not text.startswith("["):
        return (text,)
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{text[:200]!r} is no JSON list") from None
    if not (isinstance(words, list) and words and all(isinstance(word, str) for word in words)):
        raise ValueError(f"{text!r} is no JSON list of words")
    return tuple(words)


def _duration(text: str) -> str:
    seconds(text)
    return text


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"wait-for-ready is {text!r}: true or false")
    return text.lower() == "true"


def _exec(container: str, words: tuple[str, ...], user: str | None) -> dict[str, object]:
    return {"container": container, "command": list(words), **({"user": user} if user else {})}


def _hook(fields: Mapping[str, object]) -> Hook:
    return msgspec.convert(fields, Hook)


def _with_prefix(labels: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {key.removeprefix(prefix): value for key, value in labels.items() if key.startswith(prefix)}


def _unknown(given: Mapping[str, str], known: Sequence[str], prefix: str) -> Iterator[str]:
    for key in sorted(given.keys() - set(known)):
        meant = _OLD_KEYS.get(key)
        hint = f": it is called {prefix}{meant} now" if meant else _hint(key, known, prefix)
        yield f"label {prefix}{key} is not known{hint}"


def _hint(key: str, known: Sequence[str], prefix: str = "") -> str:
    close = get_close_matches(key, known, 1)
    return f" (did you mean {prefix}{close[0]}?)" if close else f"; known are {', '.join(known)}"
