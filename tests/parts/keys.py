"""Keys made by the real programs (age-keygen, ssh-keygen, gpg), and those programs encrypting and decrypting by hand."""

import os
import pty
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.process import program


@dataclass
class KeyRing:
    """A pair of keys of each kind, and another one that is not the right one. ``gpg_home`` is a keyring that holds both."""

    folder: Path
    version: str

    @property
    def gpg_home(self) -> Path:
        """The GNUPGHOME of the tests."""
        return self.folder / "gpg"

    def public(self, name: str) -> str:
        """The public key of ``age``, ``other-age``, ``ed25519``, ``other-ed25519`` or ``rsa``, as one writes it into a spec."""
        if name.endswith("age"):
            return self._run("age-keygen", "-y", str(self.private(name))).strip()
        return self.private(name).with_suffix(".pub").read_text().strip()

    def private(self, name: str) -> Path:
        """The file with a private key: those above, and ``pgp``, ``other-pgp`` and ``locked-pgp`` (``secret``), armored."""
        return self.folder / name

    def certificate(self, name: str) -> Path:
        """The file with the public key of ``pgp``, ``other-pgp`` or ``locked-pgp``, armored."""
        return self.folder / f"{name}.asc"

    def fingerprint(self, name: str) -> str:
        """The OpenPGP fingerprint of ``pgp`` or ``other-pgp``."""
        shown = self.gpg("--with-colons", "--list-keys", f"{name}@example.com").decode()
        return next(line.split(":")[9] for line in shown.splitlines() if line.startswith("fpr:"))

    def gpg(self, *arguments: str, stdin: bytes = b"", passphrase: str | None = None) -> bytes:
        """Run gpg on that keyring; its stdout."""
        command = ["gpg", "--homedir", str(self.gpg_home), "--batch", "--yes", "--pinentry-mode", "loopback"]
        if passphrase is None:
            return _output([*command, *arguments], stdin)
        reading, writing = os.pipe()
        os.write(writing, passphrase.encode() + b"\n")
        os.close(writing)
        try:
            return _output([*command, "--passphrase-fd", str(reading), *arguments], stdin, reading)
        finally:
            os.close(reading)

    def age(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run age; its stdout."""
        return _output(["age", *arguments], stdin)

    def _run(self, *command: str) -> str:
        return _output(command, b"").decode()


def on_terminal(script: str, typed: str, times: int = 1) -> None:
    """Run a shell script on a terminal of its own, and type a line at each of its prompts (``…passphrase…:``).

    Raises:
        RuntimeError: it failed; the text is what the terminal showed.
    """
    ours, theirs = pty.openpty()
    command = ["setsid", "--ctty", "--wait", "bash", "-o", "pipefail", "-c", script]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    for _ in range(times):
        prompt = b""
        while b"assphrase" not in prompt or not prompt.rstrip().endswith(b":"):
            prompt += _received(ours, shown + prompt)
        os.write(ours, typed.encode() + b"\n")
        shown += prompt
    while data := _tail(ours):
        shown += data
    os.close(ours)
    if process.wait():
        raise RuntimeError(shown.decode(errors="replace"))


@contextmanager
def key_ring(folder: Path) -> Iterator[KeyRing]:
    """Make the keys in ``folder``, whose path must be short: gpg puts sockets there."""
    for name, package in (("age", "age"), ("gpg", "gnupg"), ("ssh-keygen", "openssh-client")):
        program(name, package)
    versions = [_output([name, "--version"], b"").decode().split() for name in ("age", "gpg")]
    ring = KeyRing(folder, f"age {versions[0][0]} and GnuPG {versions[1][2]}")
    for name in ("age", "other-age"):
        _output(["age-keygen", "-o", str(ring.private(name))], b"")
    for name, kind in (("ed25519", "ed25519"), ("other-ed25519", "ed25519"), ("rsa", "rsa")):
        _ssh_key(ring.private(name), kind, "")
    _ssh_key(ring.private("locked"), "ed25519", "a passphrase")
    ring.gpg_home.mkdir(mode=0o700)
    try:
        for name, passphrase in (("pgp", ""), ("other-pgp", ""), ("locked-pgp", "secret")):
            _gpg_key(ring, name, passphrase)
        yield ring
    finally:
        subprocess.run(["gpgconf", "--homedir", str(ring.gpg_home), "--kill", "all"], check=False)


def _ssh_key(file: Path, kind: str, passphrase: str) -> None:
    _output(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", f"{kind}@host", "-f", str(file)], b"")


def _gpg_key(ring: KeyRing, name: str, passphrase: str) -> None:
    who = f"{name}@example.com"
    ring.gpg("--quick-generate-key", who, "future-default", "default", "never", passphrase=passphrase)
    ring.certificate(name).write_bytes(ring.gpg("--armor", "--export", who))
    ring.private(name).write_bytes(ring.gpg("--armor", "--export-secret-keys", who, passphrase=passphrase))


def _output(command: Sequence[str], stdin: bytes, *files: int) -> bytes:
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, pass_fds=files)
    if done.returncode:
        raise RuntimeError(
            f"{command[0]} ended with {done.returncode}: {done.stderr.decode(errors='replace')}"
        )
    return done.stdout


def _received(terminal: int, shown: bytes) -> bytes:
    if data := _tail(terminal):
        return data
    raise RuntimeError(f"no prompt came: {shown.decode(errors='replace')}")


def _tail(terminal: int) -> bytes:
    """What comes next; empty when its last writer has gone (Linux then says EIO)."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
