"""``reconciler run`` as a process, on a real bare remote."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from reconciler.cli.run import run
from tests.cli.place import PROGRAM
from tests.parts.mailbox import Mailbox, mailbox
from tests.parts.process import until
from tests.service.site import SPECS, Site
from tests.test_docs import REPOSITORY, run_all

MEGABYTE = 1024 * 1024


@pytest.fixture
def box() -> Iterator[Mailbox]:
    """Where the messages go."""
    with mailbox() as opened:
        yield opened


def test_a_commit_becomes_a_backup_a_bad_one_changes_nothing_and_a_mended_one_recovers(
    site: Site, box: Mailbox
) -> None:
    notify(site, box)
    site.backup("shop")
    first = site.push()
    with site.running() as running:
        until(lambda: site.ready()[0] == "SpecsInForce", "the remote has no status")
        assert site.status()["specCommit"] == first
        assert len(site.copies("shop")) == 1

        site.backup("wiki")
        second = site.push()
        until(lambda: site.status()["specCommit"] == second, "the commit is not in force")
        assert len(site.copies("wiki")) == 1

        site.backup("wiki", "kind: pth, path: /x")
        bad = site.push()
        until(lambda: site.ready()[0] == "RevisionRejected", "the status does not tell of the bad commit")
        message = site.ready()[1]
        assert f"commit {bad[:12]} cannot be used (commit {second[:12]} stays in force)" in message
        assert 'backup.d/wiki.yaml:9:26: spec.targets[0].kind: unknown kind "pth"' in message
        site.lose("wiki")
        running.child.send_signal(signal.SIGHUP)
        until(lambda: len(site.copies("wiki")) == 1, "backups did not go on with the last good commit")
        assert site.status()["specCommit"] == second

        site.backup("wiki")
        fixed = site.push()
        until(lambda: site.ready()[0] == "SpecsInForce", "the status did not recover")
        assert site.status()["specCommit"] == fixed
    titles = [post.json["title"].partition(": ")[2] for post in box.got]
    assert titles == ["1 failure (specs)", "1 recovery (specs)"], "one each way"
    log = running.log.read_text()
    assert log.count(f"commit {bad[:12]} cannot be used") == 1, "told once, although it was looked at again"
    assert log.splitlines()[-1].endswith("ended as asked; no copy is left half made")


def notify(site: Site, box: Mailbox) -> None:
    site.env["TEAM_URL"] = f"json://127.0.0.1:{box.port}/"
    team = 'rule321: "off", notifications: [{name: team, apprise: {url: {fromEnv: TEAM_URL}}}]'
    site.write("destinations.yaml", SPECS.format(root=site.root).replace('rule321: "off"', team))


def test_the_state_is_for_this_user_alone(site: Site) -> None:
    site.backup("shop")
    site.push()
    folder = site.root / "new" / "state"
    assert site.once("--state-dir", str(folder)).returncode == 0
    (followed,) = (folder / "followed").iterdir()
    assert [oct(place.stat().st_mode) for place in (folder, folder / "followed", followed)] == 3 * ["0o40700"]


def test_its_own_status_makes_it_do_nothing(site: Site) -> None:
    site.backup("shop")
    site.push()
    with site.running() as running:
        running.told("Applied: 2 done")
        polls = _commits(site)
        running.child.send_signal(signal.SIGHUP)
        running.told("asked to look: Nothing to do")
        assert "the specs have changed" not in running.log.read_text()
        assert _commits(site) == polls == 1


def _commits(site: Site) -> int:
    return int(site.git("rev-list", "--count", "backup-status", at=site.remote))


@pytest.mark.parametrize(
    ("number", "before"), [(signal.SIGTERM, "head -c 9000000 /dev/urandom; "), (signal.SIGINT, "")]
)
def test_a_signal_in_the_middle_of_a_slow_apply(site: Site, number: signal.Signals, before: str) -> None:
    """One signal is enough, and others behind it do no harm."""
    begun = site.root / "begun"
    os.mkfifo(begun)
    slow = f"{before}echo $$ >{begun}; exec sleep 300"
    site.backup("slow", f"kind: command, extension: txt, backup: '{slow}'")
    site.push()
    with site.running() as running:
        group = int(begun.read_text())  # opening it waits for the command
        running.child.send_signal(number)
        running.child.send_signal(number)
        running.child.send_signal(signal.SIGTERM)
        assert running.child.wait(30) == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)  # the command of the target has ended, too
    assert site.copies() == []
    assert not list((site.root / "copies").rglob("*slow*"))
    site.backup("slow", "kind: command, extension: txt, backup: 'echo some'")
    site.push()
    ran = site.once()
    assert ran.returncode == 0, ran.stderr
    assert len(site.copies("slow")) == 1


NOTIFIED = """\
apiVersion: reconciler/v1
kind: Policy
metadata: {name: fleet}
spec:
  rule321: "off"
  notifications: [{name: team, apprise: {url: {fromEnv: TEAM}}, tell: [failure]}]
