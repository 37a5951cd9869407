"""The protocol of a lease, on a store in memory with a clock that the test moves."""

import threading
from datetime import UTC, datetime
from unittest import mock

import msgspec
import pytest

from reconciler.adapters import node
from reconciler.adapters.lease import KEPT, Lease
from reconciler.adapters.leases import FREE, Record, Turns, Waiting, duration
from reconciler.destinations.memory import MemoryStore
from reconciler.errors import Fenced, StoreError, Unreachable
from reconciler.naming import lease_key, parse_lease

ELSEWHERE = Record("somebody", "node-9", "another-boot/1 2 3", 60.0)


class MovedClock:
    """A Clock that the test moves; each look takes a moment."""

    def __init__(self, step: float = 0.0) -> None:
        self.time = 1000.0
        self.step = step

    def now(self) -> datetime:
        return datetime(2026, 1, 20, tzinfo=UTC)

    def monotonic(self) -> float:
        self.time += self.step
        return self.time


class Scene:
    """A store, a clock, and leases of as many runs as a test wants."""

    def __init__(self, step: float = 0.0) -> None:
        self.content: dict[str, bytes] = {}
        self.store = MemoryStore("a", self.content)
        self.clock = MovedClock(step)
        self.told: list[str] = []

    def lease(self, scope: str = "any") -> Lease:
        return Lease(self.store, "a", scope, self.clock, "node-1")

    def acquired(self, lease: Lease | None = None) -> tuple[Lease, bool]:
        lease = lease or self.lease()
        return lease, lease.acquire({key: len(data) for key, data in self.content.items()}, self.told.append)

    def left_by_another(self, token: int = 1, **changes: object) -> None:
        record = msgspec.structs.replace(ELSEWHERE, **changes)
        self.content[lease_key("any", token)] = record.encoded()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses end at once: what passes is the clock of the scene."""
    monkeypatch.setenv("RECONCILER_LEASE", "40")
    pause = mock.Mock()
    monkeypatch.setattr("reconciler.adapters.leases.threading", mock.Mock(Event=lambda: pause))
    monkeypatch.setattr("reconciler.adapters.lease.SETTLE", 0.0)


def test_one_after_the_other() -> None:
    scene = Scene()
    first, contended = scene.acquired()
    assert not contended
    first.check()
    first.end()
    first.release()
    assert scene.content == {lease_key("any", 1): FREE}
    second, contended = scene.acquired()
    assert not contended
    second.check()


def test_a_scope_of_its_own_waits_for_nobody() -> None:
    scene = Scene()
    scene.left_by_another()
    assert not scene.acquired(scene.lease("node-1"))[1]


def test_who_looked_before_another_run_came_and_went_is_told_to_look_again() -> None:
    scene = Scene()
    late = scene.lease()
    other, _ = scene.acquired()
    other.end()
    other.release()
    assert late.acquire({}, scene.told.append)
    late.check()
    assert sorted(scene.content) == [lease_key("any", 1), lease_key("any", 2)]


def test_a_lease_that_does_not_change_for_its_time_expires() -> None:
    scene = Scene(step=1.0)
    scene.left_by_another()
    begun = scene.clock.time
    lease, contended = scene.acquired()
    assert contended
    assert lease.expired
    assert scene.clock.time - begun > ELSEWHERE.seconds
    assert scene.told == ["a run on node-9 works at a; waiting for its end"]


def test_a_lease_that_is_renewed_is_waited_for_and_then_given_up_loudly() -> None:
    scene = Scene(step=20.0)
    scene.left_by_another()
    beats = iter(range(1_000_000))
    see = Turns.see

    def alive(turns: Turns, token: int) -> object:
        scene.left_by_another(beat=next(beats))
        return see(turns, token)

    with mock.patch.object(Turns, "see", alive):
        lease, _ = scene.acquired()
    with pytest.raises(Fenced, match="a run on node-9 has been at work there for an hour"):
        lease.check(deleting=True)


def test_a_lease_of_a_process_that_has_ended_is_taken_at_once() -> None:
    scene = Scene()
    machine = node.process().partition(" ")[0]
    scene.left_by_another(process=f"{machine} {2**22 + 1} 12345")
    lease, contended = scene.acquired()
    assert contended
    assert not lease.expired
    lease.check()


@pytest.mark.parametrize("pid", ["99999999999999999999", "²", "0", "-1", ""])
def test_a_lease_of_a_process_that_cannot_be_expires(pid: str) -> None:
    scene = Scene(step=1.0)
    scene.left_by_another(process=f"{node.process().partition(' ')[0]} {pid} 12345")
    lease, _ = scene.acquired()
    assert lease.expired
    lease.check()


def test_a_lease_that_is_nested_deeply_expires() -> None:
    scene = Scene(step=1.0)
    scene.content[lease_key("any", 1)] = b'{"x":' + 5000 * b"[" + 5000 * b"]" + b"}"
    lease, contended = scene.acquired()
    assert (contended, lease.expired) == (True, True)
    lease.check()


def test_a_lease_that_this_process_has_forgotten_is_taken_at_once_and_one_that_it_holds_is_not() -> None:
    scene = Scene(step=1.0)
    held, _ = scene.acquired()
    begun = scene.clock.time
    assert scene.acquired()[0].expired  # it had to wait
    assert scene.clock.time - begun > duration()
    other = Scene()
    forgotten, _ = other.acquired()
    forgotten.end()
    lease, contended = other.acquired()
    assert (contended, lease.expired) == (True, False)
    held.end()


def test_who_stood_still_while_another_took_over_may_do_nothing_more() -> None:
    scene = Scene()
    lease, _ = scene.acquired()
    scene.left_by_another(2)
    lease.check()  # by its own clock it is sure: the other one waited longer than that
    scene.clock.time += 21
    for deleting in (False, True):
        with pytest.raises(Fenced, match="another run took over while this one stood still for 21 s"):
            lease.check(deleting=deleting)
    before = dict(scene.content)
    lease.end()
    lease.release()
    assert scene.content == before


def test_who_stood_still_and_nobody_took_over_goes_on() -> None:
    scene = Scene()
    lease, _ = scene.acquired()
    scene.clock.time += 1000
    lease.check()
    assert msgspec.json.decode(scene.content[lease_key("any", 1)])["beat"] == 1


def test_where_a_lease_cannot_be_replaced_it_is_enough_that_nobody_took_over() -> None:
    """A full disk, or an SFTP server that refuses to rename over a file."""
    scene = Scene()
    lease, _ = scene.acquired()
    scene.clock.time += 21
    with mock.patch.object(MemoryStore, "put", mock.Mock(side_effect=StoreError("no space left"))):
        lease.check()
    scene.clock.time += 21
    gone = mock.Mock(side_effect=Unreachable("no answer"))
    with mock.patch.object(MemoryStore, "put", gone), pytest.raises(Unreachable):
        lease.check()


def test_a_holder_that_wakes_just_before_it_is_taken_over_has_its_time_to_notice() -> None:
    """Its last renewal is seen only after the next token was made."""
    scene = Scene(step=1.0)
    scene.left_by_another()
    claim = MemoryStore.claim

    def late(store: MemoryStore, key: str, data: bytes) -> bool:
        scene.left_by_another(beat=1)
        return claim(store, key, data)

    begun = scene.clock.time
    with mock.patch.object(MemoryStore, "claim", late):
        scene.acquired()
    assert scene.clock.time - begun > 2 * ELSEWHERE.seconds


def test_a_later_listing_shows_that_another_one_took_over() -> None:
    scene = Scene()
    lease, _ = scene.acquired()
    lease.confirm({lease_key("any", 2): 5})
    with pytest.raises(Fenced, match="another run took over; this run writes nothing more there"):
        lease.check()


def test_a_full_disk_takes_no_lease_and_still_lets_delete() -> None:
    scene = Scene()

    def full(*_: object) -> bool:
        raise StoreError("destination a: no space left")

    with mock.patch.object(MemoryStore, "claim", full):
        lease, _ = scene.acquired()
    lease.check(deleting=True)
    with pytest.raises(StoreError, match="the lease there cannot be had: destination a: no space left"):
        lease.check()


def test_where_claims_are_not_atomic_the_last_writer_has_it() -> None:
    scene = Scene()

    class Careless(MemoryStore):
        exclusive = False

        def claim(self, key: str, data: bytes) -> bool:
            self.put(key, data)
            scene.left_by_another(int(key[-1]), seconds=0.0)  # another one at the same time
            return True

    scene.store = Careless("a", scene.content)
    with mock.patch.object(Waiting, "wait", mock.Mock(side_effect=StoreError("it waits"))):
        lease, contended = scene.acquired()
    assert contended
    with pytest.raises(StoreError, match="it waits"):
        lease.check()


def test_old_tokens_are_swept_in_one_go_and_the_last_ones_stay() -> None:
    scene = Scene()
    most = 0
    for number in range(1, 60):
        lease, contended = scene.acquired()
        assert not contended, number
        lease.end()
        lease.release()
        most = max(most, len(scene.content))
    tokens = [parsed[1] for parsed in map(parse_lease, scene.content) if parsed]
    assert max(tokens) == 59
    assert KEPT < len(tokens) <= most <= 2 * KEPT + 2


def test_of_many_at_once_one_gets_it() -> None:
    scene = Scene()
    leases = [scene.lease() for _ in range(8)]
    start = threading.Barrier(8)
    claimed: list[bool] = []

    def claim(lease: Lease) -> None:
        start.wait(10)
        claimed.append(lease._claim(1))

    threads = [threading.Thread(target=claim, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == [False] * 7 + [True]


def test_renewals_by_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every quarter of its time; they end with the lease."""
    monkeypatch.undo()
    monkeypatch.setenv("RECONCILER_LEASE", "0.04")
    scene = Scene()
    renewed = threading.Event()
    put = MemoryStore.put

    def watched(store: MemoryStore, key: str, data: bytes) -> None:
        put(store, key, data)
        renewed.set()

    with mock.patch.object(MemoryStore, "put", watched):
        lease, _ = scene.acquired()
        assert renewed.wait(10)
    lease.end()
    lease.release()
    assert scene.content[lease_key("any", 1)] == FREE


def test_processes() -> None:
    here = node.process()
    assert not node.is_gone(here)
    machine, pid, started = here.split()
    assert node.is_gone(f"{machine} {pid} {int(started) - 1}")  # its number was given to another one
    assert not node.is_gone(f"another-boot/1 {pid} {started}")
    assert not node.is_gone("")
