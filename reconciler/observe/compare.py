"""Copies of one artifact must be equal: where their sizes differ, the manifests say which copy is broken."""

from __future__ import annotations

import msgspec

from reconciler.errors import Corrupt, StoreError
from reconciler.manifests import decode
from reconciler.model import Copy, Fleet, Listing
from reconciler.naming import manifest_key
from reconciler.ports import Store, World


def mark_broken(fleet: Fleet, world: World, listings: dict[str, Listing]) -> dict[str, Listing]:
    """The listings with ``broken`` set on copies that differ from their own manifest. Reads manifests of those alone."""
    doubtful = _doubtful(listings)
    if not doubtful:
        return listings
    return {
        name: msgspec.structs.replace(
            listing,
            copies=tuple(
                _check(copy, world.store(fleet.destination(name))) if copy.artifact.key in doubtful else copy
                for copy in listing.copies
            ),
        )
        for name, listing in listings.items()
    }


def _doubtful(listings: dict[str, Listing]) -> set[str]:
    """Keys whose copies, or whose manifests, have not the same size everywhere."""
    first: dict[str, tuple[int, int]] = {}
    doubtful: set[str] = set()
    for listing in listings.values():
        for copy in listing.copies:
            sizes = (copy.size, copy.manifest_size)
            if first.setdefault(copy.artifact.key, sizes) != sizes:
                doubtful.add(copy.artifact.key)
    return doubtful


def _check(copy: Copy, store: Store) -> Copy:
    if copy.broken:
        return copy
    key = copy.artifact.key
    try:
        manifest = decode(store.get(manifest_key(key)), key)
    except Corrupt as error:
        return msgspec.structs.replace(copy, broken=str(error))
    except StoreError as error:
        return msgspec.structs.replace(copy, broken=f"its manifest cannot be read: {error}")
    if manifest.size != copy.size:
        return msgspec.structs.replace(copy, broken=f"{copy.size} bytes instead of {manifest.size}")
    return copy
