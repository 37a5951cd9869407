"""A store that is written to only while a lease is held. Made by ``apply.fence``; everything that apply does goes through it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.adapters.lease import Lease
from reconciler.ports import Reader, Store, Stored, Writer


class FencedStore:
    """A Store. What writes, commits or deletes raises Fenced when another run has taken over; reading is free.

    ``leases`` are those of this destination; more may be added to it.
    """

    def __init__(self, inner: Store, leases: Sequence[Lease]) -> None:
        self._inner = inner
        self._leases = leases

    @property
    def exclusive(self) -> bool:
        """As the store says."""
        return self._inner.exclusive

    def list(self) -> Iterable[Stored]:
        """As the store does."""
        return self._inner.list()

    def read(self, key: str) -> Reader:
        """As the store does."""
        return self._inner.read(key)

    def get(self, key: str, limit: int = 1 << 20) -> bytes:
        """As the store does."""
        return self._inner.get(key, limit)

    def create(self, key: str) -> Writer:
        """Begin to write, if the lease is held; it is asked for again at the commit."""
        self._check()
        return FencedWriter(self._inner.create(key), self)

    def put(self, key: str, data: bytes) -> None:
        """Write a small object, if the lease is held."""
        self._check()
        self._inner.put(key, data)

    def claim(self, key: str, data: bytes) -> bool:
        """Write a small object unless there is one, if the lease is held."""
        self._check()
        return self._inner.claim(key, data)

    def delete(self, key: str) -> None:
        """Remove an object, unless somebody else has the lease."""
        self._check(deleting=True)
        self._inner.delete(key)

    def abandon(self, key: str) -> None:
        """Remove what an unfinished write left, unless somebody else has the lease."""
        self._check(deleting=True)
        self._inner.abandon(key)

    def close(self) -> None:
        """End connections."""
        self._inner.close()

    def _check(self, *, deleting: bool = False) -> None:
        for lease in self._leases:
            lease.check(deleting=deleting)

    def may_commit(self) -> None:
        """Raises Fenced, StoreError unless the lease is held."""
        self._check()


class FencedWriter:
    """A Writer that commits only while the lease is held."""

    def __init__(self, inner: Writer, store: FencedStore) -> None:
        self._inner = inner
        self._store = store

    def write(self, data: bytes) -> None:
        """As the writer does: nothing of it is observable."""
        self._inner.write(data)

    def commit(self) -> None:
        """Make the object appear, if the lease is held."""
        self._store.may_commit()
        self._inner.commit()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._inner.discard()
