"""What is wrong with an ``encryption`` block: which keys go together, and whether the public ones are well formed.

Used by fields. Whether a recipient can really be encrypted to is the word of age and gpg, at each backup; here is what the
text alone can tell.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

from reconciler import recipients
from reconciler.spec.locate import path_of
from reconciler.spec.problems import Path, quote

Finding = tuple[Path, str]

_MOST = 1 << 20
_ARMOR = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
_BINARY = (0x98, 0x99, 0x9A, 0xC6)  # the first byte of a binary public key: old and new forms of packet 6
_WHICH = "give one of age and gpg"
_HOW = "give recipients or a passphrase"


def key_findings(block: dict[str, Any], path: Path, folder: File) -> Iterator[Finding]:
    """Everything wrong with ``block["encryption"]``; relative paths start at ``folder``."""
    encryption = block.get("encryption")
    if not isinstance(encryption, dict):
        return
    here = (*path, "encryption")
    given = [scheme for scheme in ("age", "gpg") if scheme in encryption]
    if not given and not encryption:
        yield here, f"names no keys: {_WHICH}"
    if len(given) == 2:
        yield (*here, "gpg"), f"age is given too: {_WHICH}"
    for scheme in given:
        yield from _scheme(encryption[scheme], (*here, scheme), folder)


def missing_key_files(block: dict[str, Any], path: Path, folder: File) -> Iterator[Finding]:
    """Key files with an absolute path that are not here: they may be where the backups are made."""
    for where, text, file in _files(block, path, folder):
        if _is_absolute(text) and not file.exists():
            yield where, f"{quote(text)} is not on this machine: where the backups are made it must be"


def _scheme(spec: Any, here: Path, folder: File) -> Iterator[Finding]:
    if not isinstance(spec, dict):
        return
    both = [key for key in ("recipients", "passphrase") if key in spec]
    listed = spec.get("recipients")
    if not both or (listed == [] and "passphrase" not in spec):
        yield here, f"names no keys: {_HOW}"
    if len(both) == 2:
        yield (*here, "passphrase"), f"recipients are given too: {_HOW}"
    for position, text in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(text, str) and text.strip():
            why = recipients.complaint(text) if here[-1] == "age" else _file_complaint(text, folder)
            if why:
                yield (*here, "recipients", position), why


def _files(block: dict[str, Any], path: Path, folder: File) -> Iterator[tuple[Path, str, File]]:
    encryption = block.get("encryption")
    gpg = encryption.get("gpg") if isinstance(encryption, dict) else None
    listed = gpg.get("recipients") if isinstance(gpg, dict) else None
    for position, text in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(text, str) and text and "\0" not in text:
            yield (*path, "encryption", "gpg", "recipients", position), text, File(path_of(text, folder))


def _file_complaint(text: str, folder: File) -> str:
    """Why a path leads to no public key; empty where it does, and for one on another machine."""
    if "\0" in text:
        return ""
    if "\n" in text.strip() or text.startswith("-----"):
        return "expected the path of a file with a public key, not the key itself"
    file = File(path_of(text, folder))
    if _is_absolute(text) and not file.exists():
        return ""
    try:
        with file.open("rb") as opened:
            head = opened.read(_MOST)
    except OSError as error:
        return f"{quote(text)} cannot be read: {error.strerror}; gpg --armor --export KEY writes a public key"
    if b"PRIVATE KEY" in head:
        return f"{quote(text)} holds a private key: put gpg --armor --export KEY there, and keep the private key elsewhere"
    if _ARMOR in head or (head[:1] and head[0] in _BINARY):
        return ""
    return f"{quote(text)} holds no OpenPGP public key: gpg --armor --export KEY writes one"


def _is_absolute(text: str) -> bool:
    return os.path.isabs(os.path.expanduser(text))
