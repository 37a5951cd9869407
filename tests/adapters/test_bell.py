"""What ends the sleep of the service, and what it takes it for."""

from reconciler.adapters.bell import Bell


def test_a_ring_is_told_from_a_knock() -> None:
    bell = Bell()
    bell.knock()
    assert bell.wait(60) is False, "the sleep is over, and nobody rang"
    bell.knock()
    bell.ring()
    bell.knock()
    assert bell.wait(60) is True
    assert bell.wait(0) is False, "what was heard once is over"
    bell.close()


def test_a_ring_among_more_knocks_than_are_read_at_once() -> None:
    bell = Bell()
    bell.ring()
    for _ in range(10_000):
        bell.knock()
    assert bell.wait(60) is True
    assert bell.wait(0) is False
    bell.close()
