"""Jobs that encrypt and decrypt with age, each in a process of its own. Used by encrypt and decrypt."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from reconciler.errors import CipherError, WrongKey
from reconciler.pipeline.age_child import WRONG_KEY
from reconciler.pipeline.filter import Job, Said

_ROOT = Path(__file__).parents[2]
_MISSING = (
    "encryption with age needs the Python packages pyrage and cryptography: pip install 'reconciler[age]'"
)


def encrypt_to(recipients: Sequence[str]) -> Job:
    """Encrypts so that each of the recipients can decrypt."""
    return _job({"do": "encrypt", "recipients": [text.strip() for text in recipients]}, _judge_encrypting)


def encrypt_with(passphrase: str) -> Job:
    """Encrypts so that the passphrase decrypts."""
    return _job({"do": "encrypt", "passphrase": passphrase}, _judge_encrypting)


def decrypt_by(identities: Sequence[str]) -> Job:
    """Decrypts with the first of the private keys that fits; each is the text of a key file."""
    return _job({"do": "decrypt", "identities": list(identities)}, _judge_decrypting)


def decrypt_with(passphrase: str) -> Job:
    """Decrypts with a passphrase."""
    return _job({"do": "decrypt", "passphrase": passphrase}, _judge_decrypting)


def insist() -> None:
    """Raises CipherError where the packages that age needs are missing."""
    if not all(importlib.util.find_spec(name) for name in ("pyrage", "cryptography")):
        raise CipherError(_MISSING)


def public_names(text: str) -> tuple[str, ...]:
    """What the age keys (``AGE-SECRET-KEY-1…``) in a key file are called in public. Raises CipherError."""
    insist()
    import pyrage

    lines = [line.strip() for line in text.splitlines()]
    try:
        keys = [
            pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith("AGE-SECRET-KEY-1")
        ]
    except pyrage.IdentityError:
        raise CipherError("it holds an age key that is cut, or mistyped") from None
    return tuple(str(key.to_public()) for key in keys)


def _job(what: dict[str, object], judge: Callable[[Said], None]) -> Job:
    insist()
    command = (sys.executable, "-P", "-m", "reconciler.pipeline.age_child")
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return Job(
        "age",
        lambda pipe: (*command, str(pipe)),
        json.dumps(what).encode(),
        judge,
        {"PYTHONPATH": os.pathsep.join(paths)},
    )


def _judge_encrypting(said: Said) -> None:
    if said.status:
        raise CipherError(f"age could not encrypt ({said.how})")


def _judge_decrypting(said: Said) -> None:
    if said.status == WRONG_KEY:
        raise WrongKey("no key that was given opens it")
    if said.status:
        raise CipherError(f"age could not decrypt ({said.how})")
