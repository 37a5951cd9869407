"""Streams in the age format that a passphrase opens, as ``age -p`` writes them. Imported by the age child alone.

pyrage has passphrases for data in memory only. This is the format of https://age-encryption.org/v1 with the primitives of
the standard library (scrypt, HMAC) and of cryptography (ChaCha20-Poly1305); nothing is invented here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

WORK = 17
"""Two to this power is scrypt's cost: a third of a second and 128 MiB for each artifact."""
MOST_WORK = 20
"""A header that asks for more would take more than 1 GiB."""

_CHUNK = 64 << 10
_TAG = 16
_VERSION = b"age-encryption.org/v1\n"
_STANZA = re.compile(rb"-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n")
_BODY = re.compile(
    rb"([A-Za-z0-9+/]{43})\n"
)  # a file key of 16 bytes and its tag; another length must be refused
_LINE = 256  # bytes; no line of a header that a passphrase opens is longer


class WrongPassphrase(Exception):
    """The header does not open with this passphrase."""


class Damaged(Exception):
    """The stream is cut, or was changed."""


def encrypt(source: BinaryIO, sink: BinaryIO, passphrase: bytes, work: int = WORK) -> None:
    """Encrypt ``source`` to its end."""
    file_key, salt = secrets.token_bytes(16), secrets.token_bytes(16)
    wrapped = ChaCha20Poly1305(_wrapping_key(passphrase, salt, work)).encrypt(bytes(12), file_key, None)
    header = _VERSION + b"-> scrypt %s %d\n%s\n---" % (_text(salt), work, _text(wrapped))
    nonce = secrets.token_bytes(16)
    sink.write(header + b" " + _text(_mac(file_key, header)) + b"\n" + nonce)
    cipher = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
    sink.writelines(cipher.encrypt(place, chunk, None) for place, chunk in _numbered(source, _CHUNK))


def decrypt(source: BinaryIO, sink: BinaryIO, passphrase: bytes) -> None:
    """Decrypt ``source`` to its end. Raises WrongPassphrase before anything was written, Damaged at any time."""
    file_key = _open_header(source, passphrase)
    cipher = ChaCha20Poly1305(_derived(file_key, _exactly(source, 16), b"payload"))
    for place, chunk in _numbered(source, _CHUNK + _TAG):
        if len(chunk) == _TAG and place[:11] != bytes(11):
            raise Damaged("it ends with an empty chunk")
        try:
            sink.write(cipher.decrypt(place, chunk, None))
        except (InvalidTag, ValueError):
            raise Damaged("a chunk was changed, or the end is missing") from None


def _open_header(source: BinaryIO, passphrase: bytes) -> bytes:
    """The file key."""
    lines = [source.readline(_LINE) for _ in range(4)]
    stanza, body = _STANZA.fullmatch(lines[1]), _BODY.fullmatch(lines[2])
    if lines[0] != _VERSION or stanza is None or body is None or not lines[3].startswith(b"--- "):
        raise Damaged("it is no age stream that a passphrase opens")
    work = int(stanza[2])
    if work > MOST_WORK:
        raise Damaged(f"its header asks for the work factor {work}: more than {MOST_WORK} is refused")
    salt, wrapped = _bytes(stanza[1]), _bytes(body[1])
    try:
        file_key = ChaCha20Poly1305(_wrapping_key(passphrase, salt, work)).decrypt(bytes(12), wrapped, None)
    except InvalidTag:
        raise WrongPassphrase from None
    header = b"".join(lines[:3]) + b"---"
    if not hmac.compare_digest(_text(_mac(file_key, header)), lines[3][4:-1]):
        raise Damaged("its header was changed")
    return file_key


def _numbered(source: BinaryIO, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Chunks with their nonces: a counter, and a mark on the last one, which is never empty unless it is the only one."""
    count, chunk = 0, source.read(size)
    while True:
        following = source.read(size) if len(chunk) == size else b""
        yield count.to_bytes(11, "big") + (b"\0" if following else b"\1"), chunk
        if not following:
            return
        count, chunk = count + 1, following


def _wrapping_key(passphrase: bytes, salt: bytes, work: int) -> bytes:
    salted = b"age-encryption.org/v1/scrypt" + salt
    most = (1 << work + 10) + (1 << 20)
    return hashlib.scrypt(passphrase, salt=salted, n=1 << work, r=8, p=1, maxmem=most, dklen=32)


def _mac(file_key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derived(file_key, b"", b"header"), header, "sha256")


def _derived(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF with SHA-256, for one block of output."""
    return hmac.digest(hmac.digest(salt or bytes(32), secret, "sha256"), info + b"\x01", "sha256")


def _exactly(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) != size:
        raise Damaged("it breaks off in its header")
    return data


def _text(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _bytes(text: bytes) -> bytes:
    """Of two texts for the same bytes only the canonical one is taken, as the format has it. Raises Damaged."""
    data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    if _text(data) != text:
        raise Damaged("its header is not as age writes it")
    return data
