"""A small world for the campaign: two trees, a destination in memory and one on disk, whose state can be saved and put back."""

import gc
import hashlib
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from reconciler import manifests
from reconciler.adapters.journal import FileJournal
from reconciler.adapters.ledger import FolderLedger
from reconciler.destinations.file import FileStore
from reconciler.destinations.memory import MemoryStore
from reconciler.errors import NoEngine, ReconcilerError
from reconciler.loop import Applied, Session, _last_status
from reconciler.model import (
    Action,
    Backup,
    Codec,
    Compression,
    Destination,
    Fleet,
    Outcome,
    Plan,
    Policy,
    Prune,
    Retention,
    TargetId,
)
from reconciler.naming import LEASE_FOLDER, MARKER, manifest_key, parse
from reconciler.pipeline.archive import TreeSource
from reconciler.pipeline.compress import Decompressor
from reconciler.ports import Engine, Host, Source, Store, World
from reconciler.targets.path import PathTarget
from tests.faults.ports import FaultyClock, FaultyLedger, FaultySource, FaultyStore, Switch

START = datetime(2026, 1, 19, 3, 0, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
NODE = "node-1"
FOREIGN = {"README.txt": b"not ours\n", "daily/holiday.tar.zst": b"somebody's\n"}
LIMIT = 1 << 24

Files = dict[str, bytes]


class State(NamedTuple):
    """Everything that outlives a process: the content of both destinations, and the last status."""

    a: Files
    b: Files
    ledger: Files

    def at(self, name: str) -> Files:
        """The content of one destination."""
        return self.a if name == "a" else self.b


class FixedClock:
    """A Clock that stands still."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return 0.0


class Silent:
    """A Progress that nobody watches."""

    def started(self, action: Action) -> None: ...

    def advanced(self, target: TargetId, size: int) -> None: ...

    def said(self, who: str, line: str) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...


class WatchedTree(PathTarget, frozen=True, kw_only=True, tag="path"):
    """A path that is read through the switch of the current run."""

    def open(self, host: Host) -> Source:
        return FaultySource(lambda: PathTarget.open(self, host), "source", str(self.id), _current[-1])


_current: list[Switch] = []


class Bench:
    """The world. ``folder`` should be on a fast disk: everything is written again for each run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory: Files = {}
        self.trees = {TargetId("shop", "files"): folder / "shop", TargetId("wiki", "files"): folder / "wiki"}
        for number, tree in enumerate(self.trees.values()):
            _plant(tree, number)
        self.fleet = self._fleet()
        self.tars = {target: _tar(tree) for target, tree in self.trees.items()}
        self.load(State(dict(FOREIGN), dict(FOREIGN), {}))

    def _fleet(self) -> Fleet:
        def backup(target: TargetId, compression: Compression) -> Backup:
            return Backup(
                name=target.service,
                schedule="0 3 * * *",
                targets=(WatchedTree(name=target.service, path=str(self.trees[target])),),
                destinations=("a", "b"),
                retention=Retention(daily=1),
                compression=compression,
            )

        shop, wiki = self.trees
        return Fleet(
            destinations=(
                Destination(name="a", url="memory://a"),
                Destination(name="b", url=f"file://{self.folder}/b"),
            ),
            backups=(backup(shop, Compression()), backup(wiki, Compression(codec="none"))),
            policy=Policy(rule321="off"),
        )

    def session(self, now: datetime, switch: Switch) -> Session:
        """A look at the world through the switch."""
        _current[:] = [switch]
        stores: dict[str, Store] = {
            "a": FaultyStore(MemoryStore("a", self.memory), "store a", switch),
            "b": FaultyStore(FileStore("b", self.folder / "b"), "store b", switch),
        }
        clock = FaultyClock(FixedClock(now), switch)
        journal = FileJournal(self.folder / "journal")
        world = World(clock, Host(_no_engine, self.folder), lambda item: stores[item.name], NODE, journal)
        ledger = FaultyLedger(FolderLedger(self.folder / "ledger"), switch)
        return Session(self.folder, self.fleet, (), world, ledger, now, *_last_status(ledger))

    def plan(self, now: datetime) -> Plan:
        """What there is to do."""
        session = self.session(now, Switch())
        return session.plan(session.observe())

    def apply(self, now: datetime, switch: Switch | None = None) -> Applied:
        """A whole run. Raises what the switch makes it raise."""
        switch = switch or Switch()
        session = self.session(now, switch)
        seen = session.observe()
        return session.apply(session.plan(seen), seen, Silent())

    def save(self) -> State:
        """What is there now."""
        return State(dict(self.memory), _read(self.folder / "b"), _read(self.folder / "ledger"))

    def load(self, state: State) -> None:
        """Put a saved state back."""
        gc.collect(0)  # a writer that nobody holds any more ends now, and not in the next run
        self.memory.clear()
        self.memory.update(state.a)
        _write(self.folder / "b", state.b)
        _write(self.folder / "ledger", state.ledger)


def whole_copies(content: Files, tars: dict[TargetId, bytes]) -> set[str]:
    """The keys of all copies that are what their manifest says, and whose content is that of the source."""
    return {key for key in listed_copies(content) if _is_whole(content, key, tars)}


def listed_copies(content: Files) -> set[str]:
    """The keys of all artifacts that have a manifest."""
    return {
        name.removesuffix(".json")
        for name in content
        if name.endswith(".json") and parse(name.removesuffix(".json"))
    }


def strangers(content: Files) -> Files:
    """What is neither a copy, nor a manifest, nor the marker, nor a lease."""
    ours = {MARKER}
    for key in listed_copies(content):
        ours |= {key, manifest_key(key)}
    return {
        name: data for name, data in content.items() if name not in ours and not name.startswith(LEASE_FOLDER)
    }


def newest(keys: set[str]) -> dict[TargetId, str]:
    """The newest stamp of each target."""
    found: dict[TargetId, str] = {}
    for artifact in filter(None, map(parse, keys)):
        found[artifact.target] = max(found.get(artifact.target, ""), artifact.stamp)
    return found


def prunes(plan: Plan) -> set[tuple[str, str]]:
    """(destination, key) of what a plan deletes."""
    return {(action.destination, action.key) for action in plan.actions if isinstance(action, Prune)}


def _is_whole(content: Files, key: str, tars: dict[TargetId, bytes]) -> bool:
    try:
        manifest = manifests.decode(content[manifest_key(key)], key)
    except ReconcilerError:
        return False
    data = content.get(key, b"")
    if len(data) != manifest.size or hashlib.sha256(data).hexdigest() != manifest.sha256:
        return False
    codec: Codec = "zstd" if manifest.compression == "zstd" else "none"
    plain = Decompressor(codec).decompress(data, LIMIT)
    return plain == tars[TargetId(manifest.service, manifest.type)]


def _plant(tree: Path, number: int) -> None:
    (tree / "folder").mkdir(parents=True)
    (tree / "folder" / "text").write_text(f"tree {number}\n" * 100)
    (tree / "link").symlink_to("folder/text")
    (tree / "random").write_bytes(random.Random(number).randbytes(2000 + number * 1_100_000))


def _tar(tree: Path) -> bytes:
    source = TreeSource(tree)
    content = b"".join(source.chunks())
    source.finish()
    source.close()
    return content


def _read(folder: Path) -> Files:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _write(folder: Path, files: Files) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _no_engine() -> Engine:
    raise NoEngine("there is no Engine here")
