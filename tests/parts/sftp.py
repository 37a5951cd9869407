"""A real SFTP server: OpenSSH's sshd with a host key and a user key of its own."""

import getpass
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.parts.process import answers, free_port, own_folder, program, serving

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile {folder}/pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
MaxStartups 200
MaxSessions 100
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class SftpServer:
    """A running SSH server that serves SFTP."""

    host: str
    port: int
    user: str
    host_key: str
    """The host's public key, `ssh-ed25519 AAAA…`, without a host name."""
    private_key: Path
    """The user's private key file, with no passphrase."""
    root: Path
    """A folder to use (absolute, the same on both sides); give every test its own folder in it."""
    version: str
    """For the list of real parts."""
    log: Path
    """The server's log."""

    @property
    def known_hosts(self) -> str:
        """The line for a known_hosts file."""
        return f"[{self.host}]:{self.port} {self.host_key}"

    def url(self, folder: str) -> str:
        """The URL of a folder in `root`."""
        return f"sftp://{self.user}@{self.host}:{self.port}{self.root}/{folder}"


@contextmanager
def sftp_server() -> Iterator[SftpServer]:
    """Run sshd on the loopback as the present user.

    Raises:
        MissingPart: openssh-server is missing or does not start.
    """
    sshd = program("sshd", "openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd refuses to start as root without it
    with own_folder("sftp") as folder:
        for name in ("host_key", "user_key"):
            make_key(folder / name)
        root = folder / "root"
        root.mkdir()
        port = free_port()
        (folder / "config").write_text(CONFIG.format(port=port, folder=folder))
        log = folder / "log"
        with serving([sshd, "-D", "-e", "-f", str(folder / "config")], log, lambda: answers(port)):
            host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
            user = getpass.getuser()
            yield SftpServer(
                "127.0.0.1",
                port,
                user,
                host_key,
                folder / "user_key",
                root,
                f"SFTP by {openssh_version()}",
                log,
            )


def make_key(path: Path) -> None:
    """Make an Ed25519 key without a passphrase."""
    keygen = program("ssh-keygen", "openssh-client")
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", str(path)], check=True)


def openssh_version() -> str:
    """`OpenSSH_9.2p1` and the like."""
    said = subprocess.run(
        [program("ssh", "openssh-client"), "-V"], check=True, capture_output=True, text=True
    )
    return said.stderr.split(",")[0].split()[0]
