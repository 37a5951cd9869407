"""One destination's objects, told apart: copies, leftovers, foreign files; and whether it is the place that it should be."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from reconciler.errors import Corrupt, Missing
from reconciler.markers import Marker, check_marker
from reconciler.model import Artifact, Copy, Leftover, Listing
from reconciler.naming import (
    LEASE_FOLDER,
    MARKER,
    PART,
    is_encrypted,
    manifest_key,
    parse,
    parse_intent,
    parse_intent_content,
)
from reconciler.ports import Store

_MANIFEST = ".json"
_PACKED = ("zst", "gz")


def read_listing(store: Store, name: str, seen: str) -> Listing:
    """List a destination in one pass. ``seen`` is the marker id under which it was seen before, or empty.

    Raises ReconcilerError when it cannot be listed.
    """
    sizes = {stored.key: stored.size for stored in store.list()}
    try:
        marker: Marker | None = check_marker(store.get(MARKER), name, seen) if MARKER in sizes else None
    except Missing:  # gone between the listing and the reading
        marker = None
    if marker is None and seen:
        return Listing(unknown=_lost(name, seen))
    if marker is not None and marker.problem:
        return Listing(unknown=marker.problem)
    sizes.pop(MARKER, None)
    leases = {key: sizes.pop(key) for key in list(sizes) if key.startswith(LEASE_FOLDER)}
    listing = _sort(sizes, marker)
    return msgspec.structs.replace(
        listing, leftovers=tuple(_dated(store, left) for left in listing.leftovers), leases=leases
    )


def _dated(store: Store, leftover: Leftover) -> Leftover:
    """The leftover with the time that its record holds: an old artifact may have been begun to be copied just now."""
    if not leftover.node:
        return leftover
    try:
        begun = parse_intent_content(store.get(leftover.keys[-1]))
    except (Missing, Corrupt):  # its run has ended meanwhile, or somebody else wrote the record
        begun = None
    return msgspec.structs.replace(leftover, time=begun or leftover.time)


def _lost(name: str, seen: str) -> str:
    return (
        f"destination {name} was seen before and has lost its marker {MARKER}: an unmounted disk, a wrong folder or bucket? "
        f"Mount it; if this is the right place, put back {Marker(name=name, id=seen).text()}; "
        "if it is a new and empty one, give the destination a new name in the specs"
    )


def _sort(sizes: dict[str, int], marker: Marker | None) -> Listing:
    """Tell the objects apart; each key is looked at once."""
    artifacts: dict[str, Artifact] = {}
    manifests: dict[str, Artifact] = {}
    parts: dict[str, list[str]] = {}
    intents: dict[str, tuple[str, str]] = {}
    foreign: list[str] = []
    for key in sizes:
        of_manifest = parse(key.removesuffix(_MANIFEST)) if key.endswith(_MANIFEST) else None
        if of_manifest:
            manifests[of_manifest.key] = of_manifest
        elif artifact := parse(key):
            artifacts[key] = artifact
        elif intent := parse_intent(key):
            intents[intent[1]] = (intent[0], key)
        elif owner := _part_of(key):
            parts.setdefault(owner, []).append(key)
        elif not key.endswith(PART) or parse_intent(key.removesuffix(PART)) is None:
            foreign.append(key)
    empty = {key for key in manifests if not sizes[manifest_key(key)]}
    _set_aside(manifests, parts, {key for key in empty if key in intents or key not in artifacts})
    lone = [key for key in artifacts if key not in manifests and key not in intents]
    committed = set(manifests)
    for key in [key for key in lone if _beside(key, committed)]:
        del artifacts[key]
        foreign.append(key)
    return Listing(
        marker=marker.id if marker else "",
        adopt=marker is None,
        copies=tuple(_copies(artifacts, manifests, sizes)),
        leftovers=tuple(_leftovers(artifacts, manifests, parts, intents)),
        foreign=tuple(foreign),
    )


def _set_aside(manifests: dict[str, Artifact], parts: dict[str, list[str]], revoked: set[str]) -> None:
    """Empty manifests of what is being written, or of nothing, are no manifests: a run that took over made them.

    Of nothing: that run stood still itself in the middle, and the next one had cleared all before it woke.
    """
    for key in revoked:
        del manifests[key]
        parts.setdefault(key, []).append(manifest_key(key))


def _beside(key: str, committed: set[str]) -> bool:
    """Whether ``key`` looks like what people put beside an artifact, as its ``.sha256`` or ``.asc``: not ours to sweep."""
    whole, _, last = key.rpartition(".")
    if is_encrypted(key):
        return whole in committed
    return last not in _PACKED and parse(whole) is not None


def _part_of(key: str) -> str:
    """The artifact whose unfinished file (or whose manifest's) ``key`` is; empty when it is none."""
    if not key.endswith(PART):
        return ""
    whole = key.removesuffix(PART)
    for candidate in (whole.removesuffix(_MANIFEST), whole):
        if parse(candidate):
            return candidate
    return ""


def _copies(
    artifacts: dict[str, Artifact], manifests: dict[str, Artifact], sizes: dict[str, int]
) -> Iterable[Copy]:
    """Every artifact with a manifest. It is broken when its data is gone, or when one of the two is empty: neither ever is."""
    for key, artifact in manifests.items():
        manifest_size = sizes[manifest_key(key)]
        size = sizes[key] if key in artifacts else 0
        missing = "its data is missing" if key not in artifacts else "it is empty" if not size else ""
        yield Copy(
            artifact, size, manifest_size, missing or ("" if manifest_size else "its manifest is empty")
        )


def _leftovers(
    artifacts: dict[str, Artifact],
    manifests: dict[str, Artifact],
    parts: dict[str, list[str]],
    intents: dict[str, tuple[str, str]],
) -> Iterable[Leftover]:
    """Artifacts without a manifest, unfinished files, and records of writing: one leftover for each artifact."""
    for key in sorted((artifacts.keys() - manifests.keys()) | parts.keys() | intents.keys()):
        artifact = parse(key)
        if artifact is None:
            continue
        node, record = intents.get(key, ("", ""))
        data = [key] if key in artifacts and key not in manifests else []
        keys = (*parts.get(key, ()), *data, *([record] if record else ()))
        yield Leftover(key, artifact.target, artifact.time, node, keys, committed=key in manifests)
