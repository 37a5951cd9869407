"""A store that is written to only while a lease is held. Made by ``apply.fence``; everything that apply does goes through it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from reconciler.adapters.around import StoreAround, WriterAround
from reconciler.ports import Store, Writer


class Held(Protocol):
    """A lease, or whoever knows whether it is held."""

    def check(self, *, deleting: bool = False) -> None:
        """Whether we surely have it now. Raises Fenced, or StoreError when that cannot be told."""


class FencedStore(StoreAround):
    """A Store. What writes, commits or deletes raises Fenced when another run has taken over; reading is free.

    ``leases`` are those of this destination; more may be added to it.
    """

    def __init__(self, inner: Store, leases: Sequence[Held]) -> None:
        super().__init__(inner)
        self._leases = leases

    def create(self, key: str) -> Writer:
        """Begin to write, if the lease is held; it is asked for again at the commit."""
        self.check()
        return FencedWriter(self._inner.create(key), self)

    def put(self, key: str, data: bytes) -> None:
        """Write a small object, if the lease is held."""
        self.check()
        self._inner.put(key, data)

    def claim(self, key: str, data: bytes) -> bool:
        """Write a small object unless there is one, if the lease is held."""
        self.check()
        return self._inner.claim(key, data)

    def delete(self, key: str) -> None:
        """Remove an object, unless somebody else has the lease."""
        self.check(deleting=True)
        self._inner.delete(key)

    def abandon(self, key: str) -> None:
        """Remove what an unfinished write left, unless somebody else has the lease."""
        self.check(deleting=True)
        self._inner.abandon(key)

    def check(self, *, deleting: bool = False) -> None:
        """Raises Fenced, StoreError unless every lease is held."""
        for lease in self._leases:
            lease.check(deleting=deleting)


class FencedWriter(WriterAround):
    """A Writer that commits only while the lease is held."""

    def __init__(self, inner: Writer, store: FencedStore) -> None:
        super().__init__(inner)
        self._store = store

    def commit(self) -> None:
        """Make the object appear, if the lease is held."""
        self._store.check()
        self._inner.commit()
