"""The leases that a plan needs, taken before it is carried out and given back after it. Used by the loop.

A lease covers one destination and one scope: what one node alone carries out (``Backup.node``), or what any may. Machines with
specs of their own for nodes of their own do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from threading import Thread
from typing import Self

import msgspec

from reconciler.adapters.fenced import FencedStore
from reconciler.adapters.lease import Lease
from reconciler.adapters.leases import duration
from reconciler.adapters.throttle import Allowance
from reconciler.errors import ReconcilerError
from reconciler.model import (
    Action,
    Adopt,
    Create,
    Destination,
    Fleet,
    Leftover,
    Listing,
    Observation,
    Plan,
    Recover,
    Restore,
)
from reconciler.naming import manifest_key, parse
from reconciler.ports import Store, World

ANY = "any"
"""The scope of what any node may carry out. A node that is called so waits a little more often."""
GOODBYE = 10.0
"""Seconds that giving the leases back may take: a server that is gone holds nobody up."""


class Fence:
    """Holds leases for the block. ``world`` is the one to act in: its stores refuse writes without a lease.

    It is the ``Desk`` of workers, too.
    """

    def __init__(self, fleet: Fleet, world: World, told: Callable[[str], None]) -> None:
        self._fleet = fleet
        self._plain = world
        self._told = told
        self._scopes = {
            target.id: backup.node or ANY for backup in fleet.backups for target in backup.targets
        }
        self._leases: dict[str, list[Lease]] = {}
        self._allowances = {
            item.name: Allowance(item.bandwidth, world.clock.monotonic)
            for item in fleet.destinations
            if item.bandwidth
        }
        self.world = msgspec.structs.replace(world, store=self._store)

    def take(self, todo: Plan, seen: Observation) -> bool:
        """Get what ``todo``, made from ``seen``, needs. True when the world may have changed since: look, plan, and take again.

        Never raises: where a lease cannot be had, the writes there fail.
        """
        again = self._confirm(seen.listings)
        held = {(name, lease.scope) for name, leases in self._leases.items() for lease in leases}
        for name, scope in sorted(self._needed(todo) - held):
            with suppress(ReconcilerError):  # what cannot be opened cannot be written to either
                store = self._plain.store(self._fleet.destination(name))
                lease = Lease(store, name, scope, self._plain.clock, self._plain.node)
                self._leases.setdefault(name, []).append(lease)
                again |= lease.acquire(seen.listings[name].leases, self._told)
                again |= self._plain.clock.monotonic() - seen.looked > duration() / 3
        return again

    def _needed(self, todo: Plan) -> set[tuple[str, str]]:
        """Destination and scope of everything that is to be written or deleted."""
        return {(name, self._scope(action)) for action in todo.actions for name in _places(action)}

    def _scope(self, action: Action) -> str:
        if isinstance(action, Adopt):
            return ANY
        if isinstance(action, Recover):
            artifact = parse(action.key)
            return self._scopes.get(artifact.target, ANY) if artifact else ANY
        return self._scopes.get(action.target, ANY)

    def _confirm(self, listings: Mapping[str, Listing]) -> bool:
        """Whether a later look is needed, after leases that were taken from others made their unfinished work worthless."""
        again = False
        for name, leases in self._leases.items():
            for lease in leases:
                with suppress(ReconcilerError):  # then it is asked for again before the first write
                    lease.confirm(listings[name].leases)
                if lease.expired:
                    lease.expired = False
                    again |= self._revoke(lease, listings[name])
        return again

    def _revoke(self, lease: Lease, listing: Listing) -> bool:
        """Claim the manifests of what the last holder had begun: should it wake after its last check, its commit is refused."""
        begun = [left for left in listing.leftovers if self._is_begun(left, lease.scope)]
        with suppress(ReconcilerError):
            store = self._store(self._fleet.destination(lease.name))
            for left in begun if store.exclusive else ():
                store.claim(manifest_key(left.key), b"")
        return bool(begun)

    def _is_begun(self, leftover: Leftover, scope: str) -> bool:
        ours = self._scopes.get(leftover.target) == scope
        return ours and bool(leftover.node) and not leftover.committed

    def _store(self, destination: Destination) -> Store:
        leases = self._leases.setdefault(destination.name, [])
        return FencedStore(self._plain.store(destination), leases)

    def may_write(self, destination: str, *, deleting: bool) -> None:
        """What a worker asks before it writes to ``destination``, or deletes there. Raises Fenced, StoreError."""
        for lease in self._leases.get(destination, ()):
            lease.check(deleting=deleting)

    def reserve(self, destination: str, size: int) -> float:
        """The seconds until a worker may send so many bytes to ``destination``, or get them from there."""
        return self._allowances[destination].reserve(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give everything back. A lease that cannot be given back expires."""
        leases = [lease for leases in self._leases.values() for lease in leases]
        for lease in leases:
            lease.end()
        if not leases:
            return
        done: Future[None] = Future()

        def release() -> None:
            try:
                for lease in leases:
                    lease.release()
                done.set_result(None)
            except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
                done.set_exception(error)

        Thread(target=release, name="leases", daemon=True).start()
        with suppress(Late):
            done.result(GOODBYE)


def _places(action: Action) -> Iterator[str]:
    """The destinations that an action writes to or deletes from."""
    match action:
        case Create():
            yield from action.destinations
        case Restore():
            return
        case _:
            yield action.destination
