"""A world of stores in memory, with artifacts made by hand: for tests of one phase at a time."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from reconciler import manifests
from reconciler.adapters.journal import FileJournal, state_folder
from reconciler.destinations.memory import MemoryStore
from reconciler.errors import NoEngine
from reconciler.model import Backup, Codec, Compression, Destination, Fleet, Manifest, Target, TargetId
from reconciler.naming import manifest_key
from reconciler.pipeline.compress import compressor
from reconciler.ports import Engine, Host, Store, World
from reconciler.targets.path import PathTarget
from tests.faults.bench import FixedClock

NOW = datetime(2026, 1, 20, 3, 0, tzinfo=UTC)
KEY = "daily/shop_files_2026-01-20T030000Z_daily.tar.zst"
OLDER = "daily/shop_files_2026-01-19T030000Z_daily.tar.zst"
SHOP = TargetId("shop", "files")
NODE = "node-1"


class Places:
    """Destinations in memory, by name; ``content`` is what lies there. ``stores`` may be replaced by others."""

    def __init__(self, names: Iterable[str] = ("a", "b", "c"), targets: Sequence[Target] = ()) -> None:
        self.content: dict[str, dict[str, bytes]] = {name: {} for name in names}
        self.stores: dict[str, Store] = {name: MemoryStore(name, here) for name, here in self.content.items()}
        self.fleet = Fleet(
            destinations=tuple(Destination(name=name, url=f"memory://{name}") for name in self.content),
            backups=(
                Backup(
                    name="shop",
                    schedule="@daily",
                    targets=tuple(targets) or (PathTarget(name="shop", path="/srv/shop"),),
                    destinations=tuple(self.content),
                ),
            ),
        )
        self.world = World(
            FixedClock(NOW),
            Host(_no_engine, Path("/")),
            lambda item: self.stores[item.name],
            NODE,
            FileJournal(state_folder()),
        )

    def hold(self, name: str, key: str, plain: bytes, codec: Codec = "zstd", **changes: object) -> None:
        """Lay a copy at a destination. ``changes`` are made to its manifest."""
        stored, manifest = artifact(key, plain, codec)
        self.content[name][key] = stored
        self.content[name][manifest_key(key)] = manifests.encode(msgspec.structs.replace(manifest, **changes))


def artifact(key: str, plain: bytes, codec: Codec = "zstd") -> tuple[bytes, Manifest]:
    """The stored bytes of ``plain`` under ``key``, and their manifest."""
    packing = compressor(Compression(codec=codec))
    stored = packing.compress(plain) + packing.flush()
    manifest = Manifest(
        key=key,
        service="shop",
        type="files",
        kind="path",
        tier="daily",
        sha256=hashlib.sha256(stored).hexdigest(),
        size=len(stored),
        source_size=len(plain),
        files=1,
        started=NOW,
        finished=NOW,
        compression=codec,
        target_digest="",
        spec_digest="",
        spec_commit=None,
        restore="",
        tool="",
    )
    return stored, manifest


def _no_engine() -> Engine:
    raise NoEngine("there is no Engine here")
