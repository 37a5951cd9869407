"""Jobs that encrypt and decrypt with the program gpg, and a keyring to verify with. Used by encrypt, decrypt and sources.

Nothing of the user's GnuPG settings plays a part, and no agent is started but where a private key is used: that is what
only an agent may do.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from reconciler.errors import CipherError, WrongKey
from reconciler.pipeline.filter import Job, Said
from reconciler.pipeline.gpg_home import Home
from reconciler.pipeline.process import bare_environment

# Not --quiet: it would hide which key is missing.
_COMMON = ("gpg", "--no-options", "--batch", "--no-tty", "--no-random-seed-file", "--status-fd=2")
_ENCRYPT = ("--compress-algo=none", "--cipher-algo=AES256", "--trust-model=always", "--no-autostart")
# With a fixed count gpg need not ask an agent for one. It is the highest that all versions know.
_PASSPHRASE = ("--s2k-mode=3", "--s2k-digest-algo=SHA512", "--s2k-count=65011712", "--pinentry-mode=loopback")
_USERS_OWN = ("GNUPGHOME", "GPG_TTY", "TERM", "DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR")
_MISSING = "encryption with OpenPGP needs the program gpg: install the package gnupg"
_LOCKED = (
    "the private key has a passphrase, which cannot be asked for here: import it into gpg's own keyring (gpg --import), "
    "unlock it there (gpg -d on any file for it), and restore without --identity"
)
_ENGLISH = {"LC_ALL": "C"}


def encrypt_to(files: Sequence[str]) -> Job:
    """Encrypts to the public key in each of the files."""
    options = (*_ENCRYPT, *(f"--recipient-file={file}" for file in files), "--encrypt")
    return _in_home(lambda _pipe: options, b"", _judge_encrypting)


def encrypt_with(passphrase: str) -> Job:
    """Encrypts with a passphrase, by AES-256."""
    options = (*_ENCRYPT, *_PASSPHRASE, "--symmetric")
    return _in_home(lambda pipe: (f"--passphrase-fd={pipe}", *options), _line(passphrase), _judge_encrypting)


def decrypt_with(passphrase: str) -> Job:
    """Decrypts with a passphrase."""
    options = ("--no-autostart", "--pinentry-mode=loopback", "--decrypt")
    return _in_home(lambda pipe: (f"--passphrase-fd={pipe}", *options), _line(passphrase), _judge_decrypting)


def decrypt_by(keys: Sequence[str]) -> Job:
    """Decrypts with armored private keys that have no passphrase; without any, with those in the user's own keyring."""
    if not keys:
        return _with_keyring()
    home = _home()
    try:
        for key in keys:
            _import(key, home)
    except BaseException:
        home.close()
        raise
    command = (*_COMMON, f"--homedir={home.path}", "--pinentry-mode=error", "--decrypt")
    return Job("gpg", lambda _pipe: command, b"", _judge_decrypting, _ENGLISH, home.close)


def fingerprints(files: Sequence[str]) -> tuple[str, ...]:
    """The fingerprint of the one public key in each file. Raises CipherError where it holds anything else."""
    home = _home()
    try:
        return tuple(_fingerprint(file, home) for file in files)
    finally:
        home.close()


@contextlib.contextmanager
def keyring(file: Path) -> Iterator[Path]:
    """A GNUPGHOME that knows the public keys in ``file`` and no others. Raises CipherError."""
    home = _home()
    try:
        command = [*_COMMON, f"--homedir={home.path}", "--no-autostart", "--import", "--", str(file)]
        done = subprocess.run(command, env=bare_environment() | _ENGLISH, capture_output=True, check=False)
        if b"IMPORT_OK" not in done.stderr:
            raise CipherError(f"{file} holds no OpenPGP public key that gpg can read")
        yield home.path
    finally:
        home.close()


def insist() -> None:
    """Raises CipherError where there is no gpg."""
    if not shutil.which("gpg"):
        raise CipherError(_MISSING)


def _fingerprint(file: str, home: Home) -> str:
    command = [*_COMMON, f"--homedir={home.path}", "--with-colons", "--show-keys", "--", file]
    shown = subprocess.run(
        command,
        env=bare_environment() | _ENGLISH,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    records = [line.split(":") for line in shown.stdout.splitlines()]
    primary = [record for record in records if record[0] in ("pub", "sec")]
    if shown.returncode or not primary:
        raise CipherError(f"{file} holds no OpenPGP public key: gpg --armor --export KEY writes one")
    if len(primary) > 1 or primary[0][0] == "sec":
        raise CipherError(
            f"{file} must hold one public key and nothing else: gpg --armor --export KEY writes it"
        )
    return next(record[9] for record in records if record[0] == "fpr")


def _in_home(options: Callable[[int], tuple[str, ...]], secret: bytes, judge: Callable[[Said], None]) -> Job:
    home = _home()
    head = (*_COMMON, f"--homedir={home.path}")
    return Job("gpg", lambda pipe: (*head, *options(pipe)), secret, judge, _ENGLISH, home.close)


def _home() -> Home:
    insist()
    return Home()


def _import(key: str, home: Home) -> None:
    command = [*_COMMON, f"--homedir={home.path}", "--pinentry-mode=error", "--import"]
    done = subprocess.run(
        command, input=key.encode(), env=bare_environment() | _ENGLISH, capture_output=True, check=False
    )
    if b"IMPORT_OK" not in done.stderr:
        raise CipherError("gpg cannot read a private key that was given: is it whole?")


def _with_keyring() -> Job:
    insist()
    own = {name: os.environ[name] for name in _USERS_OWN if name in os.environ}
    running = _agent_runs(own)

    def clean() -> None:
        if not running:
            _gpgconf(own, "--kill", "gpg-agent")

    return Job("gpg", lambda _pipe: (*_COMMON, "--decrypt"), b"", _judge_decrypting, own | _ENGLISH, clean)


def _agent_runs(environment: Mapping[str, str]) -> bool:
    """Whether the user's own agent runs already: then it is not ours to end."""
    place = _gpgconf(environment, "--list-dirs", "agent-socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(place)
        except OSError:
            return False
    return True


def _gpgconf(environment: Mapping[str, str], *arguments: str) -> str:
    command = ["gpgconf", *arguments]
    done = subprocess.run(
        command, env={**bare_environment(), **environment}, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _line(passphrase: str) -> bytes:
    """As gpg reads it: up to the end of the line."""
    return passphrase.encode("utf-8", "surrogateescape") + b"\n"


def _judge_encrypting(said: Said) -> None:
    if said.status:
        raise CipherError(f"gpg could not encrypt ({said.how})")


def _judge_decrypting(said: Said) -> None:
    """Only what gpg says that it decrypted counts: of a message that is not encrypted it gives the content, too."""
    if "DECRYPTION_OKAY" in said.words and not said.status:
        return
    if "NO_SECKEY" in said.words and "No pinentry" not in said.text:
        raise WrongKey("gpg has no private key that opens it")
    if "No pinentry" in said.text:
        raise CipherError(_LOCKED)
    raise CipherError(f"gpg could not decrypt ({said.how})")
