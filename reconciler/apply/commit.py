"""The commit protocol at one destination: announce, write, check, manifest last, and withdraw the announcement.

Used by create and replicate. A kill at any moment leaves an intent record, by which the next run finds what to remove;
without a manifest nothing of it is ever listed as a copy.
"""

from __future__ import annotations

from datetime import datetime
from types import TracebackType
from typing import Self

from reconciler.errors import Fenced, Missing, ReconcilerError, Refused
from reconciler.naming import intent_content, intent_key, manifest_key
from reconciler.ports import Store, Writer


class Upload:
    """One artifact on its way to one destination. Leaving the block without ``commit`` leaves nothing there."""

    def __init__(self, store: Store, key: str, node: str, now: datetime) -> None:
        """Announce ``key`` and begin to write it ``now``. Raises StoreError; then nothing is left either."""
        self._store = store
        self._key = key
        self._intent = intent_key(node, key)
        self._appeared = False
        self._done = False
        store.put(self._intent, intent_content(now))
        try:
            self.writer: Writer = store.create(key)
        except BaseException:
            self._clear()
            raise

    def commit(self, manifest: bytes, *, replace: bool = False) -> None:
        """Make the artifact appear, then its manifest. ``replace`` removes the manifest of a broken copy first.

        Raises Refused where there is a copy already and it is not to be replaced, Fenced, StoreError.
        """
        if replace:
            self._store.delete(manifest_key(self._key))
        elif has_manifest(self._store, self._key):
            raise Refused(
                f"{self._key} is there already: another run made it in the same second; it is left as it is"
            )
        self._appeared = True  # from here on it may lie there, also when the answer is lost
        self.writer.commit()
        self._commit_manifest(manifest, replace=replace)
        self._done = True
        self._withdraw()

    def _commit_manifest(self, manifest: bytes, *, replace: bool) -> None:
        """Whoever took over from this run claims the manifests of what it had begun: then that one was first."""
        key = manifest_key(self._key)
        if replace or not self._store.exclusive:
            self._store.put(key, manifest)
        elif not self._store.claim(key, manifest):
            self._done = True  # what lies there may be that run's: nothing is cleared
            raise Fenced(f"{self._key} is not committed: another run took over while this one stood still")

    def discard(self) -> None:
        """Leave nothing behind, as far as the destination lets us; what it keeps, the next run removes. Never raises."""
        if self._done:
            return
        self._done = True
        self.writer.discard()
        self._clear()

    def _clear(self) -> None:
        """Remove what was written, then the record of it; a record that stays makes the next run do it again."""
        try:
            if self._appeared:
                self._store.delete(manifest_key(self._key))
                self._store.delete(self._key)
            self._store.abandon(self._key)
            self._store.delete(self._intent)
        except ReconcilerError:
            return

    def _withdraw(self) -> None:
        """Remove the intent record; one that stays is removed by the next run."""
        try:
            self._store.delete(self._intent)
        except ReconcilerError:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


def has_manifest(store: Store, key: str) -> bool:
    """Whether the artifact ``key`` is committed at ``store``; by an empty manifest it is not. Raises StoreError, Corrupt."""
    try:
        return bool(store.get(manifest_key(key)))
    except Missing:
        return False
