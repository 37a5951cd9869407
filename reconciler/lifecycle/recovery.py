"""Brings back what a run that died has left stopped or paused. The first act of every command that may act.

Used by the loop.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from reconciler.errors import ReconcilerError
from reconciler.lifecycle.journalled import HeldContainer, HeldService, Record, decode
from reconciler.pipeline import extract, mounted
from reconciler.ports import Engine, Journal, Traces, World


class Recovered(NamedTuple):
    """What was put right, and what could not be, in sentences."""

    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[str, ...]:
        """Everything, what failed last."""
        return (*self.done, *self.failed)


def pending(journal: Journal) -> tuple[str, ...]:
    """What is left to be put right, in sentences; touches nothing."""
    told: list[str] = []
    for content, entry in journal.abandoned():
        try:
            record = decode(content)
            told.append(f"{', '.join(record.names) or 'a restore'}: left by a run for {record.why} that died")
        except ReconcilerError as error:
            told.append(str(error))
        finally:
            entry.let_go()
    return tuple(told)


def recover(world: World) -> Recovered:
    """Put right what every dead run has left. What fails stays in the journal."""
    done: list[str] = []
    failed: list[str] = []
    for content, entry in world.journal.abandoned():
        try:
            record = decode(content)
            done += _put_right(record, world)
            entry.clear()
        except ReconcilerError as error:  # the Engine is away, say: the record stays for the next run
            failed.append(f"what a run that died has left could not be put right: {error}")
        finally:
            entry.let_go()
    return Recovered(tuple(done), tuple(failed))


def _put_right(record: Record, world: World) -> list[str]:
    told: list[str] = []
    traces = record.traces
    _clean(traces)
    if record.containers or record.services or traces.volume:
        engine = world.host.engine()
        if traces.volume:
            engine.remove_volume(traces.volume)
        for container in record.containers:
            told += _container(container, engine, record.why)
        for service in record.services:
            told += _service(service, engine, record.why)
    if traces != Traces():
        told.append(f"what a restore of {record.why} that died left is removed; start it again")
    return told


def _clean(traces: Traces) -> None:
    """What lies beside or inside a place that a restore did not finish."""
    for place in traces.places:
        extract.clean_up(Path(place))
    for place in traces.mounts:
        if Path(place).is_dir():
            mounted.clean_up(Path(place))


def _container(held: HeldContainer, engine: Engine, why: str) -> list[str]:
    """Start or continue one container, where it is still the one that ran."""
    found = engine.container(held.id)
    if found is None:
        return [
            f"container {held.name}, held by a run for {why} that died, was removed or replaced: left as it is"
        ]
    if held.how == "pause" and found.state == "paused":
        engine.unpause(held.id)
        return [f"container {held.name} goes on: a run for {why} died while it was paused"]
    if held.how == "stop" and held.restart and found.started == held.started:
        # The Engine may still be stopping it, since it does not end what a dead client asked for: that has to end first.
        engine.stop(held.id, held.patience)
        engine.start(held.id)
        return [f"container {held.name} was started again: a run for {why} died while it was stopped"]
    return []


def _service(held: HeldService, engine: Engine, why: str) -> list[str]:
    found = engine.service(held.id)
    if found is None:
        return [f"service {held.name}, held by a run for {why} that died, was removed: left as it is"]
    if found.replicas == 0:
        engine.scale(held.id, held.replicas)
        return [f"service {held.name} has its {held.replicas} tasks again: a run for {why} died meanwhile"]
    return []
