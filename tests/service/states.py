"""The states of ``run`` and ``apply`` in which a signal may come. Each is a function that prepares a ``Stage``."""

import json
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from signal import SIGKILL
from typing import Any

from tests.faults.project import destination, s3_destination
from tests.lifecycle.yard import health
from tests.parts.mailbox import mailbox
from tests.parts.process import free_port
from tests.parts.relay import Relay, relay
from tests.service.site import Site
from tests.service.stage import Stage

State = Callable[[Stage], None]
Far = Callable[[Stage], tuple[Relay, dict[str, Any]]]

PATIENT = "trap 'exit 0' TERM; sleep 600 & wait"
"""For `sh -c` in a container: ends when told."""
BIG = "head -c 60000000 /dev/urandom"


def both(one: Callable[[], object], other: Callable[[], object]) -> Callable[[], None]:
    """One after the other."""

    def do() -> None:
        one()
        other()

    return do


def fetch_https(stage: Stage) -> None:
    """The forge takes the connection and says nothing."""
    stage.arguments = ("--repo", f"https://127.0.0.1:{stage.silent().port}/x.git")


def fetch_ssh(stage: Stage) -> None:
    """The same over ssh."""
    for name in ("key", "known"):
        (stage.root / name).write_text("x\n")
        (stage.root / name).chmod(0o600)
    url = f"ssh://git@127.0.0.1:{stage.silent().port}/x.git"
    stage.arguments = ("--repo", url, "--ssh-key", "key", "--known-hosts", "known")


def push(stage: Stage) -> None:
    """A hook of the remote does not end."""
    (stage.root / "site").mkdir()
    site = Site(stage.root / "site")
    site.backup("shop")
    site.push()
    hook = site.remote / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\n{stage.begins()}\n")
    hook.chmod(0o755)
    stage.arguments = ("--repo", str(site.remote))


def lease(stage: Stage) -> None:
    """Another run has the destination."""
    stage.write()
    stage.run("apply")
    for path in stage.copies():
        path.unlink()
    newest = max((stage.root / "copies/.leases/any").iterdir())
    held = newest.with_name(f"{int(newest.name) + 1:09}")
    held.write_text(json.dumps({"holder": "x", "node": "other", "process": "other", "seconds": 600.0}))
    stage.reached = lambda: stage.await_(lambda: "waiting for its end" in stage.log)
    stage.mend = lambda: held.write_text("free\n")


def script(stage: Stage) -> None:
    """A hook that does not heed SIGTERM."""
    text = stage.begins("while :; do sleep 0.1; done")
    stage.write(hooks=[{"phase": "archive-pre", "script": f"trap '' TERM; {text}"}])


def late(stage: Stage) -> None:
    """What the interrupt itself sets going does not end."""
    first = {"phase": "archive-pre", "script": stage.begins()}
    stage.write(hooks=[first, {"phase": "finally", "script": "sleep 300"}])


def http(stage: Stage) -> None:
    """The server of a hook says nothing."""
    url = f"http://127.0.0.1:{stage.silent().port}/"
    stage.write(hooks=[{"phase": "copy-pre", "http": {"method": "POST", "url": url}}])


def exec_(stage: Stage) -> None:
    """A command in a container."""
    stage.yard.run("db")
    command = ["sh", "-c", "touch /d/begun; sleep 300"]
    stage.write(
        hooks=[{"phase": "archive-pre", "exec": {"container": stage.yard.name("db"), "command": command}}]
    )
    stage.reached = lambda: stage.await_((stage.yard.data / "begun").exists)


def held(stage: Stage) -> None:
    """A container is stopped, and the source takes long."""
    stage.yard.run("db")
    stage.write(stage.begins(), quiesce=stage.stops("db"))


def stopping(stage: Stage) -> None:
    """A container takes its time to stop."""
    stage.yard.run("db", "trap 'touch /d/asked' TERM; while :; do sleep 0.1; done")
    stage.write(quiesce=stage.stops("db", stopTimeout="10m"))
    stage.reached = lambda: stage.await_((stage.yard.data / "asked").exists)


def _ill(stage: Stage) -> Path:
    """A database that is unhealthy as long as a file is there, and what needs it."""
    yard = stage.yard
    yard.run("db", PATIENT, healthcheck=health("test ! -e /d/ill", retries=1000))
    yard.run("web", PATIENT, needs={"db": "service_healthy"})
    stage.await_(lambda: yard.of("db")["State"]["Health"]["Status"] == "healthy")
    ill = yard.data / "ill"
    stage.mend = both(ill.unlink, stage.write)
    return ill


