"""Which key each encrypted artifact needs, as its manifest says. Used by ``list`` alone: a plan needs no keys."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from reconciler.errors import Corrupt, StoreError
from reconciler.manifests import decode
from reconciler.model import Fleet, Sealed
from reconciler.naming import is_encrypted, manifest_key
from reconciler.ports import World

_AT_ONCE = 16


def keys_needed(fleet: Fleet, world: World, copies: Iterable[tuple[str, str]]) -> dict[str, Sealed]:
    """How the encrypted ones among ``copies`` (destination, artifact key) are encrypted, by artifact key.

    One manifest is read of each artifact, from the first destination where that works; without any it is left out.
    """
    places: dict[str, list[str]] = {}
    for name, key in copies:
        if is_encrypted(key):
            places.setdefault(key, []).append(name)

    def look(key: str) -> Sealed | None:
        for name in places[key]:
            try:
                store = world.store(fleet.destination(name))
                return decode(store.get(manifest_key(key)), key).encryption
            except (Corrupt, StoreError):
                continue
        return None

    with ThreadPoolExecutor(_AT_ONCE, "manifest") as pool:
        found = zip(places, pool.map(look, places), strict=True)
        return {key: sealed for key, sealed in found if sealed}
