"""The keys for an encrypted artifact: from the specs, from files; and whether they open it. Used before a restore begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from reconciler.adapters.secrets import resolve
from reconciler.choosing import Choice
from reconciler.errors import CipherError, ReconcilerError, Refused, SecretError, StoreError, WrongKey
from reconciler.model import Encryption, Fleet, FromFile, Manifest, Sealed, SecretRef
from reconciler.pipeline.decrypt import NO_KEYS, Key, Keys, fits, opener, opens, wrong_key
from reconciler.ports import Store, World

BEGINNING = 1 << 20
"""Stored bytes on which a key is tried."""

__all__ = ["NO_KEYS", "Keys", "check_key", "find_keys", "proven_keys"]


def proven_keys(
    choice: Choice, manifest: Manifest, fleet: Fleet, world: World, files: Sequence[Path] = ()
) -> Keys:
    """The keys for the chosen artifact, tried on it. To be called before anything is touched. Raises as the two below."""
    keys = find_keys(manifest, fleet, files)
    check_key(choice, manifest, fleet, world, keys)
    return keys


def find_keys(manifest: Manifest, fleet: Fleet, files: Sequence[Path] = ()) -> Keys:
    """The keys that may open the artifact: those in ``files``, then those that the specs refer to.

    Nothing is read for an artifact that is not encrypted. Raises Refused for a file that holds no key.
    """
    sealed = manifest.encryption
    if sealed is None:
        return NO_KEYS
    given = [_from_file(file) for file in files]
    missing = []
    for reference in dict.fromkeys(_references(sealed, fleet)):
        try:
            given.append(_checked(Key(resolve(reference), reference.name), sealed))
        except (SecretError, Refused) as error:
            missing.append(str(error))
    return Keys(tuple(given), tuple(missing))


def check_key(choice: Choice, manifest: Manifest, fleet: Fleet, world: World, keys: Keys) -> None:
    """Open the beginning of the first copy that can be opened.

    Raises WrongKey when no key fits, and says which one is needed; CipherError when no copy can be opened for other reasons.
    """
    opening = opener(manifest, keys)
    sealed = manifest.encryption
    if opening is None or sealed is None:
        return
    reasons: list[str] = []
    for name, copy in choice.copies:
        if copy.broken:
            continue
        try:
            opens(_beginning(world.store(fleet.destination(name)), manifest.key), opening)
        except WrongKey:
            if not fits(sealed, keys):
                raise wrong_key(manifest.key, sealed, keys) from None
            reasons.append(f"{name}: its header is damaged")
        except (CipherError, StoreError) as error:
            reasons.append(f"{name}: {error}")
        else:
            return
    raise CipherError(f"{manifest.key} cannot be decrypted; nothing was touched. {'; '.join(reasons)}")


def _beginning(store: Store, key: str) -> bytes:
    """The first stored bytes of an artifact, all of a small one. Raises StoreError."""
    parts: list[bytes] = []
    left = BEGINNING
    with store.read(key) as reader:
        while left > 0 and (chunk := reader.read(left)):
            parts.append(chunk)
            left -= len(chunk)
    return b"".join(parts)


def _references(sealed: Sealed, fleet: Fleet) -> Iterator[SecretRef]:
    """What the specs name that may open it, the artifact's own backup's and others'."""
    for backup in fleet.backups:
        yield from _of(backup.encryption, sealed) if backup.encryption else ()


def _of(encryption: Encryption, sealed: Sealed) -> Iterator[SecretRef]:
    age, gpg = encryption.age, encryption.gpg
    if sealed.key_id:
        yield from (spec.passphrase for spec in (age, gpg) if spec and spec.passphrase)
    elif age:
        yield from age.identities


def _from_file(file: Path) -> Key:
    try:
        text = resolve(FromFile(from_file=str(file)))
    except SecretError as error:
        raise Refused(f"--identity: {error}") from None
    return _read(Key(text, str(file)))


def _checked(key: Key, sealed: Sealed) -> Key:
    if not sealed.key_id and key.kind == "passphrase":
        raise Refused(f"{key.source} holds no private key")
    return _read(key)


def _read(key: Key) -> Key:
    """The key, when it can be read. Raises Refused, which never quotes it."""
    if "BEGIN AGE ENCRYPTED FILE" in key.text or key.text.startswith("age-encryption.org/"):
        raise Refused(
            f"{key.source} is itself encrypted: write what `age -d {key.source}` gives into a file in memory"
        )
    if key.kind == "passphrase" and "\n" in key.text:
        raise Refused(
            f"{key.source} holds neither a private key of age, SSH or OpenPGP nor a passphrase of one line"
        )
    try:
        _ = key.names
    except ReconcilerError as error:
        raise Refused(f"{key.source} cannot be used: {error}") from None
    return key