def coming_back(stage: Stage) -> None:
    """One that needs another waits until that is healthy."""
    ill, yard = _ill(stage), stage.yard
    before = yard.started("db")
    stage.write(f"touch {ill}; echo some", quiesce=stage.stops("db", "web"))
    stage.reached = lambda: stage.await_(
        lambda: yard.started("db") != before and yard.status("db", "web") == ["running", "exited"]
    )


def recovering(stage: Stage) -> None:
    """The same, for what a run that was killed had stopped."""
    ill, yard = _ill(stage), stage.yard
    stage.write(stage.begins(), quiesce=stage.stops("db", "web"))
    killed = stage.start("apply")
    stage.reached()
    killed.kill()
    killed.wait()
    os.killpg(int((stage.root / "begun").read_text()), SIGKILL)
    ill.touch()
    stage.reached = lambda: stage.await_(lambda: yard.status("db", "web") == ["running", "exited"])


def settling(stage: Stage) -> None:
    """All is done, and the health of what came back is waited for."""
    ill = _ill(stage)
    stage.write(f"touch {ill}; echo some", quiesce=stage.stops("db"))
    stage.done = True
    stage.reached = lambda: stage.await_(stage.copies)


def starting(stage: Stage) -> None:
    """What is still starting is waited for before it is stopped."""
    ill = stage.yard.data / "ill"
    ill.touch()
    stage.yard.run("db", healthcheck=health("test ! -e /d/ill", retries=1000))
    hook = {"phase": "archive-pre", "script": stage.begins("true")}
    stage.write(quiesce=stage.stops("db"), hooks=[hook])
    stage.mend = both(ill.unlink, stage.write)


def _engine(stage: Stage) -> Relay:
    """The Engine, behind what can be frozen."""
    path = Path(f"/tmp/rs-{stage.mark[:12]}")  # a socket's path may have 107 bytes
    opened = stage.open.enter_context(relay(stage.yard.host.url.removeprefix("unix://"), path))
    stage.open.callback(path.unlink)
    stage.env["DOCKER_HOST"] = f"unix://{path}"
    stage.mend = both(opened.thaw, stage.write)
    return opened


def engine_asked(stage: Stage) -> None:
    """The Engine is asked what runs, and says nothing."""
    stage.yard.run("db")
    opened = _engine(stage)
    stage.write(quiesce=stage.stops("db"))
    opened.freeze()
    stage.reached = opened.await_asked


def engine_held(stage: Stage) -> None:
    """It no longer answers when what is held is to come back."""
    stage.yard.run("db")
    opened = _engine(stage)
    stage.write(stage.begins(), quiesce=stage.stops("db"))
    stage.reached = both(stage.reached, opened.freeze)
    stage.left = True


def s3(stage: Stage) -> tuple[Relay, dict[str, Any]]:
    """A bucket behind what can be frozen."""
    server = stage.part("s3_server")
    host, _, port = server.endpoint.removeprefix("http://").partition(":")
    opened = stage.open.enter_context(relay((host, int(port))))
    stage.env |= {"S3_KEY": server.key, "S3_SECRET": server.secret}
    made = s3_destination("far", server, server.new_bucket())
    made["spec"]["options"]["endpoint_url"] = f"http://127.0.0.1:{opened.port}"
    return opened, made


def sftp(stage: Stage) -> tuple[Relay, dict[str, Any]]:
    """A folder over SFTP behind what can be frozen."""
    server = stage.part("sftp_server")
    opened = stage.open.enter_context(relay((server.host, server.port)))
    options = {"host_key": server.host_key, "private_key_file": str(server.private_key)}
    url = f"sftp://{server.user}@127.0.0.1:{opened.port}{server.root}/{stage.mark}"
    return opened, destination("far", url, options=options)


def webdav(stage: Stage) -> tuple[Relay, dict[str, Any]]:
    """A folder over WebDAV behind what can be frozen."""
    server = stage.part("webdav_server")
    host, _, port = server.url.removeprefix("http://").partition(":")
    opened = stage.open.enter_context(relay((host, int(port))))
    stage.env["DAV"] = server.password
    options = {"username": server.user, "password": {"fromEnv": "DAV"}, "tls": False}
    return opened, destination("far", f"webdav://127.0.0.1:{opened.port}/{stage.mark}/", options=options)


