"""Manifests as bytes and back. Pure; used by observe, apply and restore."""

from __future__ import annotations

import msgspec

from reconciler.errors import Corrupt
from reconciler.model import Manifest


def encode(manifest: Manifest) -> bytes:
    """The stored form: JSON with one field a line, so that people can read it."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(content: bytes, key: str) -> Manifest:
    """The manifest of the artifact ``key``. Raises Corrupt when it is not readable, or that of another artifact."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"the manifest of {key} is not readable: {error}") from None
    if manifest.key != key:
        raise Corrupt(f"the manifest of {key} is that of {manifest.key}")
    return manifest
