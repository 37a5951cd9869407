"""Relative paths of hooks, keys and secrets start at the folder of the file that names them. Used by build."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from reconciler.model import Encryption, Hook, Notifier, ScriptFile, SecretRef


def path_of(text: str, folder: Path) -> str:
    """``text`` as an absolute path; a relative one starts at ``folder``."""
    expanded = os.path.expanduser(text)
    return expanded if os.path.isabs(expanded) else os.path.normpath(folder.absolute() / expanded)


def located_hooks(hooks: tuple[Hook, ...], folder: Path) -> tuple[Hook, ...]:
    """The hooks with absolute paths of scripts and secret files."""
    return tuple(_hook(hook, folder) for hook in hooks)


def _hook(hook: Hook, folder: Path) -> Hook:
    script, http, exec_ = hook.script, hook.http, hook.exec
    if isinstance(script, ScriptFile):
        script = ScriptFile(file=path_of(script.file, folder))
    if http:
        url = _value(http.url, folder)
        http = msgspec.structs.replace(http, url=url, headers=_values(http.headers, folder))
    if exec_:
        exec_ = msgspec.structs.replace(exec_, env=_values(exec_.env, folder))
    return msgspec.structs.replace(hook, script=script, http=http, exec=exec_)


def located_encryption(encryption: Encryption | None, folder: Path) -> Encryption | None:
    """The encryption with absolute paths of keys."""
    if encryption is None:
        return None
    age, gpg = encryption.age, encryption.gpg
    if age:
        identities = tuple(_reference(item, folder) for item in age.identities)
        age = msgspec.structs.replace(
            age, identities=identities, passphrase=_optional(age.passphrase, folder)
        )
    if gpg:
        recipients = tuple(path_of(item, folder) for item in gpg.recipients)
        gpg = msgspec.structs.replace(
            gpg, recipients=recipients, passphrase=_optional(gpg.passphrase, folder)
        )
    return Encryption(age=age, gpg=gpg)


def located_notifiers(notifiers: tuple[Notifier, ...], folder: Path) -> tuple[Notifier, ...]:
    """The notifiers with absolute paths of the files that hold their addresses."""
    return tuple(_notifier(notifier, folder) for notifier in notifiers)


def _notifier(notifier: Notifier, folder: Path) -> Notifier:
    given = getattr(notifier, notifier.kind)
    placed = msgspec.structs.replace(given, url=_reference(given.url, folder))
    return msgspec.structs.replace(notifier, **{notifier.kind: placed})


def _values(values: dict[str, str | SecretRef], folder: Path) -> dict[str, str | SecretRef]:
    return {key: _value(value, folder) for key, value in values.items()}


def _value(value: str | SecretRef, folder: Path) -> str | SecretRef:
    return value if isinstance(value, str) else _reference(value, folder)


def _optional(reference: SecretRef | None, folder: Path) -> SecretRef | None:
    return _reference(reference, folder) if reference else None


def _reference(reference: SecretRef, folder: Path) -> SecretRef:
    if reference.from_file is None:
        return reference
    return SecretRef(from_file=path_of(reference.from_file, folder))
