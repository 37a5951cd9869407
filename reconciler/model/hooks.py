"""What happens around a copy: hooks, quiescing and encryption, as users write them. Shared by Policy, Backup and target."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from reconciler.durations import PATTERN, seconds
from reconciler.model.base import SecretRef, SpecModel

Phase = Literal[
    "archive-pre",
    "archive-post",
    "process-pre",
    "process-post",
    "copy-pre",
    "copy-post",
    "success",
    "failure",
    "finally",
    "prune-pre",
    "prune-post",
    "restore-pre",
    "restore-post",
]
OnError = Literal["Fail", "Continue"]
Duration = Annotated[str, Meta(pattern=PATTERN, max_length=32)]
Words = Annotated[str, Meta(pattern=r"\S")]
Argv = Annotated[tuple[str, ...], Meta(min_length=1)]
ContainerName = Annotated[str, Meta(pattern="^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")]
UserName = Annotated[str, Meta(pattern="^[a-zA-Z0-9_][a-zA-Z0-9_.:-]*$")]
EnvironmentName = Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]

DEFAULT_TIMEOUT = "5m"


class ExecHook(SpecModel, frozen=True, kw_only=True):
    """A command in a running container."""

    command: Annotated[
        Words | Argv,
        Meta(
            title="Command",
            description="A list as it stands, or text that is split into words as a shell does it. No shell runs it.",
            examples=[["redis-cli", "SAVE"], "/bin/sh -c 'sync; echo done'"],
        ),
    ]
    container: Annotated[
        ContainerName | None,
        Meta(
            title="Container",
            description="Name of the container. Default: the container of the target.",
            examples=["shop-db"],
        ),
    ] = None
    user: Annotated[
        UserName | None,
        Meta(
            title="User",
            description="User that runs it in the container, as name, uid or uid:gid. Default: the container's.",
            examples=["postgres"],
        ),
    ] = None
    env: Annotated[
        dict[EnvironmentName, str | SecretRef],
        Meta(
            title="Environment",
            description="More environment variables; secrets by reference.",
            examples=[{"LEVEL": "full", "API_SECRET": {"fromEnv": "API_SECRET"}}],
        ),
    ] = msgspec.field(default_factory=dict)
    workdir: Annotated[
        Annotated[str, Meta(pattern="^/[^\\x00]*$")] | None,
        Meta(
            title="Working directory",
            description="Absolute path in the container. Default: the container's.",
            examples=["/var/lib/app"],
        ),
    ] = None


class ScriptFile(SpecModel, frozen=True, kw_only=True):
    """A shell script in a file."""

    file: Annotated[
        str,
        Meta(
            title="File",
            description="Path of the script; a relative path starts at the folder of the file that names it.",
            pattern=r"^[^\x00]+$",
            examples=["./notify.sh"],
        ),
    ]


class HttpHook(SpecModel, frozen=True, kw_only=True):
    """A request to a web service."""

    url: Annotated[
        Annotated[str, Meta(pattern="^https?://[^\\s]+$", max_length=2048)] | SecretRef,
        Meta(
            title="URL",
            description="Where the request goes; a reference when the address itself is secret.",
            examples=["http://127.0.0.1:9090/api/v1/admin/tsdb/snapshot", {"fromEnv": "WEBHOOK_URL"}],
        ),
    ]
    method: Annotated[
        Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"],
        Meta(title="Method", description="Method of the request. Default: POST.", examples=["POST"]),
    ] = "POST"
    headers: Annotated[
        dict[Annotated[str, Meta(pattern="^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")], str | SecretRef],
        Meta(
            title="Headers",
            description="Headers of the request; secrets by reference.",
            examples=[{"Content-Type": "application/json", "Authorization": {"fromEnv": "TOKEN"}}],
        ),
    ] = msgspec.field(default_factory=dict)
    body: Annotated[
        str | None,
        Meta(
            title="Body",
            description="Body of the request; ${NAME} stands for a variable of the hook's environment.",
            examples=['{"file": "${BACKUP_FILENAME}"}'],
        ),
    ] = None
    expect: Annotated[
        tuple[Annotated[int, Meta(ge=100, le=599)], ...],
        Meta(
            title="Expected status",
            description="Status codes that mean success. Default: 200 to 299.",
            examples=[[200, 204]],
        ),
    ] = ()
    retry: Annotated[
        int,
        Meta(
            ge=0,
            le=20,
            title="Retries",
            description="How often to try again, within the timeout, when no answer or a 5xx comes. Default: 0.",
            examples=[2],
        ),
    ] = 0


class Hook(SpecModel, frozen=True, kw_only=True):
    """Something to do at one phase of a backup, a prune or a restore. Exactly one of exec, script and http."""

    phase: Annotated[
        Phase,
        Meta(
            title="Phase",
            description="When it runs; failure runs after a failed backup, finally after every one.",
            examples=["archive-pre"],
        ),
    ]
    exec: Annotated[
        ExecHook | None,
        Meta(
            title="Exec",
            description="Runs a command in a container.",
            examples=[{"container": "shop-db", "command": ["redis-cli", "SAVE"]}],
        ),
    ] = None
    script: Annotated[
        Words | ScriptFile | None,
        Meta(
            title="Script",
            description="Runs a shell script under /bin/sh on this machine: its text, or a file.",
            examples=['echo "$BACKUP_FILENAME"', {"file": "./notify.sh"}],
        ),
    ] = None
    http: Annotated[
        HttpHook | None,
        Meta(
            title="HTTP",
            description="Sends a request.",
            examples=[{"method": "POST", "url": "https://example.com/hooks/backup"}],
        ),
    ] = None
    timeout: Annotated[
        Duration,
        Meta(
            title="Timeout",
            description="After this the hook is ended, in the container too, and has failed. Default: 5m.",
            examples=["3m"],
        ),
    ] = DEFAULT_TIMEOUT
    on_error: Annotated[
        OnError | None,
        Meta(
            title="On error",
            description="Fail: what the hook belongs to fails. Continue: a warning. Default: Fail, in restore-post Continue.",
            examples=["Continue"],
        ),
    ] = None
    always: Annotated[
        bool,
        Meta(
            title="Always",
            description="Runs also when something failed before it. Default: false.",
            examples=[True],
        ),
    ] = False
    wait_for_ready: Annotated[
        bool,
        Meta(
            title="Wait for ready",
            description="Before an exec: waits until the container runs and, where it has a health check, is healthy.",
            examples=[True],
        ),
    ] = False
    wait_timeout: Annotated[
        Duration,
        Meta(title="Wait timeout", description="How long to wait for ready. Default: 5m.", examples=["5m"]),
    ] = DEFAULT_TIMEOUT

    @property
    def kind(self) -> str:
        """``exec``, ``script`` or ``http``: also the module's name in ``hooks/``."""
        return "exec" if self.exec else "http" if self.http else "script"

    @property
    def seconds(self) -> float:
        """The timeout in seconds."""
        return seconds(self.timeout)

    @property
    def fails(self) -> bool:
        """Whether its failure fails what it belongs to."""
        return (self.on_error or ("Continue" if self.phase == "restore-post" else "Fail")) == "Fail"


