"""Which actions may go on at the same time."""

from collections.abc import Sequence
from typing import Any

import pytest

from reconciler.apply.lanes import Lanes, Moving
from reconciler.model import (
    Backup,
    Create,
    Destination,
    ExecHook,
    Fleet,
    Hook,
    LabelStop,
    Live,
    Quiesce,
    Replicate,
    TargetId,
    Uses,
)
from reconciler.model.fleet import Target


class Thing(Target, frozen=True, kw_only=True, tag="thing"):
    """A target that reads what it is told to."""

    reads: Uses = Uses()

    @property
    def uses(self) -> Uses:
        return self.reads


STOP = Quiesce(mode="stop")
NOTHING = Uses()


def thing(name: str, reads: Uses = NOTHING, **more: Any) -> Thing:
    return Thing(name=name, type="data", reads=reads, **more)


def lanes(*targets: Thing, live: Live | None = None, **most: int) -> Lanes:
    destinations = tuple(
        Destination(name=name, url=f"file:///{name}", connections=most.get(name, 0))
        for name in ("disk", "cloud")
    )
    backup = Backup(name="all", schedule="@daily", targets=targets, destinations=("disk", "cloud"))
    return Lanes(Fleet(destinations=destinations, backups=(backup,), live=live or Live()))


def create(name: str, *destinations: str) -> Create:
    return Create(TargetId(name, "data"), "daily", f"daily/{name}", destinations or ("disk",), 0, "due")


def replicate(name: str, source: str = "disk", to: str = "cloud") -> Replicate:
    return Replicate(TargetId(name, "data"), f"daily/{name}", (source,), to, 0, "missing")


def together(chosen: Lanes, *actions: Moving) -> list[Moving]:
    """What goes on at once, of as many as may."""
    going: list[Moving] = []
    waiting: Sequence[Moving] = actions
    while action := chosen.next(waiting, going):
        going.append(action)
        waiting = [item for item in waiting if item != action]
    return going


def both(one: Thing, other: Thing, live: Live | None = None) -> bool:
    """Whether both are read at once; either order must say the same."""
    chosen = lanes(one, other, live=live)
    actions = [create(one.name), create(other.name)]
    forth, back = together(chosen, *actions), together(chosen, *reversed(actions))
    assert len(forth) == len(back)
    return len(forth) == 2


def test_targets_that_share_nothing_go_side_by_side() -> None:
    named = [thing("a"), thing("b", Uses(paths=("/srv/b",))), thing("c", Uses(volumes=("c",)))]
    actions = [create(item.name) for item in named]
    assert together(lanes(*named), *actions) == actions


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Uses(volumes=("v",)), Uses(volumes=("w", "v"))),
        (Uses(paths=("/srv/shop",)), Uses(paths=("/srv/shop/uploads",))),
        (Uses(paths=("/srv/shop",)), Uses(paths=("/srv/shop/",))),
        (Uses(container="db"), Uses(container="db")),
    ],
)
def test_targets_that_share_something_take_turns(one: Uses, other: Uses) -> None:
    assert not both(thing("a", one), thing("b", other))


def test_paths_that_only_begin_alike_are_not_shared() -> None:
    assert both(thing("a", Uses(paths=("/srv/shop",))), thing("b", Uses(paths=("/srv/shop-old",))))


def test_what_holds_containers_goes_alone_among_those_that_hold_or_need_one() -> None:
    held, other = thing("a", Uses(volumes=("v",)), quiesce=STOP), thing("b", quiesce=STOP)
    inside, plain = thing("c", Uses(container="db")), thing("d", Uses(paths=("/srv",)))
    assert not both(held, other)
    assert not both(held, inside)
    assert both(held, plain)
    assert both(inside, thing("e", Uses(container="cache")))


def test_a_hook_in_a_container_needs_it() -> None:
    hook = Hook(phase="archive-pre", exec=ExecHook(container="db", command=("true",)))
    hooked = thing("a", hooks=(hook,))
    assert not both(hooked, thing("b", Uses(container="db")))
    assert not both(hooked, thing("b", quiesce=STOP))
    assert both(hooked, thing("b", Uses(container="cache")))


def test_containers_of_labels_and_of_discovery_count() -> None:
    one, other = TargetId("a", "data"), TargetId("b", "data")
    stops = Live(stops={one: (LabelStop("db"),)})
    assert not both(thing("a"), thing("b", Uses(container="cache")), stops)
    found = Live(containers={one: "db", other: "db"})
    assert not both(thing("a"), thing("b"), found)


def test_a_targets_own_actions_keep_their_order() -> None:
    chosen = lanes(thing("a"), thing("b"))
    first, copy, other = create("a"), replicate("a"), create("b")
    assert together(chosen, first, copy, other) == [first, other]
    assert chosen.next([copy], [first]) is None
    assert chosen.next([copy], [other]) == copy


def test_what_waits_is_not_overtaken_by_its_own_later_actions() -> None:
    chosen = lanes(thing("a", Uses(volumes=("v",))), thing("b", Uses(volumes=("v",))))
    assert chosen.next([create("b"), replicate("b")], [create("a")]) is None


def test_a_copy_from_place_to_place_touches_no_target() -> None:
    held, other = thing("a", quiesce=STOP), thing("b", quiesce=STOP)
    actions: list[Moving] = [create("a"), replicate("b")]
    assert together(lanes(held, other), *actions) == actions


def test_a_destination_gets_no_more_than_its_connections() -> None:
    names = "abcd"
    chosen = lanes(*map(thing, names), cloud=2)
    actions = [create(name, "disk", "cloud") for name in names]
    assert together(chosen, *actions) == actions[:2]
    assert together(chosen, *actions, create("d", "disk")) == actions[:2]
    assert together(chosen, *(create(name, "disk") for name in names)) == [
        create(name, "disk") for name in names
    ]


def test_reading_from_a_destination_is_a_connection_too() -> None:
    chosen = lanes(*map(thing, "abc"), disk=1)
    actions: list[Moving] = [replicate("a"), replicate("b", "cloud", "disk"), create("c", "cloud")]
    assert together(chosen, *actions) == [actions[0], actions[2]]


def test_every_action_gets_its_turn() -> None:
    chosen = lanes(*(thing(name, Uses(volumes=("v",)), quiesce=STOP) for name in "abc"), disk=1, cloud=1)
    waiting: list[Moving] = [*(create(name, "disk", "cloud") for name in "abc"), *map(replicate, "abc")]
    done: list[Moving] = []
    while action := chosen.next(waiting, ()):
        waiting.remove(action)
        done.append(action)
    assert (len(done), waiting) == (6, [])
