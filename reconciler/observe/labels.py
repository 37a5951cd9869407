"""Labels of containers that name hooks: those of docker-volume-backup and of Velero. Pure; used by ``resolve``.

What their documentation leaves open is settled in docs/labels.md. A label that cannot be followed is an error against the
container's name, and keeps what it concerns from being backed up: a dump that was not made would be missed too late.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import NamedTuple

import msgspec

from reconciler.durations import seconds
from reconciler.model import Hook, Phase
from reconciler.ports import Container

OFFEN = "docker-volume-backup."
_STEPS = tuple(
    f"{step}-{when}" for step in ("archive", "process", "copy", "prune") for when in ("pre", "post")
)
_STOP, _STAY, _TIE = "stop-during-backup", "stop-during-backup-no-restart", "exec-label"
_OFFEN_KEYS = (*_STEPS, *(f"{step}.user" for step in _STEPS), _STOP, _STAY, _TIE)

VOLUMES = "backup.velero.io/backup-volumes"
_VELERO: dict[str, Phase] = {
    "pre.hook.backup.velero.io/": "archive-pre",
    "post.hook.backup.velero.io/": "archive-post",
    "post.hook.restore.velero.io/": "restore-post",
}
_BACKUP_KEYS = ("command", "container", "timeout", "on-error")
_RESTORE_KEYS = ("command", "container", "exec-timeout", "on-error", "wait-timeout", "wait-for-ready")
_VELERO_TIMEOUT = "30s"


class Labelled(NamedTuple):
    """What the labels of one container ask for. ``stop`` holds the values of its stop label, ``stay`` those of the other."""

    hooks: tuple[Hook, ...] = ()
    tie: str = ""
    stop: str = ""
    stay: str = ""
    errors: tuple[str, ...] = ()


def offen(container: Container) -> Labelled:
    """The labels ``docker-volume-backup.*``."""
    given = _with_prefix(container.labels, OFFEN)
    errors = list(_unknown(given, _OFFEN_KEYS, OFFEN))
    hooks: list[Hook] = []
    for step in _STEPS:
        user = given.get(f"{step}.user")
        if step in given:
            hooks += _offen_hook(container.name, step, given[step], user, errors)
        elif user is not None:
            errors.append(f"label {OFFEN}{step}.user is there without {OFFEN}{step}")
    if _STOP in given and _STAY in given:
        errors.append(f"labels {OFFEN}{_STOP} and {OFFEN}{_STAY} contradict each other: remove one")
    stop, stay = (_on(given.get(key, "")) for key in (_STOP, _STAY))
    return Labelled(tuple(hooks), given.get(_TIE, ""), stop, stay, tuple(errors))


def _offen_hook(name: str, step: str, command: str, user: str | None, errors: list[str]) -> list[Hook]:
    try:
        words = tuple(shlex.split(command))
        if not words:
            raise ValueError("it is empty")
        return [_hook({"phase": step, "exec": _exec(name, words, user)})]
    except (ValueError, msgspec.ValidationError) as error:
        errors.append(f"label {OFFEN}{step} cannot be followed: {_reason(error)}")
        return []


def _on(value: str) -> str:
    """The value of a stop label; one that says no is none."""
    return "" if value.lower() in ("false", "0", "no", "off") else value


def velero(container: Container, siblings: Mapping[str, str]) -> Labelled:
    """The labels ``*.hook.*.velero.io/*``. ``siblings``: names of containers by compose service of the same project."""
    errors: list[str] = []
    hooks: list[Hook] = []
    for prefix, phase in _VELERO.items():
        given = _with_prefix(container.labels, prefix)
        known = _RESTORE_KEYS if phase == "restore-post" else _BACKUP_KEYS
        errors += _unknown(given, known, prefix)
        if not given:
            continue
        try:
            hooks.append(_velero_hook(container.name, prefix, phase, given, siblings))
        except (ValueError, msgspec.ValidationError) as error:
            errors.append(f"labels {prefix}… cannot be followed: {_reason(error)}")
    if any(
        key.startswith(("init.hook.restore.velero.io/", "pre.hook.restore.velero.io/"))
        for key in container.labels
    ):
        errors.append(
            "labels init.hook.restore.velero.io/… (init containers) have no counterpart here: use a restore-pre hook"
        )
    return Labelled(tuple(hooks), errors=tuple(errors))


def _velero_hook(
    name: str, prefix: str, phase: Phase, given: Mapping[str, str], siblings: Mapping[str, str]
) -> Hook:
    if "command" not in given:
        raise ValueError(f"{prefix}command is missing")
    where = given.get("container", name)
    where = siblings.get(where, where)
    on_error = given.get("on-error", "Continue" if phase == "restore-post" else "Fail")
    if on_error not in ("Fail", "Continue"):
        raise ValueError(f"on-error is {on_error!r}: Fail or Continue")
    fields: dict[str, object] = {
        "phase": phase,
        "exec": _exec(where, _argv(given["command"]), None),
        "timeout": _duration(given.get("timeout") or given.get("exec-timeout") or _VELERO_TIMEOUT),
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
    except ValueError:
        raise ValueError(f"{text!r} is no JSON list") from None
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
    return {"container": container, "command": list(words), **({"user": user} if user is not None else {})}


def _hook(fields: Mapping[str, object]) -> Hook:
    return msgspec.convert(fields, Hook)


def _reason(error: Exception) -> str:
    text = str(error)
    return (
        f"{text.partition(' - at ')[0]} ({text.rpartition('.')[2].strip('`')})" if " - at " in text else text
    )


def _with_prefix(labels: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {key.removeprefix(prefix): value for key, value in labels.items() if key.startswith(prefix)}


def _unknown(given: Mapping[str, str], known: tuple[str, ...], prefix: str) -> Iterator[str]:
    for key in sorted(given.keys() - set(known)):
        close = get_close_matches(key, known, 1)
        hint = f" (did you mean {prefix}{close[0]}?)" if close else f"; known are {', '.join(known)}"
        yield f"label {prefix}{key} is not known{hint}"