Hooks = Annotated[
    tuple[Hook, ...],
    Meta(
        title="Hooks",
        description="What to run around each artifact: commands in containers, scripts, requests.",
        examples=[[{"phase": "success", "script": 'echo "$BACKUP_FILENAME"', "onError": "Continue"}]],
    ),
]


class Placed(msgspec.Struct, frozen=True):
    """A hook, and where it is written: ``policy``, ``backup shop``, ``target shop/data`` or ``container shop-db``.

    ``paired``: a ``-post`` that is owed once its ``-pre`` has run well, whatever failed between them; so labels have it.
    """

    origin: str
    hook: Hook
    paired: bool = False


class LabelStop(msgspec.Struct, frozen=True):
    """A container whose label asks for it to be stopped while data is read; without ``restart`` it stays stopped."""

    container: str
    restart: bool = True


QuiesceMode = Literal["stop", "pause", "none"]


class Quiesce(SpecModel, frozen=True, kw_only=True):
    """Containers that are held while their data is read, and always come back."""

    mode: Annotated[
        QuiesceMode,
        Meta(
            title="Mode",
            description="stop: stopped and started again. pause: frozen and continued. none: left alone.",
            examples=["stop"],
        ),
    ]
    containers: Annotated[
        tuple[ContainerName, ...],
        Meta(
            title="Containers",
            description="Names of the containers. Default: those that mount what is read.",
            examples=[["shop-web", "shop-db"]],
        ),
    ] = ()
    stop_timeout: Annotated[
        Duration | None,
        Meta(
            title="Stop timeout",
            description="How long a container may take to stop before it is killed. Default: the container's own, else 10s.",
            examples=["1m"],
        ),
    ] = None
    max_downtime: Annotated[
        Duration,
        Meta(
            title="Longest downtime",
            description="After this they are started whatever happens, and the backup fails. Default: 1h.",
            examples=["30m"],
        ),
    ] = "1h"


