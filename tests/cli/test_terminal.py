"""What people see: bars, colours and lines that fit, on a real (pseudo) terminal; and what a pipe gets instead."""

import re
import subprocess
import sys

import click
import pytest

from reconciler.cli import cli
from tests.cli.place import NEXT_DAY, Place


def plain(text: str) -> str:
    """Without escape codes."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_progress_with_bytes_rate_and_time_left(applied: Place) -> None:
    """The second time, when the size is known from the first."""
    subprocess.run(
        ["dd", "if=/dev/urandom", f"of={applied.root}/uploads/big", "bs=1M", "count=48", "status=none"],
        check=True,
    )
    applied.run("apply", "--now", "--only", "shop/uploads")
    applied.now = NEXT_DAY
    applied.run("apply", "--only", "shop/uploads")
    applied.now = "2026-01-22T03:10:00Z"
    shown = plain(applied.terminal("apply", columns=100).out)
    assert re.search(r"\+ shop/uploads .*\d/48\.\d MiB", shown), "bytes of bytes"
    assert re.search(r"[\d.]+ MB/s", shown), "rate"
    assert re.search(r"\d:\d\d:\d\d", shown), "time left"
    assert "Applied: " in shown


def test_the_bar_does_not_go_where_the_output_goes(place: Place) -> None:
    with (place.root / "out.txt").open("wb") as file:
        terminal = place.terminal("apply", stdout=file.fileno()).out
    written = (place.root / "out.txt").read_text()
    assert "Applied: 5 done." in written
    assert "\x1b" not in written
    assert "Applied" not in terminal


@pytest.mark.parametrize("command", ["plan", "list", "status"])
def test_lines_fit_80_columns(applied: Place, command: str) -> None:
    applied.copies("offsite", "shop_uploads_*")[0].unlink()
    applied.now = NEXT_DAY
    lines = plain(applied.terminal(command).out).splitlines()
    assert [
        line for line in lines if len(line) > 80 and not line.startswith(("Converged", "Healthy", "info"))
    ] == []


def test_reasons_stand_below_where_there_is_no_room(applied: Place) -> None:
    applied.now = NEXT_DAY
    wide, narrow = (plain(applied.terminal("plan", columns=columns).out) for columns in (140, 80))
    reason = "(due since 2026-01-21 03:00Z; newest is 2026-01-20 03:10Z)"
    assert f"wiki/files  daily → local, offsite  {reason}\n" in wide
    assert f"wiki/files  daily → local, offsite\n            {reason}\n" in narrow


def test_colours_unless_told_otherwise(place: Place) -> None:
    assert "\x1b[32m" in place.terminal("plan").out
    place.env["NO_COLOR"] = "1"
    for command in ("plan", "list", "status"):
        assert re.findall(r"\x1b\[[0-9;]*3[0-9]m", place.terminal(command).out) == []


def commands() -> list[str]:
    """The name of every command."""
    assert isinstance(cli, click.Group)
    return sorted(cli.commands)


@pytest.mark.parametrize("command", commands())
def test_help_is_complete(place: Place, command: str) -> None:
    ran = place.run(command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert f"Usage: reconciler {command}" in ran.out
    assert "Examples:" in ran.out
    assert f"    reconciler {command}" in ran.out
    assert all(len(line) <= 100 for line in ran.out.splitlines())
    described = [option for option in cli.commands[command].params if isinstance(option, click.Option)]
    assert [option.name for option in described if not option.help] == []


def test_help_lists_every_command_in_whole_words(place: Place) -> None:
    out = place.run("--help").out
    assert all(re.search(rf"^  {command} +\S.*[.]$", out, re.MULTILINE) for command in commands())
    assert "..." not in out.partition("Commands:")[2]


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["plan", "--nonsense"], ["apply", "--output", "xml"], ["restore"], ["schema", "a", "b"]],
)
def test_wrong_usage_exits_with_1(place: Place, arguments: list[str]) -> None:
    """2 is for pending changes alone."""
    ran = place.process(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Usage: reconciler")


def test_version(place: Place) -> None:
    assert re.fullmatch(r"reconciler, version \d+\.\d+\.\d+\n", place.run("--version").out)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["apply", "--help"],
        ["plan", "--output", "json"],
        ["validate"],
        ["list"],
        ["status", "-o", "json"],
    ],
)
def test_heavy_libraries_wait_until_they_are_used(place: Place, arguments: list[str]) -> None:
    code = "import sys; from reconciler.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=place.root,
        env=place.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"rich", "docker", "s3fs", "paramiko", "webdav4", "git", "aiobotocore"}
    heavy |= {"fsspec", "jsonschema", "yaml", "msgspec", "croniter"} if "--help" in arguments else set()
    assert heavy & set(done.stderr.split()) == set()
