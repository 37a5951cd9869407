"""The process that encrypts or decrypts with age: stdin to stdout. Started by ``pipeline.age``; imported by nobody.

pyrage holds the interpreter's lock from the first byte to the last and cannot be interrupted: a process of its own can be
killed, and leaves the other threads alone. What to do comes as JSON through the pipe whose number is the one argument, so
no key is ever an argument. Exit codes: 0 done, 1 failed (stderr says why), 3 no key fits.
"""

from __future__ import annotations

import json
import sys
from typing import Any, BinaryIO

BUFFER = 64 << 10
WRONG_KEY = 3


def main() -> int:
    """Do the one job; the exit code."""
    with open(int(sys.argv[1]), "rb") as pipe:
        job = json.loads(pipe.read())
    try:
        # What was decrypted before an error still goes out: it shows that the key fits.
        with open(0, "rb", buffering=BUFFER) as source, open(1, "wb", buffering=BUFFER) as sink:
            if "passphrase" in job:
                return _with_passphrase(job, source, sink)
            return _with_keys(job, source, sink)
    except BrokenPipeError:
        return 1


def _with_passphrase(job: dict[str, Any], source: BinaryIO, sink: BinaryIO) -> int:
    from reconciler.pipeline import age_passphrase

    secret = str(job["passphrase"]).encode("utf-8", "surrogateescape")
    try:
        if job["do"] == "encrypt":
            age_passphrase.encrypt(source, sink, secret)
        else:
            age_passphrase.decrypt(source, sink, secret)
    except age_passphrase.WrongPassphrase:
        return WRONG_KEY
    except age_passphrase.Damaged as error:
        return _failed(str(error))
    return 0


def _with_keys(job: dict[str, Any], source: BinaryIO, sink: BinaryIO) -> int:
    import pyrage

    try:
        if job["do"] == "encrypt":
            pyrage.encrypt_io(source, sink, [_recipient(text) for text in job["recipients"]])
        else:
            pyrage.decrypt_io(source, sink, [key for text in job["identities"] for key in _identities(text)])
    except pyrage.DecryptError as error:
        return WRONG_KEY if "No matching keys" in str(error) else _failed(str(error))
    except pyrage.IdentityError as error:
        return _failed(f"a private key that was given cannot be used: {error}{_hint(error)}")
    except BrokenPipeError:
        raise
    except (
        pyrage.EncryptError,
        pyrage.RecipientError,
        OSError,
    ) as error:  # OSError: a chunk is cut, or was changed
        return _failed(str(error))
    return 0


def _recipient(text: str) -> Any:
    import pyrage

    kind = pyrage.x25519 if text.startswith("age1") else pyrage.ssh
    return kind.Recipient.from_str(text)


def _identities(text: str) -> list[Any]:
    """The keys in one file: one SSH key, or lines of age keys with comments between them."""
    import pyrage

    if "PRIVATE KEY-----" in text:
        return [pyrage.ssh.Identity.from_buffer(f"{text.rstrip()}\n".encode())]
    lines = [line.strip() for line in text.splitlines()]
    return [pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith("AGE-SECRET-KEY-1")]


def _hint(error: Exception) -> str:
    locked = "must be decrypted" in str(error)
    return "; `ssh-keygen -p -f COPY` writes a copy of it without its passphrase" if locked else ""


def _failed(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
