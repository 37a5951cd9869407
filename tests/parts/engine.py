"""A private Docker Engine (dockerd with its own containerd) and one image made of busybox. Needs root.

It has no bridge and leaves iptables alone, so it runs beside another Engine and inside a sandbox: containers
have network `none` or `host`.
"""

import io
import os
import shutil
import signal
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException

from tests.parts.process import MissingPart, Server, need_root, own_folder, program, serving

IMAGE = "busybox:test"
CONTAINERD_CONFIG = """\
version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
"""
# When the tests are killed, dockerd and containerd are told to end at once. Without containerd dockerd could not end
# its containers, and they would stay for ever: containerd goes when dockerd has gone. $1 is dockerd's pid file.
LAST = """\
pid=$1; shift
"$@" & trap : TERM; wait
while kill -0 "$(cat "$pid" 2>/dev/null)" 2>/dev/null; do sleep 0.05; done
kill $!; wait
"""


@dataclass(frozen=True)
class EngineHost:
    """A running private Engine."""

    url: str
    """Value for DOCKER_HOST, `unix://…`."""
    image: str
    """Name of the one image: busybox with all its applets, command `sh`."""
    version: str
    """Version and storage driver, for the list of real parts."""
    log: Path
    """The daemon's log."""
    daemon: Server
    """dockerd itself. Only a test with an Engine of its own (`own_engine`) may touch it."""

    def client(self) -> docker.DockerClient:
        """A new client; close it after use."""
        return docker.DockerClient(base_url=self.url, timeout=60)

    def kill(self) -> None:
        """`kill -9` of dockerd. Its containers go on; it stops them when it starts again (10 s if they ignore that)."""
        self.daemon.kill()

    def cut_power(self) -> None:
        """`kill -9` of dockerd and of every container."""
        self.kill()
        for file in (self.log.parent / "c-state").glob("io.containerd.runtime.v2.task/moby/*/init.pid"):
            container, pid = file.parent.name, int(file.read_text())
            with suppress(FileNotFoundError, ProcessLookupError):
                if container in Path(f"/proc/{pid}/cgroup").read_text():
                    os.kill(pid, signal.SIGKILL)

    def start(self) -> None:
        """Start dockerd again on the same data; containers with a restart policy run again."""
        self.daemon.start()

    def restart(self) -> None:
        """`kill`, then `start`."""
        self.kill()
        self.start()

    def frozen(self) -> AbstractContextManager[None]:
        """During the block dockerd accepts connections and answers nothing."""
        return self.daemon.frozen()


@contextmanager
def engine_host(*prefix: str) -> Iterator[EngineHost]:
    """Run a private Docker Engine.

    Args:
        prefix: a command that runs dockerd for us.

    Raises:
        MissingPart: not root, or docker.io, containerd, runc or busybox-static is missing.
    """
    need_root("a private Docker Engine")
    with own_folder("engine") as folder, ExitStack() as parts:
        parts.callback(unmount_below, folder)
        parts.enter_context(serving(containerd(folder), folder / "c.log", (folder / "c.sock").is_socket))
        url = f"unix://{folder}/docker.sock"
        command, log = [*prefix, *dockerd(folder)], folder / "dockerd.log"
        daemon = parts.enter_context(serving(command, log, lambda: reachable(url)))
        host = EngineHost(url, IMAGE, import_busybox(url), log, daemon)
        parts.callback(remove_containers, host)
        yield host


def containerd(folder: Path) -> list[str]:
    """The command of a containerd with all its state in `folder`; one of the system is not touched."""
    config = folder / "c.toml"
    config.write_text(CONTAINERD_CONFIG.format(folder=folder))
    places = ["--root", f"{folder}/c-root", "--state", f"{folder}/c-state", "--address", f"{folder}/c.sock"]
    command = [program("containerd", "containerd"), "--config", str(config), *places]
    return ["sh", "-c", LAST, "sh", f"{folder}/pid", *command]


def dockerd(folder: Path) -> list[str]:
    """The command of a dockerd that uses `folder` and that containerd, and changes no network setting."""
    program("runc", "runc")
    places = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
    sockets = ["--containerd", f"{folder}/c.sock", "--host", f"unix://{folder}/docker.sock"]
    network = [
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
        "--ip-masq=false",
    ]
    config = folder / "daemon.json"
    config.write_text("{}")
    return [program("dockerd", "docker.io"), "--config-file", str(config), *places, *sockets, *network]


def reachable(url: str) -> bool:
    """Whether an Engine answers at `url` within five seconds."""
    with socket.socket(socket.AF_UNIX) as asking, suppress(OSError):
        asking.settimeout(5)
        asking.connect(url.removeprefix("unix://"))
        asking.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
        return asking.recv(12).endswith(b" 200")
    return False


def import_busybox(url: str) -> str:
    """Import IMAGE from the machine's static busybox; the Engine's version and storage driver."""
    client = docker.DockerClient(base_url=url)
    try:
        changes = ['CMD ["sh"]', "ENV PATH=/bin"]
        client.api.import_image_from_data(busybox_tar(), "busybox", "test", changes=changes)
        about = client.info()
    finally:
        client.close()
    return f"Docker Engine {about['ServerVersion']} ({about['Driver']})"


def busybox_tar() -> bytes:
    """A root file system: busybox, a link for each applet, /tmp, a passwd with root."""
    busybox = Path(program("busybox", "busybox-static"))
    if b"ld-linux" in busybox.read_bytes()[:4096]:  # the name of its loader stands near the start
        raise MissingPart(f"{busybox} needs shared libraries: install busybox-static in its place")
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(busybox.resolve(), "bin/busybox")
        for applet in sorted(set(applets) - {"busybox"}):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        temporary = tarfile.TarInfo("tmp")
        temporary.type, temporary.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(temporary)
        passwd = b"root:x:0:0:root:/:/bin/sh\n"
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(passwd)
        tar.addfile(entry, io.BytesIO(passwd))
    return buffer.getvalue()


def remove_containers(host: EngineHost) -> None:
    """Remove every container at once: the daemon itself would wait ten seconds for each shell to end."""
    if not host.daemon.alive:
        host.cut_power()
        host.start()
    client = host.client()
    try:
        for container in client.containers.list(all=True, ignore_removed=True):
            container.remove(force=True, v=True)
    except DockerException as error:
        print(f"the Engine of the tests could not remove its containers: {error}")
    finally:
        client.close()


def unmount_below(folder: Path) -> None:
    """Unmount what a killed daemon left below `folder`, the deepest first."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    umount = shutil.which("umount") or "/bin/umount"
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        subprocess.run([umount, "--lazy", mount], check=False)
