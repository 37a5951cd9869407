"""Brings back what a run that died has left stopped or paused. The first act of every command that may act.

Used by the loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from reconciler.errors import ReconcilerError
from reconciler.journal import Entry, Journal
from reconciler.lifecycle.back import bring_back
from reconciler.lifecycle.journalled import Record, decode, encode
from reconciler.lifecycle.left import how
from reconciler.model.restores import Traces
from reconciler.pipeline import extract, mounted
from reconciler.ports import Engine, World
from reconciler.targets.volume import is_left_over


class Recovered(NamedTuple):
    """What was put right, and what could not be, in sentences."""

    done: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[str, ...]:
        """Everything, what failed last."""
        return (*self.done, *self.failed)


def pending(journal: Journal) -> tuple[str, ...]:
    """What is left to be put right, in sentences, as far as it can be told without the Engine; touches nothing."""
    told: list[str] = []
    try:
        for content, entry in journal.abandoned():
            entry.let_go()
            told.append(_left(content))
    except ReconcilerError as error:
        told.append(str(error))
    return tuple(told)


def _left(content: bytes) -> str:
    try:
        record = decode(content)
    except ReconcilerError as error:
        return str(error)
    if not record.names:
        return f"a run for {record.why} died and left what is to be tidied up"
    names = ", ".join(record.names)
    return f"a run for {record.why} died and may have left {names} {how(record)}"


def recover(world: World) -> Recovered:
    """Put right what every dead run has left. What fails stays in the journal."""
    done: list[str] = []
    failed: list[str] = []
    try:
        for content, entry in world.journal.abandoned():
            try:
                found = _put_right(decode(content), entry, world)
                done += found.done
                failed += found.failed
                if not found.failed:
                    entry.clear()
            except ReconcilerError as error:
                failed.append(str(error))
            finally:
                entry.let_go()
    except ReconcilerError as error:  # the journal cannot be listed
        failed.append(str(error))
    return Recovered(tuple(done), tuple(failed))


def _put_right(record: Record, entry: Entry, world: World) -> Recovered:
    """Tidy up what a restore left, then bring back what ran; what of it fails stands in no other's way."""
    why = record.why
    failed = [*_removed(record.traces, world)]
    done = []
    if record.traces != Traces() and not failed:
        done.append(_told(record))
    entry.write(encode(record.bringing_back()))
    back = bring_back(record, world)
    if failed or back.failed:
        entry.write(encode(record.troubled((*failed, *back.failed))))
    done += [f"{text}: a run for {why} had died" for text in back.told]
    done += [f"{text} by a run for {why} that died: it is left as it is" for text in back.gone]
    failed += [f"{text}; a run for {why} had died, the next one tries again" for text in back.failed]
    return Recovered(tuple(done), tuple(failed))


def _told(record: Record) -> str:
    if record.placed:
        return (
            f"a restore of {record.why} died when its data was in place: the old data is removed now;"
            f" hooks of restore-post may not have run"
        )
    if volume := record.traces.filled:
        return (
            f"a restore of {record.why} died while the Engine filled volume {volume}: what is in there may be a part of the"
            f" data, and a backup of it too. Look at it, empty or remove the volume, and start the restore again"
        )
    return f"a restore of {record.why} died: what it left beside the data is removed; start it again"


def _remove_made(traces: Traces, engine: Engine) -> None:
    """The volume goes if it is the one that the restore made."""
    found = engine.volume(traces.volume)
    if found is not None and is_left_over(found, traces.mark, engine):
        engine.remove_volume(traces.volume)


def _removed(traces: Traces, world: World) -> Iterator[str]:
    """What lies beside or inside a place that a restore did not finish, and a volume made for it, go; what fails of it."""
    try:
        for place in traces.places:
            extract.clean_up(Path(place))
        for place in traces.mounts:
            if Path(place).is_dir():
                mounted.clean_up(Path(place))
        if traces.volume:
            _remove_made(traces, world.host.engine())
    except (ReconcilerError, OSError) as error:
        yield f"what a restore that died left could not be removed: {error}"
