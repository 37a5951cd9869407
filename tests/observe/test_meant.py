"""Which targets the labels of a container are for: the table of docs/labels.md."""

from typing import Any

import msgspec
import pytest

from reconciler.model import Backup, Hook, TargetId
from reconciler.observe.labels import Labelled
from reconciler.observe.meant import Beside, Meant, meant
from reconciler.targets.volume import VolumeTarget

DATA, OTHER = TargetId("shop", "data"), TargetId("shop", "other")
ALL = (DATA, OTHER)
HOOK = msgspec.convert({"phase": "archive-pre", "exec": {"command": ["id"]}}, Hook)


def ask(labelled: Labelled, exec_label: str = "", kind: str = "docker-volume-backup", **beside: Any) -> Meant:
    targets = tuple(VolumeTarget(name=each.service, type=each.type, volume=each.type) for each in ALL)
    backup = msgspec.structs.replace(
        Backup(name="b", schedule="@daily", targets=targets, destinations=("x",), exec_label=exec_label),
        hooks_from_labels=kind,
    )
    return meant(backup, labelled, Beside(**beside))


@pytest.mark.parametrize(
    ("exec_label", "tie", "own", "runs"),
    [
        ("", "", (), ALL),
        ("", "", (DATA,), (DATA,)),
        ("", "db", (), ()),
        ("", "db", (DATA,), (DATA,)),
        ("db", "db", (), ALL),
        ("db", "db", (DATA,), (DATA,)),
        ("db", "", (DATA,), ()),
        ("db", "web", (DATA,), ()),
        ("db", "web", (), ()),
    ],
)
def test_commands(exec_label: str, tie: str, own: tuple[TargetId, ...], runs: tuple[TargetId, ...]) -> None:
    assert ask(Labelled((HOOK,), tie), exec_label, own=own).commands == runs


@pytest.mark.parametrize(
    ("exec_label", "tie", "stop", "own", "claimed", "stopped"),
    [
        ("", "", "true", (), False, ALL),
        ("", "", "true", (DATA,), False, (DATA,)),
        ("", "", "true", (), True, ()),
        ("", "db", "true", (), False, ()),
        ("", "db", "true", (DATA,), True, (DATA,)),
        ("db", "", "true", (), False, ()),
        ("db", "", "true", (DATA,), False, (DATA,)),
        ("db", "db", "true", (), False, ALL),
        ("db", "web", "true", (DATA,), False, (DATA,)),
        ("db", "", "db", (), False, ALL),
        ("db", "web", "db", (DATA,), False, (DATA,)),
        ("", "", "db", (DATA,), False, ()),
        ("web", "", "db", (DATA,), False, ()),
        ("", "", "", (DATA,), False, ()),
    ],
)
def test_stops(
    exec_label: str,
    tie: str,
    stop: str,
    own: tuple[TargetId, ...],
    claimed: bool,
    stopped: tuple[TargetId, ...],
) -> None:
    assert ask(Labelled((), tie, stop), exec_label, own=own, claimed=claimed).stops == stopped


@pytest.mark.parametrize(
    ("exec_label", "tie", "stop", "own", "concerned"),
    [
        ("", "", "", (), ALL),
        ("", "db", "", (), ()),
        ("db", "web", "", (), ()),
        ("db", "web", "", (DATA,), (DATA,)),
        ("db", "web", "db", (), ALL),
    ],
)
def test_errors_keep_back_what_they_may_concern(
    exec_label: str, tie: str, stop: str, own: tuple[TargetId, ...], concerned: tuple[TargetId, ...]
) -> None:
    assert ask(Labelled((), tie, stop, errors=("x",)), exec_label, own=own).errors == concerned


@pytest.mark.parametrize(
    ("labelled", "exec_label", "beside", "told"),
    [
        (Labelled((HOOK,), "db"), "", {}, "its commands (exec-label db) do not run for backup b"),
        (Labelled((HOOK,), "db"), "", {"own": (DATA,)}, ""),
        (Labelled((HOOK,), "db"), "web", {}, ""),
        (
            Labelled(stop="true"),
            "web",
            {},
            "it is not stopped for backup b, which has nothing that it mounts",
        ),
        (Labelled(stop="true"), "web", {"claimed": True}, ""),
        (Labelled(stop="night"), "", {"own": (DATA,)}, '"night", which is the execLabel of no Backup'),
        (Labelled(stop="night"), "", {"own": (DATA,), "named": frozenset({"night"})}, ""),
        (Labelled(stop="night"), "", {}, ""),
    ],
)
def test_what_theirs_would_do_is_told(
    labelled: Labelled, exec_label: str, beside: dict[str, Any], told: str
) -> None:
    warnings = ask(labelled, exec_label, **beside).warnings
    assert told in " ".join(warnings)
    assert len(warnings) == bool(told)


def test_velero_concerns_what_the_container_mounts_and_stops_nothing() -> None:
    assert ask(Labelled((HOOK,)), kind="velero", own=(DATA,)) == Meant((DATA,), (), (DATA,))
    assert ask(Labelled((HOOK,)), kind="velero") == Meant()
