"""One lease at one destination: who may write there now. Used by ``apply.fence``; docs/design.md has the protocol.

A lease is an object whose key holds its number, the token. Whoever creates token n+1 when n is over or has expired has the
lease; there is no other way to get it, so of many only one does. A thread renews it while it is held.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from reconciler.adapters import node
from reconciler.adapters.leases import FREE, Record, Seen, Turns, Waiting, duration, mine
from reconciler.errors import Fenced, Locked, ReconcilerError, StoreError, Unreachable
from reconciler.naming import lease_key
from reconciler.ports import Clock, Store

SETTLE = 2.0
"""Seconds after which a claim is looked at again where claims are not atomic."""
KEPT = 8
"""Old tokens that stay, so that nobody who looked a moment ago takes for new what was one before."""


class Lease:
    """The lease of ``scope`` at the destination ``name``: ``acquire``, then ``check`` before each write, ``end``, ``release``."""

    def __init__(self, store: Store, name: str, scope: str, clock: Clock, who: str) -> None:
        self.name = name
        self.scope = scope
        self.expired = False
        """Whether it was taken from a holder that may be alive and stand still."""
        self._store = store
        self._turns = Turns(store, scope)
        self._clock = clock
        self._record = Record(uuid.uuid4().hex, who, node.process(), duration())
        self._token = 0
        self._older: list[str] = []
        self._sure = 0.0
        self._lost = ""
        self._failed = ""
        self._turn = threading.Lock()
        self._ended = threading.Event()

    def acquire(self, leases: Mapping[str, int], told: Callable[[str], None]) -> bool:
        """Get it; True when somebody else had it since ``leases`` were listed. ``told`` hears for whom this waits.

        Where it cannot be had, ``check`` says why.
        """
        try:
            last = self._turns.newest(leases)
            first, behind = lease_key(self.scope, 0), lease_key(self.scope, max(0, last - KEPT))
            self._older = sorted(key for key in leases if first <= key < behind)
            free = not last or leases[lease_key(self.scope, last)] == len(FREE)
            if free and self._claim(last + 1):
                return False
            self._take_over(last + 1 if free else last, told)
        except Locked as error:
            self._lost = str(error)
        except ReconcilerError as error:
            self._failed = f"the lease there cannot be had: {error}"
        return True

    def confirm(self, leases: Mapping[str, int]) -> None:
        """Compare with what was listed later: a token above ours is another run's. Raises StoreError."""
        if self._token and self._turns.newest(leases) > self._token:
            self._lose(0.0)

    def check(self, *, deleting: bool = False) -> None:
        """Whether we surely have it now. Raises Fenced, or StoreError when that cannot be told.

        Where it could not be written, as on a full disk, ``deleting`` is allowed: that is what a full disk needs.
        """
        if self._failed and not deleting:
            raise StoreError(self._failed)
        if self._token and not self._lost and not self._is_sure():
            self._renew()
        if self._lost:
            raise Fenced(self._lost)

    def end(self) -> None:
        """No more renewals. Never raises."""
        self._ended.set()
        mine.discard(self._record.holder)

    def release(self) -> None:
        """Give it back, and sweep old tokens. What fails is left: the lease expires. Never raises a ReconcilerError."""
        with suppress(ReconcilerError), self._turn:
            if not self._token or self._lost or not self._is_sure():
                return
            self._store.put(lease_key(self.scope, self._token), FREE)
            for key in self._older if len(self._older) >= KEPT else ():
                self._store.delete(key)

    def _is_sure(self) -> bool:
        """Whether the last renewal is so fresh that nobody can have taken over, also by a clock twice as fast as ours."""
        return self._clock.monotonic() - self._sure < self._record.seconds / 2

    def _claim(self, token: int) -> bool:
        begun = self._clock.monotonic()
        content = self._record.encoded()
        if not self._store.claim(lease_key(self.scope, token), content):
            return False
        if not self._store.exclusive:
            self._ended.wait(min(SETTLE, self._record.seconds / 4))
            seen = self._turns.see(token)
            if seen is None or seen.content != content:
                return False
        self._token, self._sure = token, begun
        mine.add(self._record.holder)
        threading.Thread(target=self._keep, name=f"lease-{self.name}", daemon=True).start()
        return True

    def _take_over(self, last: int, told: Callable[[str], None]) -> None:
        """Wait until ``last`` is over or has expired, and claim the next. Raises Locked, StoreError."""
        waiting = Waiting(self._turns, self.name, self._clock, told)
        while True:
            seen = waiting.wait(last) if last else None
            if seen is None and last:
                last = self._turns.newest()
            elif self._claim(last + 1):
                break
            else:
                last += 1
        while seen is not None and not seen.is_over:
            self.expired = True
            before: Seen = seen
            if (seen := self._turns.see(last)) is None or seen.content == before.content:
                break
            seen = waiting.wait(last)  # its holder woke meanwhile: it learns of us at its next renewal

    def _keep(self) -> None:
        """Renew it again and again. A renewal that fails is tried again; when none succeeds, ``check`` knows."""
        while not self._ended.wait(self._record.seconds / 4) and not self._lost:
            with suppress(ReconcilerError):
                self._renew()

    def _renew(self) -> None:
        """Show that we are alive, unless somebody took over. Raises StoreError."""
        with self._turn:
            begun = self._clock.monotonic()
            if self._ended.is_set() or self._lost:
                return
            taken = self._is_taken()
            if not taken:
                self._beat()
                taken = self._is_taken()  # only what is true after the write counts: see the protocol
            if taken:
                self._lose(begun - self._sure)
            else:
                self._sure = begun

    def _beat(self) -> None:
        """Change the object. Where none can be replaced, as on a full disk, it is enough that nobody has taken over."""
        self._record = msgspec.structs.replace(self._record, beat=self._record.beat + 1)
        try:
            self._store.put(lease_key(self.scope, self._token), self._record.encoded())
        except Unreachable:
            raise
        except StoreError:
            return

    def _is_taken(self) -> bool:
        if self._turns.see(self._token + 1) is not None:
            return True
        own = self._turns.see(self._token)
        return own is None or own.record is None or own.record.holder != self._record.holder

    def _lose(self, still: float) -> None:
        """``still``: seconds since the last renewal."""
        stood = f" while this one stood still for {still:.0f} s" if still > self._record.seconds / 2 else ""
        self._lost = (
            f"destination {self.name}: another run took over{stood}; this run writes nothing more there, "
            "and the next one removes what it had begun"
        )
