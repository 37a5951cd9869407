"""A short name for a passphrase, by which a changed one is noticed. Pure; used by encrypt and restore."""

from __future__ import annotations

import hashlib
from functools import lru_cache

_SALT = b"reconciler/v1 key id"


@lru_cache(maxsize=64)
def key_id(passphrase: str) -> str:
    """Eight hexadecimal digits: the same for the same passphrase everywhere.

    They lie beside the artifacts, so trying passphrases on them must cost as much as on the artifacts: a third of a second.
    """
    secret = passphrase.encode("utf-8", "surrogateescape")
    return hashlib.scrypt(secret, salt=_SALT, n=1 << 15, r=8, p=3, maxmem=64 << 20, dklen=4).hex()