"""


WAITS = "import socket; socket.create_connection(('127.0.0.1', {port})).recv(1)"
"""A program that waits until somebody hangs up."""


def silence(site: Site, who: str, port: int) -> tuple[str, ...]:
    """Push specs with which ``who`` is at that port; options of the service."""
    site.backup("shop")
    if who == "notifier":
        site.backup("gone", "kind: path, path: /nowhere/at/all")
        specs = (site.work / "backup.d/destinations.yaml").read_text()
        site.write("destinations.yaml", specs.partition("---\n")[0] + f"---\n{NOTIFIED}")
        site.env["TEAM"] = f"json://127.0.0.1:{port}/x"
    site.push()
    if who == "push":
        hook = site.remote / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\nexec {sys.executable} -c {shlex.quote(WAITS.format(port=port))}\n")
        hook.chmod(0o755)
    return ("--repo", f"https://127.0.0.1:{port}/x.git") if who == "remote" else ()


@pytest.mark.parametrize("who", ["remote", "push", "notifier"])
def test_a_signal_while_somebody_does_not_answer(site: Site, who: str) -> None:
    """The remote when it is asked, the remote when the status is pushed, a notifier."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        nobody.settimeout(20)
        with site.running(*silence(site, who, nobody.getsockname()[1])) as running:
            caller, _ = nobody.accept()
            running.child.send_signal(signal.SIGTERM)
            running.child.send_signal(signal.SIGTERM)
            assert running.child.wait(30) == 0
            assert "ended as asked" in running.log.read_text()
        caller.close()


def test_signals_that_come_up_to_the_very_end_change_nothing(site: Site) -> None:
    site.backup("shop")
    site.push()
    with site.running() as running:
        running.told("Applied: 2 done")
        while running.child.poll() is None:
            running.child.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                running.child.wait(0.001)
        assert running.child.returncode == 0


def test_a_dead_remote_changes_nothing_and_is_told(site: Site) -> None:
    site.backup("shop")
    first = site.push()
    with site.running() as running:
        running.told("Applied: 2 done")
        aside = site.remote.rename(site.root / "aside.git")
        running.told(f"commit {first[:12]} stays in force")
        site.lose("shop")
        running.child.send_signal(signal.SIGHUP)
        until(lambda: len(site.copies("shop")) == 1, "backups did not go on")
        aside.rename(site.remote)
        site.backup("wiki")
        second = site.push()
        until(lambda: site.status().get("specCommit") == second, "the remote's new commit is not in force")
    assert running.log.read_text().count("stays in force") == 1


def test_an_idle_service_needs_next_to_nothing(site: Site, measured: Callable[[str], None]) -> None:
    """Processor time for each look, which is one a minute by default."""
    site.backup("shop")
    site.push()
    site.env["GIT_TRACE2_EVENT"] = str(trace := site.root / "trace")
    with site.running() as running:
        running.told("Applied: 2 done")
        before, asked = running.used(), _asked(trace)
        until(lambda: _asked(trace) >= asked + 3, "it does not look")
        each = (running.used() - before) / (_asked(trace) - asked)
        peak = running.memory()
    measured(
        f"an idle service: {peak / MEGABYTE:.0f} MB at most, {each / 60:.3%} of a processor at one look a minute"
    )
    assert peak < 80 * MEGABYTE
    assert each / 60 < 0.001


def _asked(trace: Path) -> int:
    return trace.read_text().count('"name":"ls-remote"')


def test_a_folder_without_git(site: Site) -> None:
    site.backup("shop")
    command = [PROGRAM, "run", str(site.work / "backup.d"), "--state-dir", str(site.root / "state"), "--once"]
    env = {**os.environ, **site.env, "XDG_STATE_HOME": str(site.root / "home")}
    for said in ("Applied: 2 done.", "started: Nothing to do"):
        ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert (ran.returncode, said in ran.stderr) == (0, True), ran.stderr
    assert len(site.copies("shop")) == 1


def test_once_says_with_its_exit_code_whether_all_is_well(site: Site) -> None:
    site.backup("shop")
    site.push()
    assert site.once().returncode == 0
    site.backup("shop", "kind: path, path: /nowhere/at/all")
    site.push()
    ran = site.once()
    assert ran.returncode == 1
    assert "/nowhere/at/all" in ran.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--token-file", "x", "--token-from-env", "Y"], "two places of one token"),
        (["--token-from-env", "NOT_SET"], "--token-from-env: the variable NOT_SET is not set"),
        (["--token-file", "x"], "a token is for https:// alone"),
        (["--path", "../elsewhere"], "--path is a folder in the repository"),
        (["--interval", "often"], "is not a duration"),
        (["--interval", "10ms"], "a second at least"),
        (["--verify-signatures", "nowhere"], "there is no file nowhere"),
        (["backup.d"], "with --repo the folder of the specs in it is --path FOLDER"),
    ],
)
def test_options_that_do_not_go_together(site: Site, options: list[str], said: str) -> None:
    ran = site.once(*options)
    assert (ran.returncode, said in ran.stderr) == (1, True), ran.stderr


def test_the_page_is_true(tmp_path: Path) -> None:
    _, output = run_all(REPOSITORY / "docs" / "run.md", tmp_path)
    assert "Applied: 2 done. Next slot: " in output
    assert "# Backups: all is well with 1 target" in output


def test_the_unit_starts_a_command_that_exists_and_lets_it_end_in_time() -> None:
    unit = (REPOSITORY / "examples/systemd/reconciler.service").read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    program, name, *options = settings["ExecStart"].split()
    assert (program, name) == ("/usr/local/bin/reconciler", "run")
    assert run.make_context("run", options).params["repo"]
    assert int(settings["TimeoutStopSec"]) > 30
    page = (REPOSITORY / "docs/run.md").read_text()
    shown = page.partition("```ini\n[Service]\n")[2].partition("```")[0].splitlines()
    assert set(shown) <= set(unit.splitlines())
