"""When the turn of a target comes: its Backup's slots, moved by its jitter and out of blackouts.

Pure; used by observe, plan and report.

A slot keeps the identity of its tick: an artifact that is not older than the tick stands for it, whenever its turn would have
come. So a jitter that is added or changed never makes a second artifact for one slot.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple

from reconciler import blackouts, schedule
from reconciler.durations import seconds
from reconciler.model import Backup, TargetId


class Slot(NamedTuple):
    """A tick of the schedule, and when the turn of one target comes for it. Both in UTC."""

    tick: datetime
    begins: datetime


class Turn(NamedTuple):
    """Whose turn it is: a target of ``backup``, on the machine ``node``."""

    backup: Backup
    target: TargetId
    node: str

    def newest(self, now: datetime) -> Slot | None:
        """The newest slot that has begun at ``now``; None when there is none yet."""
        tick = schedule.newest_tick(self._schedule, now)
        if tick is None:
            return None
        slot = self._slot(tick)
        if slot.begins <= now:
            return slot
        before = schedule.newest_tick(self._schedule, tick - timedelta(seconds=1))
        return self._slot(before) if before else None

    def reached(self, now: datetime) -> Slot | None:
        """The newest slot whose backup could begin by ``now``: one that came inside a blackout waits until that ends."""
        window = self._blackout(now)
        return self.newest(window.begins - timedelta(seconds=1) if window else now)

    def waits_until(self, now: datetime) -> datetime | None:
        """The end of the blackout in which ``now`` lies; None when nothing hinders."""
        window = self._blackout(now)
        return window.ends if window else None

    def next_run(self, last: datetime | None, now: datetime) -> datetime | None:
        """When the next backup is to begin, after ``now``. ``last`` is the time of the newest good artifact.

        None for a Backup that is suspended for ever. What was missed at the end of a suspension or a blackout is made up then.
        """
        if self.backup.suspend:
            if self.backup.suspend_until is None:
                return None
            now = self.backup.suspend_until
        hindered = self.backup.suspend or self.waits_until(now)
        if hindered and (missed := self.newest(now)) and (last is None or last < missed.tick):
            return self.waits_until(now) or now
        begins = self._next(now)
        return begins and (self.waits_until(begins) or begins)

    def _next(self, now: datetime) -> datetime | None:
        """When the first slot begins after ``now``."""
        newest = schedule.newest_tick(self._schedule, now)
        if newest and (begins := self._slot(newest).begins) > now:
            return begins
        tick = schedule.next_tick(self._schedule, now)
        return self._slot(tick).begins if tick else None

    def _blackout(self, now: datetime) -> blackouts.Window | None:
        return blackouts.around(self.backup.blackout, self.backup.timezone, now)

    def _slot(self, tick: datetime) -> Slot:
        """Moved by less than the jitter, and by less than the time to the next tick."""
        if not self.backup.jitter:
            return Slot(tick, tick)
        width = timedelta(seconds=seconds(self.backup.jitter))
        following = schedule.next_tick(self._schedule, tick)
        if following:
            width = min(width, following - tick)
        return Slot(
            tick, tick + timedelta(seconds=int(share(self.target, self.node) * width.total_seconds()))
        )

    @property
    def _schedule(self) -> schedule.Schedule:
        return schedule.parse(self.backup.schedule, self.backup.timezone)


def share(target: TargetId, node: str) -> float:
    """From 0 to below 1: the same for one target on one machine for ever, evenly spread over many."""
    digest = hashlib.sha256(f"{node}\0{target}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
