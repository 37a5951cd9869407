"""The calls of docs/security.md are those that are made; a real run works behind a proxy that lets nothing else through."""

import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import docker
import pytest
from docker.errors import APIError

from reconciler.adapters import engine_proxy
from reconciler.adapters.engine_calls import CALLS, Call, judge
from reconciler.adapters.engine_proxy import Proxy
from tests.parts.engine import IMAGE, EngineHost, reachable
from tests.parts.process import own_folder, until
from tests.parts.swarm import service
from tests.systems.site import PROGRAM, Site, opened

PAGE = Path(__file__).parent.parent.parent / "docs" / "security.md"
ELSEWHERE = 'mount -t tmpfs none "$0" && exec "$@"'
"""As in a container: what the Engine keeps on its disk is not seen, nor are the processes of other containers."""
SPEC = """\
hooks:
  - {phase: archive-pre, exec: {container: db-TAG, command: "true"}}
targets:
  - {name: shop, kind: volume, volume: data-TAG, quiesce: stop}
  - {name: cache, kind: volume, volume: cache-TAG, quiesce: pause}
  - {name: web, kind: volume, volume: web-TAG, quiesce: stop}
  - {name: app, kind: image, image: "app-TAG:v1"}
  - {name: db, kind: command, container: db-TAG, backup: cat /d/dump, restore: cat >/d/restored, extension: sql}
"""


