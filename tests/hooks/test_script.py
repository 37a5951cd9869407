"""Scripts on this machine."""

import subprocess
import threading
import time
from pathlib import Path

import pytest

from reconciler.adapters.secrets import redact
from reconciler.errors import ReconcilerError
from reconciler.hooks import script
from reconciler.model import Hook, ScriptFile
from tests.hooks.conftest import Caller
from tests.parts.process import until


def hook(text: str) -> Hook:
    return Hook(phase="success", script=text)


def test_it_runs_under_sh_in_the_folder_of_the_specs(call: Caller, heard: list[str], tmp_path: Path) -> None:
    script.run(
        hook('echo "$BACKUP_FILENAME"\ncat <<END\n$(pwd)\nEND\necho err >&2\n'), call(BACKUP_FILENAME="f")
    )
    assert heard == ["f", str(tmp_path), "err"]


def test_it_gets_the_whole_environment_on_purpose(
    call: Caller, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_MACHINE", "unix:///run/docker.sock")
    script.run(hook('echo "$OF_THE_MACHINE" "$RECONCILER_PHASE"'), call(RECONCILER_PHASE="success"))
    assert heard == ["unix:///run/docker.sock success"]


def test_a_file(call: Caller, heard: list[str], tmp_path: Path) -> None:
    file = tmp_path / "notify.sh"
    file.write_text('echo "$0"; exit 0\n')
    script.run(Hook(phase="success", script=ScriptFile(file=str(file))), call())
    assert heard == [str(file)]
    with pytest.raises(ReconcilerError, match="is no file"):
        script.run(Hook(phase="success", script=ScriptFile(file=str(tmp_path / "none.sh"))), call())


def test_what_only_looks_like_a_secret_is_shown(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PWD", "/srv/folder-of-nobody")
    monkeypatch.setenv("ALLOW_EMPTY_PASSWORD", "True")
    monkeypatch.setenv("SHOP_PWD", "hunter2-of-the-shop")
    script.run(hook("true"), call())
    said = "/srv/folder-of-nobody/backup.d is True, hunter2-of-the-shop"
    assert redact(said) == "/srv/folder-of-nobody/backup.d is True, [secret]"


def test_a_failure_names_the_code_and_the_last_words(call: Caller) -> None:
    with pytest.raises(ReconcilerError, match="exit code 3: no room"):
        script.run(hook("echo no room; exit 3"), call())
    with pytest.raises(ReconcilerError, match="SIGKILL"):
        script.run(hook("kill -9 $$"), call())


@pytest.mark.parametrize(
    "text",
    [
        "sleep 5432",
        "sleep 5432 & wait",
        "setsid sleep 5432 & sleep 5432",
        "trap '' TERM; sleep 5432; sleep 5432",
    ],
)
def test_a_timeout_ends_it_with_its_children(call: Caller, text: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ReconcilerError, match="took longer than 1 s and was ended: raise its timeout"):
        script.run(hook(text), call(timeout=1))
    assert time.monotonic() - begun < 10
    until(
        lambda: not subprocess.run(["pgrep", "-f", "^sleep 5432"], capture_output=True, check=False).stdout,
        "it is gone",
    )


def test_a_child_that_keeps_the_output_open_does_not_hang_it(call: Caller) -> None:
    begun = time.monotonic()
    with pytest.raises(ReconcilerError, match="took longer than 2 s"):
        script.run(hook("setsid sleep 5433 & exit 0"), call(timeout=2))
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "text",
    ["env -i setsid sleep 21 & exit 0", "exec env -i sleep 22", "exec env -i sleep 23 >/dev/null 2>&1"],
)
def test_what_cleared_its_environment_does_not_hang_it(call: Caller, text: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ReconcilerError, match="took longer than 1 s"):
        script.run(hook(text), call(timeout=1))
    assert time.monotonic() - begun < 10


def test_its_text_stands_in_no_process_list(call: Caller) -> None:
    thread = threading.Thread(target=script.run, args=(hook("A=canary-in-the-text\nsleep 2\n"), call()))
    thread.start()
    until(
        lambda: bool(subprocess.run(["pgrep", "-f", "sleep 2"], capture_output=True, check=False).stdout),
        "it runs",
    )
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    thread.join()
    assert "canary-in-the-text" not in lines
