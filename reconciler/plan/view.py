"""The observation turned round: by target instead of by destination. Used by the other modules of this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self

from reconciler.model import Artifact, Copy, Fleet, Observation, Probe, TargetId

Holdings = dict[str, dict[str, Copy]]
"""One target's copies: by destination, then by key."""


class View(NamedTuple):
    """The fleet and everything that was seen of it, with the copies of each target at hand."""

    fleet: Fleet
    seen: Observation
    holdings: Mapping[TargetId, Holdings]

    @classmethod
    def of(cls, fleet: Fleet, seen: Observation) -> Self:
        """Group every copy by target; one pass."""
        holdings: dict[TargetId, Holdings] = {}
        for name, listing in seen.listings.items():
            for copy in listing.copies:
                artifact = copy.artifact
                held = holdings.setdefault(artifact.target, {})
                held.setdefault(name, {})[artifact.key] = copy
        return cls(fleet, seen, holdings)

    def held(self, target: TargetId) -> Holdings:
        """The copies of one target at every known destination."""
        return self.holdings.get(target, {})

    def probe(self, target: TargetId) -> Probe:
        """What was seen of one target; one that was not looked at is taken as fit."""
        return self.seen.probes.get(target, Probe())

    def known(self, destination: str) -> bool:
        """Whether the content of ``destination`` was really seen."""
        listing = self.seen.listings.get(destination)
        return listing is not None and not listing.unknown


def good_artifacts(held: Holdings) -> dict[str, Artifact]:
    """The artifacts of which at least one copy is good, by key."""
    return {key: copy.artifact for copies in held.values() for key, copy in copies.items() if not copy.broken}
