"""The campaign: every call of every port, in every state, fails in every way; nothing is lost, and the next run mends it.

``CAMPAIGN=all`` (``make campaign``) tries every fault at every site; otherwise each site gets some of them, in turn, so that
every site and every kind is tried.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from reconciler.model import Plan
from reconciler.model.observed import from_stamp
from reconciler.restore import choose, read_manifest, restore
from reconciler.restore.sinks import find_sink
from tests.faults.bench import (
    DAY,
    FOREIGN,
    START,
    Bench,
    State,
    listed_copies,
    newest,
    prunes,
    strangers,
    whole_copies,
)
from tests.faults.ports import Fault, Killed, Site, Switch
from tests.trees import differences, snapshot
from tests.ways import way_to

FAULTS = (
    Fault("kill"),
    Fault("kill", after=True),
    Fault("error"),
    Fault("error", after=True),
    Fault("interrupt"),
    Fault("interrupt", after=True),
    Fault("error", lasting=True),
    Fault("unreachable", lasting=True),
    Fault("full", lasting=True),
    Fault("error", after=True, dies=1),
    Fault("error", after=True, dies=2),
    Fault("error", after=True, dies=3),
    Fault("error", dies=2),
)
EACH = len(FAULTS) if os.environ.get("CAMPAIGN") == "all" else 4
"""How many faults each site gets."""
MINUTE = timedelta(minutes=1)


class Step(NamedTuple):
    """A state, and the run that is to be disturbed in it."""

    state: State
    now: datetime


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """The world, in the memory of the machine where it can be."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="campaign-", dir=memory if os.access(memory, os.W_OK) else None))
    yield Bench(folder)
    shutil.rmtree(folder)


def first(bench: Bench) -> Step:
    """Two empty destinations with foreign files."""
    bench.load(State(dict(FOREIGN), dict(FOREIGN), {}))
    return Step(bench.save(), START)


def next_day(bench: Bench) -> Step:
    """Everything is due, and what is there is to be pruned after it."""
    first(bench)
    bench.apply(START)
    return Step(bench.save(), START + DAY)


def damaged(bench: Bench) -> Step:
    """A copy vanished, one was cut short, one lost its data and one has a manifest that is no JSON; also something is due."""
    step = next_day(bench)
    keys = sorted(listed_copies(step.state.a))
    shop, wiki = (next(key for key in keys if name in key) for name in ("shop", "wiki"))
    del step.state.a[shop], step.state.a[f"{shop}.json"]
    step.state.b[wiki] = step.state.b[wiki][:1000]
    return Step(step.state, START + timedelta(hours=5))


def rotten(bench: Bench) -> Step:
    """Data without end: a copy whose data is gone while its manifest stayed, and a manifest that is no JSON."""
    step = next_day(bench)
    keys = sorted(listed_copies(step.state.a))
    shop, wiki = (next(key for key in keys if name in key) for name in ("shop", "wiki"))
    del step.state.b[shop]
    step.state.a[f"{wiki}.json"] = b"{ this is no JSON"
    return Step(step.state, START + timedelta(hours=5))


def back_again(bench: Bench) -> Step:
    """A destination that missed a day is there again: it lacks the new copies and holds old ones."""
    step = next_day(bench)
    bench.apply(START + DAY)
    after = bench.save()
    return Step(State(after.a, step.state.b, after.ledger), START + DAY + timedelta(hours=1))


def half_done(bench: Bench) -> Step:
    """An earlier run was killed between the artifact and its manifest at both destinations, and one in the middle of a prune."""
    step = next_day(bench)
    bench.apply(START + DAY)
    after = bench.save()
    fresh, stale = listed_copies(after.b), listed_copies(step.state.b)
    for content in (after.a, after.b):
        content |= {key: step.state.at("b")[key] for key in stale}
        for key in (*sorted(fresh), *sorted(stale)):
            content.pop(f"{key}.json", None)
            content[f".intents/node-1/{key}"] = b""
    after.b[f"{min(fresh)}.part"] = b"half"
    return Step(after, START + DAY + timedelta(hours=1))


STEPS: tuple[Callable[[Bench], Step], ...] = (first, next_day, damaged, rotten, back_again, half_done)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("make", STEPS, ids=lambda make: make.__name__)
def test_a_fault_at_any_call_loses_nothing_and_the_next_run_converges(
    bench: Bench, tmp_path: Path, make: Callable[[Bench], Step], measured: Callable[[str], None]
) -> None:
    step = make(bench)
    planned, sites = observe_run(bench, step)
    tried = 0
    for number, site in enumerate(sites):
        for offset in range(EACH):
            fault = FAULTS[(number * EACH + offset) % len(FAULTS)]
            if possible(site, fault):
                disturb(bench, step, planned, site, fault, later=(number + offset) % 2 * MINUTE)
                tried += 1
    assert tried >= len(sites)
    measured(f"{make.__name__}: {tried} runs with a fault at one of {len(sites)} calls")
    restored_equals_sources(bench, tmp_path)


