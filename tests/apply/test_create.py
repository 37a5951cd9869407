"""An artifact made and committed at several destinations: what is there after every kind of end."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler import manifests
from reconciler.apply import run
from reconciler.errors import SourceError
from reconciler.model import Create, Outcome, Plan, SourceReport
from reconciler.naming import intent_key, manifest_key
from reconciler.pipeline.compress import Decompressor
from reconciler.ports import Host, Source
from reconciler.targets.command import CommandTarget
from reconciler.targets.path import PathTarget
from tests.faults.bench import Silent
from tests.faults.ports import Fault, FaultyStore, Killed, Site, Switch
from tests.faults.world import KEY, NODE, NOW, SHOP, Places

PIECES = [random.Random(number).randbytes(1 << 20) for number in range(4)]


class Stream:
    """A Source of PIECES that breaks after so many of them, or at its end."""

    def __init__(self, breaks: int | None) -> None:
        self._breaks = breaks
        self.closed = False

    def chunks(self) -> Iterator[bytes]:
        for number, piece in enumerate(PIECES):
            if number == self._breaks:
                raise SourceError("the database went away")
            yield piece

    def finish(self) -> SourceReport:
        if self._breaks == len(PIECES):
            raise SourceError("the archive has no end")
        return SourceReport(files=7, warnings=("a file changed",), facts={"id": "1"}, fingerprint="f")

    def close(self) -> None:
        self.closed = True


class StreamTarget(PathTarget, frozen=True, kw_only=True, tag="path"):
    """A target whose data are PIECES."""

    breaks: int | None = None

    def open(self, host: Host) -> Source:
        return Stream(self.breaks)


def places(breaks: int | None = None) -> Places:
    return Places("ab", (StreamTarget(name="shop", path="/srv/shop", breaks=breaks),))


def create(world: Places, *, estimate: int = 0) -> Outcome:
    """Make KEY at ``a`` and ``b``."""
    action = Create(SHOP, "daily", KEY, ("a", "b"), estimate, "due")
    (outcome,) = run(Plan(NOW, (action,), commit="abc"), world.fleet, world.world, Silent())
    return outcome


def fail(world: Places, name: str, method: str, subject: str = KEY, *, after: bool = False) -> Switch:
    """Let one call at a place fail."""
    switch = Switch(Site(name, method, subject, 0), Fault("error", after=after))
    world.stores[name] = FaultyStore(world.stores[name], name, switch)
    return switch


def unpacked(here: dict[str, bytes]) -> bytes:
    return Decompressor("zstd").decompress(here[KEY], 1 << 24)


def test_every_destination_gets_the_same_artifact_and_manifest_and_nothing_else() -> None:
    world = places()
    outcome = create(world)
    assert outcome.ok
    assert outcome.warnings == ("a file changed",)
    assert world.content["a"] == world.content["b"]
    assert set(world.content["a"]) == {KEY, manifest_key(KEY)}
    assert unpacked(world.content["a"]) == b"".join(PIECES)
    assert outcome.size == len(world.content["a"][KEY])


def test_the_manifest_says_what_is_stored() -> None:
    world = places()
    create(world)
    manifest = manifests.decode(world.content["a"][manifest_key(KEY)], KEY)
    assert manifest.size == len(world.content["a"][KEY])
    assert manifest.source_size == 4 << 20
    assert (manifest.files, manifest.facts, manifest.fingerprint) == (7, {"id": "1"}, "f")
    assert (manifest.started, manifest.spec_commit, manifest.compression) == (NOW, "abc", "zstd")
    assert manifest.restore.startswith("zstd -d -c < shop_files_2026-01-20T030000Z_daily.tar.zst | tar -x")


@pytest.mark.parametrize("breaks", range(len(PIECES) + 1))
def test_a_source_that_breaks_at_any_piece_commits_nothing_anywhere(breaks: int) -> None:
    world = places(breaks)
    outcome = create(world)
    assert outcome.error in ("the database went away", "the archive has no end")
    assert world.content == {"a": {}, "b": {}}


def test_a_command_that_gives_nothing_at_all_is_no_backup_whatever_its_exit_code() -> None:
    world = Places("ab", (CommandTarget(name="shop", type="files", backup="false | cat"),))
    assert "not a single byte" in create(world).error
    assert world.content == {"a": {}, "b": {}}


def test_a_dump_that_breaks_off_although_its_command_ended_well_is_no_backup() -> None:
    command = "echo '-- PostgreSQL database dump'; echo 'copy orders from stdin;'"
    world = Places("ab", (CommandTarget(name="shop", type="files", backup=command),))
    assert "it is not whole, so it was not kept" in create(world).error
    assert world.content == {"a": {}, "b": {}}


@pytest.mark.parametrize(
    ("fields", "estimate", "warning"),
    [
        ({}, 0, None),
        ({"min_size": "6B"}, 0, None),
        ({"min_size": "7B"}, 0, "the dump has 6 bytes, less than minSize (7): is it whole?"),
        ({}, 30, None),
        ({}, 100, "the dump is less than half as large as the last one (19 of 100 bytes): is it whole?"),
    ],
)
def test_a_dump_that_is_suspiciously_small_is_kept_with_a_warning(
    fields: dict[str, Any], estimate: int, warning: str | None
) -> None:
    target = CommandTarget(name="shop", type="files", backup="echo small", **fields)
    world = Places("ab", (target,))
    outcome = create(world, estimate=estimate)
    assert outcome.ok
    assert outcome.size == 19
    assert outcome.warnings == ((warning,) if warning else ())
    assert unpacked(world.content["a"]) == b"small\n"


def test_what_another_run_made_under_the_same_name_is_left_as_it_is() -> None:
    """Two machines with the same specs, started by cron in the same second; the other one was quicker at ``a``."""
    world = places()
    world.hold("a", KEY, b"of the other machine")
    before = dict(world.content["a"])
    outcome = create(world)
    assert "is there already" in outcome.failures["a"]
    assert world.content["a"] == before
    assert unpacked(world.content["b"]) == b"".join(PIECES)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["create", "write", "commit", "manifest"])
def test_a_destination_that_fails_leaves_nothing_and_disturbs_no_other(method: str, *, after: bool) -> None:
    world = places()
    subject = manifest_key(KEY) if method == "manifest" else KEY
    switch = fail(world, "a", "claim" if method == "manifest" else method, subject, after=after)
    outcome = create(world)
    assert switch.tripped
    assert set(outcome.failures) == {"a"}
    assert "planned" in outcome.failures["a"]
    assert not outcome.error
    assert world.content["a"] == {}
    assert unpacked(world.content["b"]) == b"".join(PIECES)


def test_where_every_destination_fails_the_outcome_is_an_error_that_names_all() -> None:
    world = places()
    fail(world, "a", "write")
    fail(world, "b", "commit")
    outcome = create(world)
    assert "a: " in outcome.error
    assert "b: " in outcome.error
    assert world.content == {"a": {}, "b": {}}


def test_a_target_that_cannot_be_opened_commits_nothing(tmp_path: Path) -> None:
    gone = PathTarget(name="shop", path=str(tmp_path / "gone"))
    world = Places("ab", (gone,))
    assert "cannot be read" in create(world).error
    assert world.content == {"a": {}, "b": {}}


def test_an_error_never_holds_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    from reconciler.adapters import secrets

    monkeypatch.setattr(secrets, "_resolved", {"hunter22"})
    world = places()
    action = Create(SHOP, "daily", "hunter22", ("a",), 0, "due")
    world.stores["a"] = FaultyStore(
        world.stores["a"], "a", Switch(Site("a", "put", ".intents/node-1/hunter22", 0), Fault("error"))
    )
    (outcome,) = run(Plan(NOW, (action,)), world.fleet, world.world, Silent())
    assert "[secret]" in outcome.error
    assert "hunter22" not in outcome.error


@pytest.mark.parametrize("calls", range(1, 6))
def test_what_a_failed_upload_leaves_is_on_record_until_it_is_gone(calls: int) -> None:
    """The run is killed while it clears up after a commit whose answer was lost."""
    world = places()
    switch = Switch(Site("a", "commit", KEY, 0), Fault("error", after=True, dies=calls))
    world.stores["a"] = FaultyStore(world.stores["a"], "a", switch)
    try:
        create(world)
    except Killed:
        here = world.content["a"]
        assert manifest_key(KEY) not in here
        assert KEY not in here or intent_key(NODE, KEY) in here
    else:
        assert calls == 5  # it had cleared up in four calls
        assert world.content["a"] == {}
