"""Encryption of a docker-volume-backup as ours. Pure but for a file of public keys that it may read; used by backups."""

from __future__ import annotations

from typing import Any, NamedTuple

from reconciler.importers.settings import Config
from reconciler.recipients import complaint

_SETTINGS = ("GPG_PASSPHRASE", "GPG_PUBLIC_KEY_RING", "AGE_PASSPHRASE", "AGE_PUBLIC_KEYS")


class Sealing(NamedTuple):
    """The ``encryption`` of a Backup; None without one. ``files`` are texts that it names, by path beside the specs.

    ``incomplete`` says that theirs encrypts and that this does not yet: such a Backup must not run.
    """

    spec: dict[str, Any] | None = None
    files: dict[str, str] = {}  # noqa: RUF012 - never changed
    incomplete: bool = False


def sealing(config: Config, name: str) -> Sealing:
    """How a configuration encrypts. ``name`` is that of its Backup; files are called after it."""
    given = [name for name in _SETTINGS if name in config.settings or f"{name}_FILE" in config.settings]
    if not given:
        return Sealing()
    given.sort(
        key=lambda name: name in config.settings and not config.settings[name].value
    )  # known ones first
    kind, *others = given
    for other in others:
        config.lose(other, f"only one kind of encryption at a time: {kind} is taken; theirs refuses to start")
    if kind == "GPG_PUBLIC_KEY_RING":
        return _key_ring(config, f"keys/{name}.asc")
    if kind == "AGE_PUBLIC_KEYS":
        return _age_keys(config)
    reference = config.secret(kind)
    scheme = kind.partition("_")[0].lower()
    return Sealing({scheme: {"passphrase": reference}}) if reference else _missing(config, kind)


def _key_ring(config: Config, path: str) -> Sealing:
    if "GPG_PUBLIC_KEY_RING" not in config.settings:
        reference = config.secret("GPG_PUBLIC_KEY_RING") or {}
        if file := reference.get("fromFile"):
            return Sealing({"gpg": {"recipients": [file]}})
        return _missing(config, "GPG_PUBLIC_KEY_RING")
    ring = config.text("GPG_PUBLIC_KEY_RING").strip()
    if "PRIVATE KEY" in ring or "PUBLIC KEY BLOCK" not in ring:
        return _missing(config, "GPG_PUBLIC_KEY_RING")
    return Sealing({"gpg": {"recipients": [f"./{path}"]}}, {path: f"{ring}\n"})


def _age_keys(config: Config) -> Sealing:
    keys = [key.strip() for key in config.text("AGE_PUBLIC_KEYS").split(",") if key.strip()]
    if not keys or any(map(complaint, keys)):
        return _missing(config, "AGE_PUBLIC_KEYS")
    return Sealing({"age": {"recipients": keys}})


def _missing(config: Config, name: str) -> Sealing:
    config.lose(
        name, "holds nothing that can be carried over: the Backup is suspended until you write its encryption"
    )
    return Sealing(incomplete=True)
