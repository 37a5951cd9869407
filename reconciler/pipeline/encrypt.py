"""What encrypts the artifacts of one backup, as its spec says. Used by apply, which hands it to transfer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from reconciler import recipients
from reconciler.errors import CipherError
from reconciler.model import AgeEncryption, Encryption, GpgEncryption, Sealed, SecretRef
from reconciler.pipeline import age, gpg
from reconciler.pipeline.filter import Filter, Job
from reconciler.pipeline.keyid import key_id

Resolve = Callable[[SecretRef], str]


class Sealer:
    """Encrypts one artifact after the other."""

    def __init__(self, sealed: Callable[[], Sealed], job: Callable[[], Job]) -> None:
        self._sealed = sealed
        self._job = job

    @property
    def sealed(self) -> Sealed:
        """What their manifests say of the keys. It may have to be waited for."""
        return self._sealed()

    def start(self) -> Filter:
        """A new child, that encrypts what it is given. Raises CipherError when it cannot be run."""
        return Filter(self._job())


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
    return Sealer(lambda: sealed, lambda: age.encrypt_to(spec.recipients))


def _gpg(spec: GpgEncryption, resolve: Resolve) -> Sealer:
    gpg.insist()
    if spec.passphrase:
        secret = _passphrase(spec.passphrase, resolve)
        return Sealer(_named("gpg", spec.passphrase, secret), lambda: gpg.encrypt_with(secret))
    sealed = Sealed(scheme="gpg", recipients=gpg.fingerprints(spec.recipients))
    return Sealer(lambda: sealed, lambda: gpg.encrypt_to(spec.recipients))


def _named(scheme: str, reference: SecretRef, secret: str) -> Callable[[], Sealed]:
    """The name of a passphrase, which takes a moment to compute: beside the reading of the data."""
    with_id = ThreadPoolExecutor(1, "key-id")
    found = with_id.submit(key_id, secret)
    with_id.shutdown(wait=False)
    return lambda: Sealed(scheme=scheme, key_id=found.result(), reference=reference.name)


def _passphrase(reference: SecretRef, resolve: Resolve) -> str:
    """The passphrase as it stands. Raises CipherError for one that nobody could type."""
    secret = resolve(reference)
    if "\n" in secret or "\r" in secret or "\0" in secret:
        raise CipherError(
            f"the passphrase in {reference.name} has more than one line: only one line works with age and gpg by hand"
        )
    return secret
