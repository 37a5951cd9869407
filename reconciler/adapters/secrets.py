"""Secret references become values here, and nowhere else; and what became a value is struck out of every text shown.

Used by destinations (to resolve) and by the command line, apply and report (to redact).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from reconciler.errors import SecretError
from reconciler.model import FromEnv, FromFile, OptionValue, Secret, SecretRef

SHORTEST = 4
"""Characters of a guarded value: to strike out shorter ones would strike out half of every text."""

_NAMES_SECRET = re.compile(r"pass|pwd|secret|token|credential|(^|_)key($|_)|auth", re.IGNORECASE)
_PLACES = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "SSH_ASKPASS", "GIT_ASKPASS", "XAUTHORITY"})
"""Names of variables that hold a path, and only look as if they held a secret."""
_SWITCHES = ("true", "false", "none")
"""What no secret is, but ``ALLOW_EMPTY_PASSWORD`` may be."""
_resolved: set[str] = set()


def resolve(secret: Secret | SecretRef) -> str:
    """The value of a reference. Raises SecretError, naming the variable or file and never the value."""
    if isinstance(secret, SecretRef):
        secret = secret.secret
    value = _from_env(secret) if isinstance(secret, FromEnv) else _from_file(secret)
    _resolved.add(value)
    return value


def resolve_options(options: dict[str, OptionValue]) -> dict[str, str | int | float | bool]:
    """Every option with its references resolved. Raises SecretError."""
    return {
        key: resolve(value) if isinstance(value, (FromEnv, FromFile)) else value
        for key, value in options.items()
    }


def guard(variables: Iterable[Sequence[str]]) -> None:
    """Strike out the values of variables whose name says that they are secret: a container's own, or this process's."""
    for name, value in variables:
        if not _NAMES_SECRET.search(name) or name in _PLACES:
            continue
        if len(value) >= SHORTEST and value.lower() not in _SWITCHES:
            _resolved.add(value)


def redact(text: str) -> str:
    """``text`` without any secret that was resolved in this process. Longest first, so that no tail of one remains."""
    for value in sorted(_resolved, key=len, reverse=True):
        text = text.replace(value, "[secret]")
    return text


def _from_env(secret: FromEnv) -> str:
    value = os.environ.get(secret.from_env, "")
    if not value:
        raise SecretError(
            f"environment variable {secret.from_env} is not set, but a spec refers to it as a secret: "
            "set it where the reconciler runs, or correct the name after fromEnv"
        )
    return value


def _from_file(secret: FromFile) -> str:
    try:
        value = Path(secret.from_file).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SecretError(f"secret file {secret.from_file} cannot be read: {reason}") from None
    if not value:
        raise SecretError(f"secret file {secret.from_file} is empty")
    return value
