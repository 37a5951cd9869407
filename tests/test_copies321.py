"""The 3-2-1 rule on fleets without files."""

import pytest

from reconciler.copies321 import rule321
from reconciler.model import Backup, Destination, Fleet


def _findings(*destinations: Destination, names: tuple[str, ...] | None = None) -> list[tuple[str, str]]:
    named = names if names is not None else tuple(destination.name for destination in destinations)
    backup = Backup(name="b", schedule="@daily", targets=(), destinations=named)
    return rule321(Fleet(destinations=destinations, backups=(backup,)))


DISK = Destination(name="disk", url="file:///a", media="hdd")
SSD = Destination(name="ssd", url="file:///b", media="SSD", offsite=True)
CLOUD = Destination(name="cloud", url="s3://c", media="object-storage", offsite=True)
TAPE = Destination(name="tape", url="file:///d", media="tape")


def test_the_original_a_disk_and_the_cloud_keep_the_rule() -> None:
    assert _findings(DISK, CLOUD) == []


@pytest.mark.parametrize(
    ("destinations", "missing"),
    [
        ((), ["1 copies (the original and no destination)", "every copy is on disk", "no copy is off-site"]),
        ((CLOUD,), ["2 copies (the original and cloud), 3 are needed"]),
        ((DISK, SSD), ["every copy is on disk, 2 kinds of media are needed"]),
        ((DISK, TAPE), ["no copy is off-site, 1 is needed"]),
    ],
)
def test_what_is_missing_is_named(destinations: tuple[Destination, ...], missing: list[str]) -> None:
    ((name, message),) = _findings(*destinations)
    assert name == "b"
    assert message.startswith("the 3-2-1 rule is broken: ")
    assert message.count(";") == len(missing) - 1
    assert all(part in message for part in missing)


def test_a_destination_that_is_named_twice_is_one_copy() -> None:
    assert "2 copies" in _findings(CLOUD, names=("cloud", "cloud"))[0][1]


def test_an_unknown_destination_is_no_copy() -> None:
    assert "2 copies" in _findings(CLOUD, names=("cloud", "nowhere"))[0][1]
