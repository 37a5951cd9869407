"""The other two ports fail at every call: a Docker Engine that is read through, and the git repository of the status."""

import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import docker
import msgspec
import pytest

from reconciler.adapters import git
from reconciler.adapters.docker import connect
from reconciler.adapters.ledger import BranchLedger, FolderLedger, Ledger
from reconciler.loop import Applied, Session, _last_status
from reconciler.model import Plan
from reconciler.pipeline.extract import TreeSink
from reconciler.ports import Engine, Host, Volume
from reconciler.repository import Repository
from reconciler.restore import choose, restore
from reconciler.targets.image import ImageTarget
from reconciler.targets.path import PathTarget
from reconciler.targets.volume import VolumeTarget
from tests.faults.bench import Silent, listed_copies
from tests.faults.ports import Fault, FaultyEngine, FaultyRepository, Killed, Site, Switch
from tests.faults.watch import partial
from tests.faults.world import NOW, Places
from tests.parts.engine import EngineHost
from tests.trees import differences, snapshot
from tests.ways import way_to

FAULTS = (
    Fault("kill"),
    Fault("kill", after=True),
    Fault("error"),
    Fault("error", after=True),
    Fault("interrupt"),
    Fault("error", lasting=True),
)


class Elsewhere(FaultyEngine):
    """An Engine on another machine: nothing of its volumes can be read here, so all of it goes through the Engine."""

    def is_here(self, volume: Volume) -> bool:
        super().is_here(volume)
        return False


class Contents:
    """What lies at a destination in memory, for ``partial``."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self._content = content

    def sizes(self) -> dict[str, int]:
        return {key: len(data) for key, data in self._content.items()}

    def content(self, key: str) -> bytes | None:
        return self._content.get(key)

    def remove(self, key: str) -> None:
        del self._content[key]


class Bench:
    """Destinations in memory; runs that go through a switch."""

    def __init__(self, places: Places, folder: Path) -> None:
        self.places = places
        self.folder = folder
        self.engine: Engine | None = None
        self.repository: Repository | None = None

    def session(self, switch: Switch, later: timedelta = timedelta()) -> Session:
        """A look at the world."""
        host = Host(lambda: Elsewhere(self.engine, switch) if self.engine else _none(), self.folder)
        world = msgspec.structs.replace(self.places.world, host=host)
        ledger: Ledger = FolderLedger(self.folder / "ledger")
        if self.repository:
            ledger = BranchLedger(FaultyRepository(self.repository, switch))
        return Session(self.folder, self.places.fleet, (), world, ledger, NOW + later, *_last_status(ledger))

    def plan(self, later: timedelta = timedelta()) -> Plan:
        session = self.session(Switch(), later)
        return session.plan(session.observe())

    def apply(self, switch: Switch, later: timedelta = timedelta()) -> Applied:
        session = self.session(switch, later)
        seen = session.observe()
        return session.apply(session.plan(seen), seen, Silent())

    def disturbed(self, site: Site, fault: Fault, later: timedelta = timedelta()) -> Applied | None:
        """A run with the fault; None when that ended it."""
        switch = Switch(site, fault)
        applied = None
        try:
            applied = self.apply(switch, later)
        except (Killed, KeyboardInterrupt):
            assert fault.kind in ("kill", "interrupt")
        assert switch.tripped, (site, fault)
        for name, content in self.places.content.items():
            assert partial(Contents(content), deep=True) == [], (name, site, fault)
        return applied


def _none() -> Engine:
    raise AssertionError("nobody here needs an Engine")


@pytest.fixture
def volume(engine_host: EngineHost) -> Iterator[Path]:
    """A volume with some files; its folder."""
    client = engine_host.client()
    made = client.volumes.create("faults")
    place = Path(made.attrs["Mountpoint"])
    (place / "folder").mkdir()
    (place / "folder" / "text").write_text("in a volume\n" * 1000)
    (place / "link").symlink_to("folder/text")
    for path in (place / "folder" / "text", place / "folder", place / "link", place):
        os.utime(
            path, (1_700_000_000, 1_700_000_000), follow_symlinks=False
        )  # the Engine knows whole seconds
    yield place
    made.remove()
    client.close()


def test_an_engine_that_fails_at_any_call(
    engine_host: EngineHost, volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_host.url)
    targets = (
        VolumeTarget(name="shop", volume="faults"),
        ImageTarget(name="base", image=engine_host.image),
    )
    bench = Bench(Places("ab", targets), tmp_path)
    bench.engine = connect()
    undisturbed = Switch()
    assert all(outcome.ok for outcome in bench.apply(undisturbed).outcomes)
    sites = sorted({site for site in undisturbed.sites if site.port == "engine"})
    assert {site.method for site in sites} >= {"volume", "is_here", "image", "open", "chunk", "finish"}
    for number, site in enumerate(sites):
        for fault in (FAULTS[number % 3], FAULTS[3 + number % 3]):
            for content in bench.places.content.values():
                content.clear()
            (tmp_path / "ledger" / "status.json").unlink(missing_ok=True)
            bench.disturbed(site, fault)
            assert all(outcome.ok for outcome in bench.apply(Switch()).outcomes), (site, fault)
            assert bench.plan().actions == (), (site, fault)
    for content in bench.places.content.values():
        assert len(listed_copies(content)) == 2
    assert left_over(engine_host.client()) == []
    brought_back(bench, "shop/data", volume, tmp_path / "restored")
    bench.engine.close()


def left_over(client: docker.DockerClient) -> list[str]:
    """Containers that were made to read the volume."""
    names = [container.name for container in client.containers.list(all=True)]
    client.close()
    return [name for name in names if name]


def brought_back(bench: Bench, target: str, source: Path, to: Path) -> None:
    """The newest artifact holds what the source holds."""
    session = bench.session(Switch())
    choice = choose(bench.places.fleet, session.listings(), target, NOW + timedelta(days=99))
    restore(choice, way_to(TreeSink(to), session.world), bench.places.fleet, session.world)
    assert differences(snapshot(source), snapshot(to)) == []


def test_a_repository_that_fails_at_any_call_stops_no_backup(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "text").write_text("words")
    subprocess.run(["git", "init", "--quiet", tmp_path / "specs"], check=True)
    bench = Bench(Places("ab", (PathTarget(name="shop", path=str(source)),)), tmp_path)
    bench.repository = git.find(tmp_path / "specs")
    undisturbed = Switch()
    bench.apply(undisturbed)
    sites = sorted({site for site in undisturbed.sites if site.port == "git"})
    assert {site.method for site in sites} == {"read", "commit"}
    day = 0
    for site in sites:
        for fault in FAULTS:
            day += 1
            applied = bench.disturbed(site, fault, timedelta(days=day))
            if applied:
                assert all(outcome.ok for outcome in applied.outcomes), (site, fault)
                assert applied.report_error, (site, fault)
            recovered = bench.apply(Switch(), timedelta(days=day))
            assert all(outcome.ok for outcome in recovered.outcomes), (site, fault)
            assert not recovered.report_error
            assert bench.plan(timedelta(days=day)).actions == (), (site, fault)
            _, unreadable = _last_status(bench.session(Switch()).ledger)
            assert not unreadable
    brought_back(bench, "shop/files", source, tmp_path / "restored")
