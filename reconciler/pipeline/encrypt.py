"""What encrypts the artifacts of one backup, as its spec says. Used by apply, which hands it to transfer."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from reconciler import recipients
from reconciler.errors import CipherError
from reconciler.model import AgeEncryption, Encryption, GpgEncryption, Sealed, SecretRef
from reconciler.pipeline import age, gpg
from reconciler.pipeline.filter import Filter, Job
from reconciler.pipeline.keyid import key_id

Resolve = Callable[[SecretRef], str]


class Sealer(NamedTuple):
    """Encrypts one artifact after the other. ``sealed`` goes into their manifests."""

    sealed: Sealed
    job: Callable[[], Job]

    def start(self) -> Filter:
        """A new child, that encrypts what it is given. Raises CipherError when it cannot be run."""
        return Filter(self.job())


def sealer(encryption: Encryption | None, resolve: Resolve) -> Sealer | None:
    """What encrypts as ``encryption`` says; None for not at all. ``resolve`` gives the passphrase that a reference names.

    Raises CipherError for a missing program or package and for a key file that is none, SecretError for a passphrase that
    is not there: nothing has been begun by then.
    """
    if encryption is None:
        return None
    if encryption.age:
        return _age(encryption.age, resolve)
    return _gpg(encryption.gpg or GpgEncryption(), resolve)


def decrypt_command(sealed: Sealed) -> str:
    """What decrypts it by hand; the programs ask for a passphrase, and gpg finds its private keys itself."""
    if sealed.scheme == "gpg":
        return "gpg -d"
    return "age -d" if sealed.key_id else "age -d -i KEY"


def _age(spec: AgeEncryption, resolve: Resolve) -> Sealer:
    age.insist()
    if spec.passphrase:
        secret = _passphrase(spec.passphrase, resolve)
        return Sealer(_named("age", spec.passphrase, secret), lambda: age.encrypt_with(secret))
    sealed = Sealed(scheme="age", recipients=tuple(recipients.name(text) for text in spec.recipients))
    return Sealer(sealed, lambda: age.encrypt_to(spec.recipients))


def _gpg(spec: GpgEncryption, resolve: Resolve) -> Sealer:
    gpg.insist()
    if spec.passphrase:
        secret = _passphrase(spec.passphrase, resolve)
        return Sealer(_named("gpg", spec.passphrase, secret), lambda: gpg.encrypt_with(secret))
    sealed = Sealed(scheme="gpg", recipients=gpg.fingerprints(spec.recipients))
    return Sealer(sealed, lambda: gpg.encrypt_to(spec.recipients))


def _named(scheme: str, reference: SecretRef, secret: str) -> Sealed:
    return Sealed(scheme=scheme, key_id=key_id(secret), reference=reference.name)


def _passphrase(reference: SecretRef, resolve: Resolve) -> str:
    """The passphrase as it stands. Raises CipherError for one that nobody could type."""
    secret = resolve(reference)
    if "\n" in secret or "\r" in secret or "\0" in secret:
        raise CipherError(
            f"the passphrase in {reference.name} has more than one line: only one line works with age and gpg by hand"
        )
    return secret