Quiesced = Annotated[
    QuiesceMode | Quiesce | None,
    Meta(
        title="Quiesce",
        description="Whether containers are stopped or paused while their data is read: a mode, or a mode with its settings.",
        examples=["stop", {"mode": "pause", "maxDowntime": "1m"}],
    ),
]


def quiesce_of(written: QuiesceMode | Quiesce | None) -> Quiesce | None:
    """What was written, as a Quiesce; None where nothing was."""
    return Quiesce(mode=written) if isinstance(written, str) else written


class AgeEncryption(SpecModel, frozen=True, kw_only=True):
    """Encryption with age: to recipients, or with a passphrase."""

    recipients: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[^\s].*$", max_length=16384)], ...],
        Meta(
            title="Recipients",
            description="Public keys: age1…, ssh-ed25519 … or ssh-rsa …; any of their private keys opens the artifact.",
            examples=[["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]],
        ),
    ] = ()
    passphrase: Annotated[
        SecretRef | None,
        Meta(
            title="Passphrase",
            description="A passphrase instead of recipients, by reference.",
            examples=[{"fromEnv": "BACKUP_PASSPHRASE"}],
        ),
    ] = None
    identities: Annotated[
        tuple[SecretRef, ...],
        Meta(
            title="Identities",
            description="Private keys for restores on this machine, by reference; restore --identity gives one otherwise.",
            examples=[[{"fromFile": "/run/secrets/age.key"}]],
        ),
    ] = ()


class GpgEncryption(SpecModel, frozen=True, kw_only=True):
    """Encryption with OpenPGP: to recipients, or with a passphrase (AES-256)."""

    recipients: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[^\x00]+$")], ...],
        Meta(
            title="Recipients",
            description="Files with public keys; a relative path starts at the folder of the file that names it.",
            examples=[["./keys/backup.asc"]],
        ),
    ] = ()
    passphrase: Annotated[
        SecretRef | None,
        Meta(
            title="Passphrase",
            description="A passphrase instead of recipients, by reference.",
            examples=[{"fromEnv": "BACKUP_ENCRYPTION_KEY"}],
        ),
    ] = None


class Encryption(SpecModel, frozen=True, kw_only=True):
    """How artifacts are encrypted: with age or with OpenPGP."""

    age: Annotated[
        AgeEncryption | None,
        Meta(
            title="age",
            description="Encryption with age.",
            examples=[{"recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]}],
        ),
    ] = None
    gpg: Annotated[
        GpgEncryption | None,
        Meta(
            title="gpg",
            description="Encryption with OpenPGP.",
            examples=[{"passphrase": {"fromEnv": "BACKUP_ENCRYPTION_KEY"}}],
        ),
    ] = None

    @property
    def scheme(self) -> Literal["age", "gpg"]:
        """The format, which is also the last extension of the artifacts."""
        return "age" if self.age else "gpg"
