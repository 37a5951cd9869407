"""The marker at a destination's root: which destination this is. It tells an empty one from an unmounted disk. Pure."""

from __future__ import annotations

import msgspec

from reconciler.naming import MARKER


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """The marker's content. ``problem`` is not stored: it says why the marker is not the one that was expected."""

    format: str = "reconciler/destination/v1"
    name: str
    id: str
    problem: str = ""

    def text(self) -> str:
        """The content as it is stored: one line of JSON."""
        return msgspec.json.encode({"format": self.format, "name": self.name, "id": self.id}).decode()


def check_marker(content: bytes, name: str, seen: str) -> Marker:
    """The marker, with a problem where it is not that of destination ``name``, seen before under the id ``seen``."""
    try:
        marker = msgspec.json.decode(content, type=Marker)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Marker(
            name=name,
            id="",
            problem=f"the marker {MARKER} of destination {name} is not readable; is this the right place?",
        )
    if marker.name != name:
        problem = (
            f"the marker {MARKER} says that this is destination {marker.name!r}, the specs call it {name!r}: "
            "a wrong folder or bucket, or a renamed destination?"
        )
    elif seen and marker.id != seen:
        problem = f"the marker {MARKER} has the id {marker.id}, but {name} was seen before as {seen}: is this the right place?"
    else:
        problem = ""
    return msgspec.structs.replace(marker, problem=problem)
