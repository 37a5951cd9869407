"""What a case file cannot say: a machine without a name, and the default cap of a large fleet."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler import plan
from reconciler.model import (
    Backup,
    Destination,
    Fleet,
    Leftover,
    Listing,
    Observation,
    Policy,
    Recover,
    Retention,
)
from reconciler.plan.guard import cap
from tests.plan.cases import Data, artifact

NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)


def fleet(targets: int, destinations: tuple[str, ...]) -> Fleet:
    return Fleet(
        destinations=tuple(Destination(name=name, url=f"file:///{name}") for name in destinations),
        backups=(
            Backup(
                name="nightly",
                schedule="0 3 * * *",
                targets=tuple(Data(name=f"app{number}", type="data") for number in range(targets)),
                destinations=destinations,
                retention=Retention(daily=1),
            ),
        ),
        policy=Policy(rule321="off"),
    )


def test_what_nobody_signed_is_not_ours_even_if_we_have_no_name() -> None:
    specs = fleet(1, ("disk",))
    made = artifact(specs.backups[0].targets[0].id, "daily", NOW - timedelta(minutes=5), image=False)
    left = Leftover(made.key, made.target, made.time, node="", keys=(made.key,))
    seen = Observation(listings={"disk": Listing(marker="id", leftovers=(left,))}, node="")
    result = plan.make(specs, seen, NOW)
    assert [type(action).__name__ for action in result.actions] == ["Create"]
    assert [note.topic for note in result.notes] == ["leftover"]


def test_the_default_cap_is_two_for_each_target_at_each_destination_and_at_least_twenty() -> None:
    assert cap(fleet(1, ("disk",))) == 20
    assert cap(fleet(5, ("disk", "cloud"))) == 20
    assert cap(fleet(6, ("disk", "cloud"))) == 24


@pytest.mark.parametrize(("lost", "removed"), [(20, 20), (21, 0)])
def test_when_many_manifests_are_lost_no_artifact_is_swept(lost: int, removed: int) -> None:
    specs = fleet(1, ("disk",))
    made = [
        artifact(specs.backups[0].targets[0].id, "daily", NOW - timedelta(days=8 + day), image=False)
        for day in range(lost)
    ]
    left = tuple(Leftover(item.key, item.target, item.time, keys=(item.key,)) for item in made)
    seen = Observation(listings={"disk": Listing(marker="id", leftovers=left)}, node="here")
    result = plan.make(specs, seen, NOW)
    assert sum(isinstance(action, Recover) for action in result.actions) == removed
    assert result.failed == (removed == 0)