def possible(site: Site, fault: Fault) -> bool:
    """Whether this can happen there: a clock does not fail, only stores can be full or out of reach.

    Left out: a record that cannot be written, and a kill soon after. A prune goes on without a record, since a full disk takes
    none; what a kill leaves then is no copy, and is swept when it is old enough.
    """
    if fault.dies and site.method == "put" and site.subject.startswith(".intents/"):
        return False
    if site.port == "clock":
        return fault.kind in ("kill", "interrupt")
    return fault.kind not in ("full", "unreachable") or site.port.startswith("store")


def observe_run(bench: Bench, step: Step) -> tuple[Plan, list[Site]]:
    """What the run plans, and every call that it makes, when nothing disturbs it."""
    bench.load(step.state)
    planned = bench.plan(step.now)
    switch = Switch()
    applied = bench.apply(step.now, switch)
    assert all(outcome.ok for outcome in applied.outcomes), applied.outcomes
    check_converged(bench, step.now, "undisturbed")
    return planned, sorted(set(switch.sites))


def disturb(bench: Bench, step: Step, planned: Plan, site: Site, fault: Fault, later: timedelta) -> None:
    """One run with the fault, then what must hold; one run without, then what must hold."""
    about = f"{fault} at {site}"
    bench.load(step.state)
    switch = Switch(site, fault)
    try:
        applied = bench.apply(step.now, switch)
    except Killed:
        assert fault.kind == "kill" or fault.dies, about
        switch.bury()
    except KeyboardInterrupt:
        assert fault.kind == "interrupt", about
    else:
        assert fault.kind not in ("kill", "interrupt"), about
        said_converged = all(condition.status == "True" for condition in applied.status.conditions)
        if said_converged and not applied.report_error:
            assert bench.plan(step.now).actions == (), about
    assert switch.tripped, about
    del switch
    check_nothing_lost(bench, step, planned, about)
    recovered = bench.apply(step.now + later)
    assert all(outcome.ok for outcome in recovered.outcomes), (about, recovered.outcomes)
    check_converged(bench, step.now + later, about)


def check_nothing_lost(bench: Bench, step: Step, planned: Plan, about: str) -> None:
    """The promises that hold at any moment, also while a run is dead."""
    after = bench.save()
    for name in ("a", "b"):
        before, now = step.state.at(name), after.at(name)
        good_before, good_now = whole_copies(before, bench.tars), whole_copies(now, bench.tars)
        listed_bad = listed_copies(now) - good_now
        assert listed_bad <= listed_copies(before) - good_before, (about, name, listed_bad)
        gone = {(name, key) for key in good_before - good_now}
        assert gone <= prunes(planned), (about, gone)
        for target, stamp in newest(good_before).items():
            assert newest(good_now).get(target, "") >= stamp, (about, name, target)
        for key, data in FOREIGN.items():
            assert now[key] == data, (about, key)


def check_converged(bench: Bench, now: datetime, about: str) -> None:
    """After a run that nothing disturbed: nothing to do, every copy whole and equal to its source, nothing else left."""
    plan = bench.plan(now)
    assert plan.actions == (), (about, plan.actions)
    assert not plan.failed, (about, plan.notes)
    after = bench.save()
    for name in ("a", "b"):
        content = after.at(name)
        keys = listed_copies(content)
        assert whole_copies(content, bench.tars) == keys, (about, name)
        assert strangers(content) == FOREIGN, (about, name, sorted(strangers(content)))
        assert len(keys) == len(bench.trees), (about, name, keys)
        day = {from_stamp(stamp).date() for stamp in newest(keys).values()}
        assert day == {now.date()}, (about, name, day)


def restored_equals_sources(bench: Bench, folder: Path) -> None:
    """Both trees come back from each destination."""
    session = bench.session(START + 10 * DAY, Switch())
    for target, tree in bench.trees.items():
        for source in ("a", "b"):
            choice = choose(bench.fleet, session.listings(), str(target), session.now, source)
            manifest = read_manifest(choice, bench.fleet, session.world)
            place = folder / source / target.service
            sink = find_sink(f"path:{place}", manifest, bench.fleet, session.world.host)
            sink.check(overwrite=False)
            restore(choice, way_to(sink, session.world), bench.fleet, session.world)
            assert differences(snapshot(tree), snapshot(place)) == []
