"""A store around another one: everything goes through, but for what a subclass does otherwise. Used by fenced and throttle."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.ports import Reader, Store, Stored, Writer


class StoreAround:
    """A Store that does what ``inner`` does."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner

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
        """As the store does."""
        return self._inner.create(key)

    def put(self, key: str, data: bytes) -> None:
        """As the store does."""
        self._inner.put(key, data)

    def claim(self, key: str, data: bytes) -> bool:
        """As the store does."""
        return self._inner.claim(key, data)

    def delete(self, key: str) -> None:
        """As the store does."""
        self._inner.delete(key)

    def abandon(self, key: str) -> None:
        """As the store does."""
        self._inner.abandon(key)

    def close(self) -> None:
        """End connections."""
        self._inner.close()


class WriterAround:
    """A Writer that does what ``inner`` does."""

    def __init__(self, inner: Writer) -> None:
        self._inner = inner

    def write(self, data: bytes) -> None:
        """As the writer does."""
        self._inner.write(data)

    def commit(self) -> None:
        """As the writer does."""
        self._inner.commit()

    def discard(self) -> None:
        """As the writer does."""
        self._inner.discard()
