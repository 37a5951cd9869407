"""Encryption of a docker-volume-backup as ours. Pure but for a file of public keys that it may read; used by backups."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from reconciler.importers.settings import Config

_SETTINGS = ("GPG_PASSPHRASE", "GPG_PUBLIC_KEY_RING", "AGE_PASSPHRASE", "AGE_PUBLIC_KEYS")


class Sealing(NamedTuple):
    """The ``encryption`` of a Backup; None without one. ``files`` are texts that it names, by path beside the specs.

    ``incomplete`` says that theirs encrypts and that this does not yet: such a Backup must not run.
    """

    spec: dict[str, Any] | None = None
    files: dict[str, str] = {}  # noqa: RUF012 - never changed
    incomplete: bool = False


def sealing(config: Config) -> Sealing:
    """How a configuration encrypts."""
    given = [name for name in _SETTINGS if name in config.settings or f"{name}_FILE" in config.settings]
    if not given:
        return Sealing()
    for name in given[1:]:
        config.lose(
            name, f"only one kind of encryption at a time: {given[0]} is taken; theirs refuses to start"
        )
    name = given[0]
    if name == "GPG_PUBLIC_KEY_RING":
        return _key_ring(config)
    if name == "AGE_PUBLIC_KEYS":
        return _age_keys(config)
    reference = config.secret(name)
    scheme = name.partition("_")[0].lower()
    return Sealing({scheme: {"passphrase": reference}}) if reference else _missing(config, name)


def _key_ring(config: Config) -> Sealing:
    if "GPG_PUBLIC_KEY_RING" not in config.settings:
        reference = config.secret("GPG_PUBLIC_KEY_RING") or {}
        if file := reference.get("fromFile"):
            return Sealing({"gpg": {"recipients": [file]}})
        return _missing(config, "GPG_PUBLIC_KEY_RING")
    ring = config.text("GPG_PUBLIC_KEY_RING").strip()
    if "PRIVATE KEY" in ring or "PUBLIC KEY BLOCK" not in ring:
        return _missing(config, "GPG_PUBLIC_KEY_RING")
    path = f"keys/{config.name}.asc"
    return Sealing({"gpg": {"recipients": [f"./{path}"]}}, {path: f"{ring}\n"})


def _age_keys(config: Config) -> Sealing:
    keys = [key.strip() for key in config.text("AGE_PUBLIC_KEYS").split(",") if key.strip()]
    if not keys or not all(re.match(r"age1|ssh-(ed25519|rsa) ", key) for key in keys):
        return _missing(config, "AGE_PUBLIC_KEYS")
    return Sealing({"age": {"recipients": keys}})


def _missing(config: Config, name: str) -> Sealing:
    config.lose(
        name, "holds nothing that can be carried over: the Backup is suspended until you write its encryption"
    )
    return Sealing(incomplete=True)
