"""Commands in containers: what they get, what is said of them, and that they end."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from docker.models.containers import Container

from reconciler.adapters.docker import connect
from reconciler.adapters.secrets import redact
from reconciler.errors import ReconcilerError
from reconciler.hooks import HookCall
from reconciler.hooks import exec as kind
from reconciler.model import ExecHook, Hook, SecretRef
from reconciler.ports import Engine, Host
from tests.hooks.conftest import Caller
from tests.parts.engine import IMAGE, EngineHost
from tests.parts.process import until


def hook(command: str | tuple[str, ...], **fields: object) -> Hook:
    return Hook(phase="archive-pre", exec=ExecHook(command=command, **fields))  # type: ignore[arg-type]


def running(box: Container) -> str:
    """The processes of a container, as `ps` shows them."""
    return str(box.top(ps_args="-eo pid,args")["Processes"])


def test_environment_user_workdir_and_output(
    call: Caller, box: Container, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_OF_TEST", "s3cr3t-value")
    asked = hook(
        ("sh", "-c", "echo $BACKUP_FILENAME; echo $A; pwd; id -u; echo err >&2; printf $T | wc -c"),
        env={"A": "b", "T": SecretRef(from_env="TOKEN_OF_TEST")},
        user="1234",
        workdir="/tmp",
    )
    kind.run(asked, call(container=box.id, BACKUP_FILENAME="f.tar.zst"))
    assert sorted(heard) == sorted(["f.tar.zst", "b", "/tmp", "1234", "err", "12"])
    assert redact("s3cr3t-value") == "[secret]"


def test_a_secret_of_the_containers_own_is_struck_out(call: Caller, box: Container, heard: list[str]) -> None:
    kind.run(hook(("sh", "-c", "echo $OWN_PASSWORD")), call(container=box.id))
    assert [redact(line) for line in heard] == ["[secret]"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"command": ("sh", "-c", "echo no room >&2; exit 7")}, "exit code 7: no room"),
        ({"command": ("nothere",)}, "nothere"),
        ({"command": ("true",), "user": "nobodyhere"}, "nobodyhere"),
        ({"command": ("true",), "container": "missing"}, "container missing does not exist"),
        ({"command": ("sh", "-c", "kill -9 $$")}, "137"),
    ],
)
def test_what_fails_is_said(call: Caller, box: Container, fields: dict[str, object], said: str) -> None:
    asked = Hook(phase="archive-pre", exec=ExecHook(**fields))  # type: ignore[arg-type]
    with pytest.raises(ReconcilerError, match=said):
        kind.run(asked, call(container=box.id))


def test_without_a_container_it_says_so(call: Caller) -> None:
    with pytest.raises(ReconcilerError, match="names no container"):
        kind.run(hook("true"), call())


@pytest.mark.parametrize(
    "command",
    [
        ("sleep", "4321"),
        ("sh", "-c", "sleep 4321 & sleep 4321 & wait"),
        ("sh", "-c", "trap '' TERM; sleep 4321; sleep 4321"),
        ("sh", "-c", "setsid sleep 4321 & sleep 4321"),
    ],
)
def test_a_timeout_ends_it_in_the_container_with_its_children(
    call: Caller, box: Container, command: tuple[str, ...]
) -> None:
    begun = time.monotonic()
    with pytest.raises(ReconcilerError, match="took longer than 1 s and was ended: raise its timeout"):
        kind.run(hook(command), call(timeout=1, container=box.id))
    assert time.monotonic() - begun < 12
    until(lambda: "4321" not in running(box), "it is gone", 8)


def test_killed_from_outside_is_a_failure(call: Caller, box: Container) -> None:
    def kill() -> None:
        until(lambda: "4321" in running(box), "it runs")
        (pid,) = [
            int(row[0]) for row in box.top(ps_args="-eo pid,args")["Processes"] if row[1] == "sleep 4321"
        ]
        os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(ReconcilerError, match=r"137|killed"):
        kind.run(hook(("sleep", "4321")), call(container=box.id))
    thread.join()


@pytest.mark.parametrize("how", ["kill", "restart", "replace"])
def test_a_container_that_goes_away_is_a_failure(
    call: Caller, engine_host: EngineHost, box: Container, how: str
) -> None:
    client = engine_host.client()
    name = f"goes-{how}"
    victim = client.containers.run(
        IMAGE,
        ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"],
        name=name,
        detach=True,
        network_mode="none",
    )

    def act() -> None:
        until(lambda: "4321" in running(victim), "it runs")
        if how == "kill":
            victim.kill()
        elif how == "restart":
            victim.restart(timeout=1)
        else:
            victim.remove(force=True)
            client.containers.run(IMAGE, ["sleep", "1000"], name=name, detach=True, network_mode="none")

    thread = threading.Thread(target=act)
    thread.start()
    try:
        with pytest.raises(ReconcilerError, match=r"stopped, restarted or replaced|exit code"):
            kind.run(hook(("sleep", "4321"), container=name), call(timeout=15))
    finally:
        thread.join()
        client.containers.get(name).remove(force=True)
        client.close()


def test_a_frozen_engine_ends_it_within_the_timeout(
    own_engine: EngineHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", own_engine.url)
    client = own_engine.client()
    box = client.containers.run(
        IMAGE, ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"], detach=True, network_mode="none"
    )
    engine: Engine = connect()
    host = Host(lambda: engine, Path("/"))
    asked = HookCall(environment={}, timeout=4, said=lambda _: None, host=host, container=str(box.id))
    begun = time.monotonic()
    failed: list[str] = []

    def run() -> None:
        try:
            kind.run(hook(("sleep", "4321")), asked)
        except ReconcilerError as error:
            failed.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: "4321" in running(box), "it runs")
    with own_engine.frozen():
        thread.join(25)
        assert not thread.is_alive()
    assert time.monotonic() - begun < 20
    assert "stopped answering" in failed[0]
    client.close()


def test_output_streams_while_it_runs(call: Caller, box: Container, heard: list[str]) -> None:
    thread = threading.Thread(
        target=kind.run, args=(hook(("sh", "-c", "echo first; sleep 2; echo last")), call(container=box.id))
    )
    thread.start()
    until(lambda: heard == ["first"], "the first line came before the end")
    thread.join()
    assert heard == ["first", "last"]