class Behind:
    """An Engine behind a proxy: what was let through, and what was refused."""

    def __init__(self, path: Path, engine: EngineHost) -> None:
        self.path = path
        self.engine = engine
        self.seen: set[str] = set()
        self.refused: list[str] = []

    def note(self, method: str, target: str, *, swarm: bool) -> Call:
        """In place of ``judge``."""
        call = judge(method, target, swarm=swarm)
        self.seen.add(f"{call.method} {call.path}")
        return call

    def says(self, request: bytes) -> bytes:
        """The answer to what is sent as it is."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(10)
            asking.connect(str(self.path))
            asking.sendall(request)
            asking.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: asking.recv(65536), b""))


@contextmanager
def listening(engine: EngineHost, *, swarm: bool) -> Iterator[Behind]:
    """A proxy of this process."""
    with own_folder("proxy") as folder, ExitStack() as parts:
        behind = Behind(folder / "docker.sock", engine)
        real = Path(engine.url.removeprefix("unix://"))
        proxy = parts.enter_context(Proxy(behind.path, real, behind.refused.append, swarm=swarm))
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        parts.callback(thread.join)
        parts.callback(proxy.shutdown)
        yield behind


@pytest.fixture
def behind(swarm_host: EngineHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Behind]:
    with listening(swarm_host, swarm=True) as behind:
        monkeypatch.setattr(engine_proxy, "judge", behind.note)
        yield behind


@pytest.fixture
def plain(swarm_host: EngineHost) -> Iterator[Behind]:
    """Without --swarm."""
    with listening(swarm_host, swarm=False) as behind:
        yield behind


@pytest.fixture
def site(tmp_path: Path, swarm_host: EngineHost) -> Iterator[Site]:
    with opened(tmp_path, swarm_host) as site:
        yield site


def run(site: Site, behind: Behind, *arguments: str) -> str:
    """The program, with the proxy for its Engine, where it sees nothing else of the Engine."""
    inside = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", ELSEWHERE]
    hidden = str(site.engine.log.parent / "data")
    site.env["DOCKER_HOST"] = f"unix://{behind.path}"
    done = subprocess.run(
        [*inside, hidden, PROGRAM, *arguments],
        cwd=site.root,
        env={**os.environ, **site.environment(), **site.env},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}\n{behind.refused}"
    return done.stdout


@pytest.mark.timeout(300)
def test_a_run_needs_the_calls_of_the_list_and_no_others(site: Site, behind: Behind) -> None:
    """All of it through the proxy: stop, pause, a service, hooks, dumps, images, and their restores."""
    for name in ("data", "cache", "web", "db"):
        (site.volume(name) / "file").write_text(f"{name} {'x' * 100_000}")
    site.container("shop", volumes={"data": "/d"})
    site.container("cache", volumes={"cache": "/d"})
    site.container("db", volumes={"db": "/d"})
    dump = site.folder("db") / "dump"
    dump.write_text("insert into orders;\n" * 10_000)
    site.client.images.get(IMAGE).tag(f"app-{site.tag}", "v1")
    left = site.client.api.create_container(IMAGE, labels={"io.reconciler.scratch": "elsewhere:1:2"})
    site.backup(SPEC)
    before = {name: (site.folder(name) / "file").read_bytes() for name in ("data", "cache")}
    with service(site.engine, f"web-{site.tag}", f"web-{site.tag}"):
        run(site, behind, "apply")
    assert len(site.copies()) == 5

    (site.folder("cache") / "file").unlink()
    image = site.client.images.get(f"app-{site.tag}:v1").id
    site.client.images.remove(f"app-{site.tag}:v1")
    run(site, behind, "restore", "shop/data", "--to", f"volume:new-{site.tag}")
    site.client.containers.get(f"cache-{site.tag}").stop()
    run(site, behind, "restore", "cache/data", "--overwrite")
    run(site, behind, "restore", "db/dump", "--overwrite")
    run(site, behind, "restore", "app/v1")
    site.client.api.remove_container(left["Id"])

    assert (site.folder("new") / "file").read_bytes() == before["data"]
    assert (site.folder("cache") / "file").read_bytes() == before["cache"]
    assert (site.folder("db") / "restored").read_bytes() == dump.read_bytes()
    assert site.client.images.get(f"app-{site.tag}:v1").id == image
    assert behind.refused == []
    assert behind.seen == {f"{call.method} {call.path}" for call in CALLS}


def test_the_page_lists_the_calls() -> None:
    assert re.findall(r"(?m)^\| `([A-Z]+ /\S+)`", PAGE.read_text()) == [
        f"{call.method} {call.path}" for call in CALLS
    ]


HOST: dict[str, object] = {
    "NetworkMode": "none",
    "Mounts": [{"Type": "volume", "Source": "data", "Target": "/v"}],
}
SCRATCH: dict[str, object] = {
    "Image": "sha256:0",
    "Labels": {"io.reconciler.scratch": "x"},
    "HostConfig": HOST,
}
BIND = {"NetworkMode": "none", "Mounts": [{"Type": "bind", "Source": "/etc", "Target": "/v"}]}
DEVICE = {"Name": "root", "DriverOpts": {"type": "none", "o": "bind", "device": "/"}}


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/build", None),
        ("GET", "/containers/web/export", None),
        ("GET", "/containers/../secrets/x/json", None),
        ("GET", "/containers/a%2Fb/json", None),
        ("GET", "http://docker/containers/json", None),
        ("GET", "/containers/json#/json", None),
        ("GET", "/v1.41/v1.41/containers/json", None),
        ("DELETE", "/images/../containers/web", None),
        ("POST", "/images/create?fromImage=evil", None),
        ("POST", "/images/create?fromSrc=-&fromSrc=http://evil.example.com", None),
        ("POST", "/images/create?fromSrc=-&fromImage=evil", None),
        ("POST", "/images/create?fromImage=evil&fromSrc=-", None),
        ("POST", "/containers/web/start?checkpoint=c&checkpoint-dir=/tmp", None),
        ("GET", "/containers/v1.41/web/json", None),
        ("POST", "/services/web/update", {}),
        ("POST", "/containers/create", {}),
        ("POST", "/containers/create", []),
        ("POST", "/containers/create", SCRATCH | {"HostConfig": BIND}),
        (
            "POST",
            "/containers/create",
            SCRATCH | {"HostConfig": HOST | {"Privileged": True}},
        ),
        (
            "POST",
            "/containers/create",
            SCRATCH | {"HostConfig": HOST | {"binds": ["/:/host"]}},
        ),
        ("POST", "/containers/create", SCRATCH | {"hostconfig": {"Binds": ["/:/host"]}}),
        ("POST", "/containers/create", SCRATCH | {"Cmd": ["sh"]}),
        ("POST", "/containers/create", SCRATCH | {"Labels": {}}),
        ("POST", "/containers/web/exec", {"Cmd": ["sh"], "Privileged": True}),
        ("POST", "/containers/web/exec", {"Cmd": ["sh"], "privileged": True}),
        ("POST", "/v1.20/containers/web/start", {"Privileged": True}),
        ("POST", "/volumes/create", DEVICE),
        ("POST", "/volumes/create", {"Name": "x", "Driver": "plugin"}),
    ],
)
def test_what_is_refused(plain: Behind, method: str, target: str, body: object) -> None:
    """Nothing that makes this program root of the machine."""
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
    answer = plain.says(head.encode() + data)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"engine-proxy refused" in answer
    assert len(plain.refused) == 1


@pytest.mark.parametrize(
    "lines",
    [
        "Content-Length: 2\r\nContent-Length: 40",
        "Content-Length: +2",
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked",
        f"Content-Length: {2 << 20}",
    ],
)
def test_a_body_that_could_be_read_in_two_ways(plain: Behind, lines: str) -> None:
    request = f"POST /containers/web/exec HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n{{}}"
    assert plain.says(request.encode()).startswith(b"HTTP/1.1 403 ")


def test_a_second_request_hides_behind_none(plain: Behind) -> None:
    """Not after a call that is let through, and not after a stream that does not begin."""
    stream = (
        "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    for first in (
        "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n",
        f"POST /exec/none/start HTTP/1.1\r\nHost: x\r\n{stream}",
    ):
        answer = plain.says(f"{first}POST /v1.41/containers/prune HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"ContainersDeleted" not in answer


def test_what_was_asked_twice_in_one_body(plain: Behind) -> None:
    data = b'{"Cmd": ["sh"], "Privileged": false, "privileged": true}'
    head = f"POST /containers/web/exec HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
    assert b"a key of its body is there twice" in plain.says(head.encode() + data)


def test_the_command(swarm_host: EngineHost) -> None:
    """It listens for its own user alone, tells what it refuses, takes the place of one that was killed, and ends when asked."""
    with own_folder("proxy") as folder:
        path = folder / "docker.sock"
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(path))
        real = swarm_host.url.removeprefix("unix://")
        command = [PROGRAM, "engine-proxy", "--listen", str(path), "--engine", real]
        child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            until(lambda: reachable(f"unix://{path}"), "the proxy answers")
            assert path.stat().st_mode & 0o777 == 0o600
            second = subprocess.run(command, capture_output=True, text=True, check=False)
            assert "something listens at" in second.stderr
            with closing(docker.DockerClient(base_url=f"unix://{path}")) as client:
                assert client.containers.list() == []
                with pytest.raises(APIError, match="engine-proxy refused: POST"):
                    client.containers.prune()
        finally:
            child.terminate()
            said = child.communicate(timeout=20)[1]
        assert child.returncode == 0
        assert said.startswith("refused: POST '/v1.41/containers/prune': not one of the calls")
        assert not path.exists()


def test_an_engine_that_is_away(tmp_path: Path) -> None:
    with own_folder("proxy") as folder, Proxy(folder / "s", folder / "none", print) as proxy:
        threading.Thread(target=proxy.handle_request).start()
        assert not reachable(f"unix://{folder}/s")