def listing(far: Far) -> State:
    """A destination says nothing when it is listed."""

    def state(stage: Stage) -> None:
        opened, there = far(stage)
        stage.write("echo some", there, places=("far",))
        opened.freeze()
        stage.reached = opened.await_asked
        stage.mend = opened.thaw

    return state


def writing(far: Far, *, stopped: bool = False) -> State:
    """It stops taking data, maybe while a container is held, since there is no other destination."""

    def state(stage: Stage) -> None:
        more: dict[str, Any] = {"places": ("far",)}
        if stopped:
            stage.yard.run("db")
            more["quiesce"] = stage.stops("db")
        opened, there = far(stage)
        stage.write(BIG, there, **more)
        opened.freeze_after(3_000_000)
        stage.reached = opened.await_asked
        stage.mend = both(opened.thaw, partial(stage.write, "echo some", there, **more))

    return state


def reading(far: Far) -> State:
    """It stops giving the data that is copied to a new disk."""

    def state(stage: Stage) -> None:
        opened, there = far(stage)
        stage.write(BIG, there, places=("far",))
        stage.run("apply")
        stage.write(BIG, there, places=("far", "disk"))
        opened.freeze_after(3_000_000, given=True)
        stage.reached = opened.await_frozen
        stage.mend = opened.thaw

    return state


def notifier(stage: Stage) -> None:
    """Whoever is to be told takes no message."""
    box = stage.open.enter_context(mailbox())
    box.open.clear()
    stage.env["TEAM"] = f"json://127.0.0.1:{box.port}/"
    rules = {"notifications": [{"name": "team", "apprise": {"url": {"fromEnv": "TEAM"}}}]}
    stage.write("exit 1", rules=rules)
    stage.reached = lambda: stage.await_(lambda: box.got)
    stage.mend = both(box.open.set, partial(stage.write, rules=rules))


def ping(stage: Stage) -> None:
    """The dead man's switch does not answer."""
    box = stage.open.enter_context(mailbox())
    box.open.clear()
    stage.env["TEAM"] = f"http://127.0.0.1:{box.port}/"
    stage.write(rules={"notifications": [{"name": "switch", "ping": {"url": {"fromEnv": "TEAM"}}}]})
    stage.done = True
    stage.reached = lambda: stage.await_(lambda: box.got and stage.copies())
    stage.mend = box.open.set


def page(stage: Stage) -> None:
    """Three who ask for the page never come to the end of their requests."""
    stage.write()
    port = free_port()
    stage.arguments = (*stage.arguments, "--listen", f"127.0.0.1:{port}")
    stage.done = True

    def reached() -> None:
        stage.await_(lambda: "Applied: " in stage.log)
        for _ in range(3):
            slow = stage.open.enter_context(socket.create_connection(("127.0.0.1", port)))
            slow.sendall(b"GET / HT")

    stage.reached = reached


def beside(state: State) -> State:
    """The same in a process of its own."""

    def prepare(stage: Stage) -> None:
        state(stage)
        stage.arguments = (*stage.arguments, "--jobs", "2")

    return prepare


RUN: dict[str, State] = {"fetch-https": fetch_https, "fetch-ssh": fetch_ssh, "push": push, "page": page}
"""Those that ``run`` alone knows."""
BOTH: dict[str, State] = {
    "lease": lease,
    "script": script,
    "late": late,
    "http": http,
    "exec": exec_,
    "held": held,
    "held-beside": beside(held),
    "stopping": stopping,
    "stopping-beside": beside(stopping),
    "coming-back-beside": beside(coming_back),
    "write-sftp-held-beside": beside(writing(sftp, stopped=True)),
    "coming-back": coming_back,
    "recovering": recovering,
    "settling": settling,
    "starting": starting,
    "engine-asked": engine_asked,
    "engine-held": engine_held,
    "notifier": notifier,
    "ping": ping,
    **{f"list-{far.__name__}": listing(far) for far in (s3, sftp, webdav)},
    **{f"write-{far.__name__}": writing(far) for far in (s3, sftp, webdav)},
    **{f"write-{far.__name__}-held": writing(far, stopped=True) for far in (s3, sftp, webdav)},
    **{f"read-{far.__name__}": reading(far) for far in (s3, sftp, webdav)},
}
