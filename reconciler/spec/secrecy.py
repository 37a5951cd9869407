"""Which keys name a secret, and literals under them. Used wherever a message could show a value."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconciler.spec.problems import Path

ADVICE = "a secret is never written here; write {fromEnv: NAME} or {fromFile: PATH}"

_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")
_SECRET = frozenset(
    {
        "secret",
        "secrets",
        "token",
        "password",
        "passwd",
        "pwd",
        "pass",
        "passphrase",
        "credential",
        "credentials",
    }
)
_LAST = frozenset({"key", "apikey", "auth", "authorization"})
_NOT = frozenset({"file", "path", "env", "name", "id", "type"})
_PUBLIC = frozenset({"host", "public", "known"})


def names_secret(key: str) -> bool:
    """Whether a value under ``key`` must be a reference: by the words of the key (``secret_key``, ``apiToken``)."""
    words = [word.lower() for word in _WORDS.findall(key)]
    if not words or words[-1] in _NOT or words[0] in _PUBLIC or words[0] == "from":
        return False
    return words[-1] in _LAST or not _SECRET.isdisjoint(words)


def hidden(path: Path) -> bool:
    """Whether the value at ``path`` may be a secret, so that no message may show it."""
    return any(isinstance(step, str) and (step == "fromEnv" or names_secret(step)) for step in path)


def literals(data: object, public: frozenset[Path], path: Path = ()) -> Iterator[Path]:
    """Where a literal stands under a key that names a secret. ``public`` are paths that are known to be none."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from literals(value, public, (*path, key))
    elif isinstance(data, list):
        for position, value in enumerate(data):
            yield from literals(value, public, (*path, position))
    elif data is not None and path not in public and path and _last_names_secret(path):
        yield path


def _last_names_secret(path: Path) -> bool:
    keys = [step for step in path if isinstance(step, str)]
    return bool(keys) and names_secret(keys[-1])
