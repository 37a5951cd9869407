"""Leases as other runs left them: reading one, and waiting for its end. Used by ``adapters.lease``."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping

import msgspec

from reconciler.adapters import node
from reconciler.errors import Corrupt, Locked, Missing
from reconciler.naming import lease_key, parse_lease
from reconciler.ports import Clock, Store

FREE = b"free\n"
"""Content of a lease that was given back. One that is held is longer; an empty one is just being claimed."""
PATIENCE = 3600.0
"""Seconds for which a lease is waited for whose holder is alive."""

mine: set[str] = set()
"""The holders that this process knows of."""


def duration() -> float:
    """Seconds without a renewal after which others may take over. ``RECONCILER_LEASE`` sets it, for tests."""
    return float(os.environ.get("RECONCILER_LEASE", "60"))


class Record(msgspec.Struct, frozen=True):
    """What a lease holds. ``process`` is as in ``adapters.node``, ``seconds`` as ``duration``; each renewal changes ``beat``."""

    holder: str
    node: str
    process: str
    seconds: float
    beat: int = 0

    def encoded(self) -> bytes:
        """The content of the object."""
        return msgspec.json.encode(self)


class Seen(msgspec.Struct, frozen=True):
    """A lease as it was read: its ``content``, and what that says; ``record`` is None where it says nothing."""

    content: bytes
    record: Record | None

    @property
    def is_over(self) -> bool:
        """Whether surely nobody holds it: it was given back, its process has ended, or is this one and knows nothing of it."""
        if self.content == FREE:
            return True
        if self.record is None:
            return False
        if self.record.process == node.process():
            return self.record.holder not in mine
        return node.is_gone(self.record.process)


class Turns:
    """The leases of one scope at one destination."""

    def __init__(self, store: Store, scope: str) -> None:
        self._store = store
        self._scope = scope

    def newest(self, leases: Mapping[str, int] | None = None) -> int:
        """The highest token among the keys of ``leases``, or of what is there now; 0 when there is none. Raises StoreError."""
        keys = leases if leases is not None else [item.key for item in self._store.list()]
        found = filter(None, map(parse_lease, keys))
        return max((token for scope, token in found if scope == self._scope), default=0)

    def see(self, token: int) -> Seen | None:
        """The lease ``token``; None when there is none. Raises StoreError."""
        try:
            content = self._store.get(lease_key(self._scope, token))
        except (Missing, Corrupt):
            return None
        try:
            return Seen(content, msgspec.json.decode(content, type=Record))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Seen(content, None)


class Waiting:
    """Waits for the end of other runs' leases. No other machine's clock counts: a lease expires that does not change here."""

    def __init__(self, turns: Turns, name: str, clock: Clock, told: Callable[[str], None]) -> None:
        self._turns = turns
        self._name = name
        self._clock = clock
        self._told = told
        self._begun = clock.monotonic()
        self._pause = threading.Event()
        self._who = ""

    def wait(self, token: int) -> Seen | None:
        """The lease once it is over or has expired; None when it is gone. Raises Locked after PATIENCE, StoreError."""
        last: Seen | None = None
        since = 0.0
        while True:
            looked = self._clock.monotonic()
            seen = self._turns.see(token)
            if seen is None or seen.is_over:
                return seen
            if last is None or seen.content != last.content:
                last, since = seen, self._clock.monotonic()
                self._tell(seen.record)
            elif looked - since > (seen.record.seconds if seen.record else duration()):
                return seen
            if looked - self._begun > PATIENCE:
                raise Locked(f"destination {self._name}: {self._who} has been at work there for an hour")
            self._pause.wait(min(1.0, duration() / 10))

    def _tell(self, record: Record | None) -> None:
        who = f"a run on {record.node}" if record else "another run"
        if who != self._who:
            self._told(f"{who} works at {self._name}; waiting for its end")
        self._who = who
