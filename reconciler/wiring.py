"""The ports, wired to their adapters. Called by the loop; the one place that chooses implementations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from reconciler import registry
from reconciler.adapters import node
from reconciler.adapters.clock import SystemClock
from reconciler.adapters.journal import FileJournal, state_folder
from reconciler.adapters.throttle import Allowance, Reserve, ThrottledStore
from reconciler.errors import Unreachable
from reconciler.model import Destination
from reconciler.ports import DestinationKind, Engine, Host, Store, World


def allowance(destination: Destination) -> Reserve:
    """The bandwidth of a destination, for this process and the children that ask it."""
    return Allowance(destination.bandwidth, SystemClock().monotonic).reserve


@contextmanager
def world(specs: Path, allowed: Callable[[Destination], Reserve] = allowance) -> Iterator[World]:
    """A world whose stores and Engine open at their first use and close at the end of the block.

    ``allowed`` says who keeps to the bandwidth of a destination that has one.
    """
    stores = _Stores(allowed)
    engine = _Once(_connect)
    try:
        journal = FileJournal(state_folder())
        yield World(SystemClock(), Host(engine.get, specs), stores.get, node.name(), journal)
    finally:
        stores.close()
        if engine.made is not None:
            engine.made.close()


def _connect() -> Engine:
    from reconciler.adapters.docker import connect

    return connect()


class _Once:
    """Makes its thing at the first call, whatever thread asks."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self.made: Engine | None = None

    def get(self) -> Engine:
        with self._lock:
            if self.made is None:
                self.made = self._make()
            return self.made


class _Stores:
    """Every destination opened once."""

    def __init__(self, allowed: Callable[[Destination], Reserve]) -> None:
        self._allowed = allowed
        self._open: dict[str, Store] = {}
        self._lock = threading.Lock()

    def get(self, destination: Destination) -> Store:
        with self._lock:
            if destination.name not in self._open:
                self._open[destination.name] = _open_store(destination, self._allowed)
            return self._open[destination.name]

    def close(self) -> None:
        for store in self._open.values():
            store.close()


def _open_store(destination: Destination, allowed: Callable[[Destination], Reserve]) -> Store:
    kind = cast(DestinationKind, registry.find("destinations", destination.protocol))
    try:
        store = kind.open_store(destination)
    except ImportError as error:
        raise Unreachable(
            f"destination {destination.name}: {destination.protocol}:// needs the Python package {error.name}; "
            f"install it with pip install 'reconciler[{destination.protocol}]'"
        ) from None
    return ThrottledStore(store, allowed(destination)) if destination.bandwidth else store
