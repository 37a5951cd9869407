"""Recipients of age as people write them: whether they are well formed, and what names them. Pure; needs no age library.

Used by spec to judge them and by the pipeline to name them in manifests and messages.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

_CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_AGE_LENGTH = 62  # "age1", 52 characters of key, 6 of checksum
_SSH = ("ssh-ed25519", "ssh-rsa")
_OPENSSH = b"openssh-key-v1\0"
_LEAST_RSA = 256  # bytes of modulus; age refuses smaller keys


def complaint(recipient: str) -> str:
    """Why ``recipient`` is none; empty when it is one. What may be a private key is never quoted."""
    if recipient.upper().startswith("AGE-SECRET-KEY-") or "PRIVATE KEY" in recipient:
        return "this is a private key, which is never written here: take it back, and give its public key"
    if recipient.startswith("age1"):
        return _age_complaint(recipient.strip())
    kind = recipient.split(maxsplit=1)[0]
    if kind in _SSH:
        return _ssh_complaint(recipient)
    if kind.startswith(("ssh-", "ecdsa-", "sk-")):
        return f"age cannot encrypt to keys of type {kind[:40]}: ssh-ed25519 and ssh-rsa are possible"
    return "expected a public key: age1…, ssh-ed25519 … or ssh-rsa …"


def name(recipient: str) -> str:
    """What names a well-formed recipient: an age1… itself, an SSH key by fingerprint (``SHA256:…``) and comment."""
    if recipient.startswith("age1"):
        return recipient.strip()
    _, blob, *comment = recipient.split(maxsplit=2)
    return " ".join([fingerprint(base64.b64decode(blob)), *comment]).strip()


def fingerprint(blob: bytes) -> str:
    """The fingerprint of an SSH public key as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def public_half(private: str) -> bytes | None:
    """The public key in an OpenSSH private key, where it stands in clear; None for what is in another format."""
    lines = [line for line in private.splitlines() if line and "-----" not in line]
    try:
        blob = base64.b64decode("".join(lines), validate=True)
        if not blob.startswith(_OPENSSH):
            return None
        at = len(_OPENSSH)
        for _ in range(3):  # cipher, key derivation and its options
            _, at = _field(blob, at)
        return _field(blob, at + 4)[0]  # behind the number of keys
    except (binascii.Error, ValueError):
        return None


def _age_complaint(text: str) -> str:
    if text.startswith(("age1pq1", "age1tag")):
        return "this version encrypts to age1… keys of age-keygen (X25519) and to SSH keys, not to this kind"
    if len(text) != _AGE_LENGTH or not set(text[4:]) <= set(_CHARACTERS):
        return f"an age1… key has {_AGE_LENGTH} lower-case letters and digits: this one is cut, or mistyped"
    if not _checksum_holds(text):
        return "a letter of this age1… key is mistyped: its checksum is wrong"
    return ""


def _checksum_holds(text: str) -> bool:
    """Bech32: the human part, a separator, and data whose last six characters are a checksum."""
    human, data = text.rsplit("1", 1)
    values = [ord(c) >> 5 for c in human] + [0] + [ord(c) & 31 for c in human]
    checksum = 1
    for value in values + [_CHARACTERS.index(c) for c in data]:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, factor in enumerate(_GENERATOR):
            checksum ^= factor if top >> bit & 1 else 0
    return checksum == 1


def _ssh_complaint(text: str) -> str:
    kind, *rest = text.split(maxsplit=2)
    try:
        fields = _fields(base64.b64decode(rest[0], validate=True))
    except (IndexError, binascii.Error, ValueError):
        return f"this {kind} key is cut, or mistyped: copy the whole line of the .pub file"
    if not fields or fields[0] != kind.encode() or len(fields) != (2 if kind == "ssh-ed25519" else 3):
        return f"this {kind} key is cut, or mistyped: copy the whole line of the .pub file"
    if kind == "ssh-rsa" and len(fields[2].lstrip(b"\0")) < _LEAST_RSA:
        return "this RSA key is too short for age: 2048 bits are the least"
    return ""


def _fields(blob: bytes) -> list[bytes]:
    """The length-prefixed fields of an SSH key. Raises ValueError where a length does not fit."""
    fields, at = [], 0
    while at < len(blob):
        field, at = _field(blob, at)
        fields.append(field)
    return fields


def _field(blob: bytes, at: int) -> tuple[bytes, int]:
    """The field that begins at ``at``, and where the next one begins. Raises ValueError when it breaks off."""
    end = at + 4 + int.from_bytes(blob[at : at + 4], "big")
    if end > len(blob):
        raise ValueError("a field breaks off")
    return blob[at + 4 : end], end
