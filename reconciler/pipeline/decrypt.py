"""Keys, and the child that decrypts an artifact with those that fit. Used by unpack, and by restore to try a key first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from typing import NamedTuple

from reconciler import recipients
from reconciler.errors import CipherError, WrongKey
from reconciler.model import Manifest, Sealed
from reconciler.pipeline import age, gpg
from reconciler.pipeline.filter import Filter, Job
from reconciler.pipeline.keyid import key_id


class Key(NamedTuple):
    """A private key or passphrase, and where it came from (a variable, a file), which is all that messages say of it."""

    text: str
    source: str

    @property
    def kind(self) -> str:
        """``age``, ``ssh``, ``pgp`` or ``passphrase``."""
        if "BEGIN PGP PRIVATE KEY" in self.text:
            return "pgp"
        if "PRIVATE KEY-----" in self.text:
            return "ssh"
        return "age" if "AGE-SECRET-KEY-" in self.text else "passphrase"

    @property
    def names(self) -> tuple[str, ...]:
        """What it is called in manifests, where that can be told. Raises CipherError for a key that is mistyped."""
        match self.kind:
            case "age":
                return age.public_names(self.text)
            case "ssh":
                public = recipients.public_half(self.text)
                return (recipients.fingerprint(public),) if public else ()
            case "passphrase":
                return (key_id(self.text),)
            case _:
                return ()


class Keys(NamedTuple):
    """The keys at hand, and what was looked for and is not there (``BACKUP_PASSPHRASE is not set``)."""

    given: tuple[Key, ...] = ()
    missing: tuple[str, ...] = ()

    def of(self, *kinds: str) -> tuple[Key, ...]:
        """Those of some kinds."""
        return tuple(key for key in self.given if key.kind in kinds)


NO_KEYS = Keys()


Opening = Callable[[], Job]
"""Makes the job that decrypts, and with it what that needs; the child that runs it cleans up."""


def opener(manifest: Manifest, keys: Keys) -> Opening | None:
    """What decrypts the artifact; None when it is not encrypted.

    Raises WrongKey when none of the keys can be the right one, CipherError when what decrypts is missing.
    """
    sealed = manifest.encryption
    if sealed is None:
        return None
    if sealed.scheme not in ("age", "gpg"):
        raise CipherError(
            f"{manifest.key} is encrypted with {sealed.scheme!r}, which this version does not know"
        )
    if sealed.key_id:
        return _by_passphrase(manifest.key, sealed, keys)
    if sealed.scheme == "gpg":
        texts = [key.text for key in keys.of("pgp")]
        return lambda: gpg.decrypt_by(texts)
    return _by_identity(manifest.key, sealed, keys)


def decrypted(stored: Iterable[bytes], opening: Opening) -> Generator[bytes]:
    """The content of ``stored``. Raises what ``stored`` raised, before what the child has to say."""
    child = Filter(opening())
    feeder = _Feeder(stored, child)
    try:
        while data := child.read():
            yield data
        feeder.join()
        child.finish()
    finally:
        child.kill()
        feeder.wait()
        child.close()


def opens(beginning: bytes, opening: Opening) -> None:
    """Try a key on the beginning of an artifact. Raises WrongKey, and CipherError for a beginning that is damaged."""
    child = Filter(opening())
    feeder = _Feeder([beginning], child)
    try:
        if not child.read_some():
            child.finish()
    finally:
        child.kill()
        feeder.wait()
        child.close()


def fits(sealed: Sealed, keys: Keys) -> bool:
    """Whether a key is at hand that has the right name: what it does not open is damaged."""
    wanted = {name.split(" ")[0] for name in sealed.recipients} | {sealed.key_id}
    return any(wanted.intersection(key.names) for key in keys.given)


def wrong_key(key: str, sealed: Sealed, keys: Keys) -> WrongKey:
    """The error that says which key the artifact ``key`` needs, and which ones are at hand."""
    if sealed.key_id:
        held = [f"{item.source} holds {item.names[0]}" for item in keys.of("passphrase")]
        needs = f"the passphrase {sealed.key_id}, which {sealed.reference or 'some reference'} held when it was made"
    else:
        held = [_described(item) for item in keys.of("age", "ssh", "pgp")]
        needs = sealed.key
        held += ["the keyring of gpg"] if sealed.scheme == "gpg" and not keys.of("pgp") else []
    at_hand = "; ".join([*held, *keys.missing]) or "none"
    hint = "give the old one with --identity FILE" if sealed.key_id else "give it with --identity FILE"
    return WrongKey(f"{key} needs {needs}; at hand: {at_hand}; {hint}. Nothing was touched")


def _by_passphrase(key: str, sealed: Sealed, keys: Keys) -> Opening:
    for candidate in keys.of("passphrase"):
        if candidate.names == (sealed.key_id,):
            module = age if sealed.scheme == "age" else gpg
            return lambda: module.decrypt_with(candidate.text)
    raise wrong_key(key, sealed, keys)


def _by_identity(key: str, sealed: Sealed, keys: Keys) -> Opening:
    """Only keys that may fit are handed on: one that cannot be read must not hide another that opens it."""
    wanted = {name.split(" ")[0] for name in sealed.recipients}
    candidates = keys.of("age", "ssh")
    fitting = [item for item in candidates if not item.names or wanted.intersection(item.names)]
    if not fitting:
        raise wrong_key(key, sealed, keys)
    return lambda: age.decrypt_by([item.text for item in fitting])


def _described(key: Key) -> str:
    names = " and ".join(key.names)
    return f"{names} ({key.source})" if names else f"the key in {key.source}"


class _Feeder:
    """Writes everything to a child from a thread of its own."""

    def __init__(self, chunks: Iterable[bytes], child: Filter) -> None:
        self._chunks = chunks
        self._child = child
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="decrypt", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for its end. Raises what went wrong."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def wait(self) -> None:
        """Wait for its end."""
        self._thread.join()

    def _run(self) -> None:
        try:
            for chunk in self._chunks:
                self._child.write(chunk)
            self._child.end()
        except BaseException as error:  # noqa: BLE001 - carried to the thread that reads
            self._error = error
            self._child.kill()  # it would wait for more
