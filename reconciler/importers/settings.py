"""The settings of one docker-volume-backup: each is taken by what makes specs of it, or told as lost with its reason.

Used by backups, places and sealing. docs/migrate-docker-volume-backup.md says what becomes of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from reconciler.errors import SpecError
from reconciler.importers.compose import text_of
from reconciler.importers.findings import Findings, shown
from reconciler.importers.project import Service
from reconciler.importers.variables import Setting

_FALSE = ("0", "f", "false")
_ELSEWHERE = "no such destination here: serve it as WebDAV, as rclone can, or copy the local one"
_NOTIFIED = (
    "write notifications into the Policy; addresses are written as apprise does: docs/notifications.md"
)

LOST: dict[str, str] = {
    "AWS_ENDPOINT_INSECURE": "certificates are always checked: give the authority's with ca_file",
    "AWS_STORAGE_CLASS": "set it with a lifecycle rule of the bucket",
    "BACKUP_FROM_SNAPSHOT": "nothing is copied aside first: stop or pause the container, or dump with a hook",
    "BACKUP_JITTER": "the schedule is kept to the minute: choose another minute",
    "BACKUP_STOP_SERVICE_TIMEOUT": "quiesce has stopTimeout and maxDowntime",
    "DOCKER_HOST": "set it where reconciler runs",
    "NOTIFICATION_LEVEL": _NOTIFIED,
    "NOTIFICATION_URLS": _NOTIFIED,
    "WEBDAV_URL_INSECURE": "certificates are always checked: give the authority's with ca_file",
}
"""Settings that no spec has a place for, and what to do instead."""

NEEDLESS: dict[str, str] = {
    "AWS_IAM_ROLE_ENDPOINT": "without key and secret the SDK finds the role's credentials itself",
    "AWS_PART_SIZE": "parts grow with the object",
    "BACKUP_FILENAME": "names are fixed, so that they can be read back",
    "BACKUP_FILENAME_EXPAND": "names are fixed",
    "BACKUP_LATEST_SYMLINK": "restore finds the newest itself",
    "BACKUP_PRUNING_LEEWAY": "artifacts are kept by count",
    "BACKUP_PRUNING_PREFIX": "files that reconciler did not make are never deleted",
    "EXEC_FORWARD_OUTPUT": "output always goes to the log",
    "GZIP_PARALLELISM": "the number of threads is chosen for the machine",
    "LOCK_TIMEOUT": "a run that finds another one ends, and the next one makes up for it",
}
"""Settings that have nothing to become."""

_FAMILIES = {
    "AZURE_STORAGE_": _ELSEWHERE,
    "DROPBOX_": _ELSEWHERE,
    "GOOGLE_DRIVE_": _ELSEWHERE,
    "EMAIL_": _NOTIFIED,
}
"""The same as LOST, by the beginnings of names."""

TAKEN = frozenset(
    {
        "AGE_PASSPHRASE",
        "AGE_PUBLIC_KEYS",
        "AWS_ACCESS_KEY_ID",
        "AWS_ENDPOINT",
        "AWS_ENDPOINT_CA_CERT",
        "AWS_ENDPOINT_PROTO",
        "AWS_S3_BUCKET_NAME",
        "AWS_S3_PATH",
        "AWS_SECRET_ACCESS_KEY",
        "BACKUP_ARCHIVE",
        "BACKUP_COMPRESSION",
        "BACKUP_CRON_EXPRESSION",
        "BACKUP_EXCLUDE_REGEXP",
        "BACKUP_RETENTION_DAYS",
        "BACKUP_RETENTION_PERIOD",
        "BACKUP_SKIP_BACKENDS_FROM_PRUNE",
        "BACKUP_SOURCES",
        "BACKUP_STOP_CONTAINER_LABEL",
        "BACKUP_STOP_DURING_BACKUP_LABEL",
        "EXEC_LABEL",
        "GPG_PASSPHRASE",
        "GPG_PUBLIC_KEY_RING",
        "SSH_HOST_NAME",
        "SSH_IDENTITY_FILE",
        "SSH_IDENTITY_PASSPHRASE",
        "SSH_PASSWORD",
        "SSH_PORT",
        "SSH_REMOTE_PATH",
        "SSH_USER",
        "TZ",
        "WEBDAV_PASSWORD",
        "WEBDAV_PATH",
        "WEBDAV_URL",
        "WEBDAV_USERNAME",
    }
)
"""Settings that become something in the specs. Each may also be given as the name of a file, with ``_FILE`` behind its name."""

_REFERRED = frozenset(
    {
        "AGE_PASSPHRASE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "GPG_PASSPHRASE",
        "SSH_IDENTITY_PASSPHRASE",
        "SSH_PASSWORD",
        "WEBDAV_PASSWORD",
    }
)
"""Secrets: a reference to the variable is all that becomes of them, so its value need not be known here."""


def is_backup(service: Service) -> bool:
    """Whether a service is a docker-volume-backup: by its image, or by settings that nothing else has."""
    names = {name.removesuffix("_FILE") for name in service.settings}
    known = {name for name in (*TAKEN, *LOST, *NEEDLESS) if name.startswith("BACKUP_")}
    return service.repository.endswith("offen/docker-volume-backup") or not known.isdisjoint(names)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration: the settings of a service, with those of one file of its ``conf.d`` before them."""

    name: str
    service: Service
    settings: Mapping[str, Setting]
    findings: Findings

    def text(self, name: str, default: str = "") -> str:
        """The value of a setting that is no secret, or of the file that it names; ``default`` where it is empty."""
        file = self.settings.get(f"{name}_FILE")
        if file is not None and name not in self.settings:
            return self._file_text(name, file) or default
        setting = self.settings.get(name)
        return (setting.value if setting else "") or default

    def secret(self, name: str) -> dict[str, str] | None:
        """A reference to a secret; None where there is none."""
        file = self.settings.get(f"{name}_FILE")
        if file is not None and name not in self.settings:
            return self._secret_file(name, file)
        setting = self.settings.get(name)
        if setting is None or not (setting.value or setting.variable):
            return None
        return self.findings.environment(name, setting, self.name)

    def path(self, name: str, default: str = "") -> str:
        """A path in their container as one of this machine; empty where it is not known. ``default`` is looked up as well."""
        inside = self.text(name, default)
        outside = self.service.on_host(inside)
        if not outside and name in self.settings:
            self.lose(
                name,
                "a path inside their container that no bind mount explains: name the file of this machine",
            )
        return outside

    def lose(self, name: str, why: str) -> None:
        """Tell that a setting is not carried over."""
        self.findings.lose(self.place(name), name, why)

    def differ(self, name: str, why: str) -> None:
        """Tell that a setting is carried over, and is not quite the same."""
        self.findings.differ(self.place(name), name, why)

    def place(self, name: str) -> str:
        """``file:line`` of a setting; of the service where it is not set."""
        setting = self.settings.get(name) or self.settings.get(f"{name}_FILE")
        return setting.place if setting else self.service.place

    def _file_text(self, name: str, file: Setting) -> str:
        host = self._source(file.value).get("fromFile")
        try:
            return text_of(Path(host)).strip() if host else self._not_read(name)
        except SpecError:
            return self._not_read(name)

    def _not_read(self, name: str) -> str:
        self.lose(f"{name}_FILE", "the file cannot be read here: write its content into the spec")
        return ""

    def _secret_file(self, name: str, file: Setting) -> dict[str, str]:
        if found := self._source(file.value):
            return found
        self.differ(
            f"{name}_FILE",
            "a path inside their container: put the secret there on this machine, or name its file",
        )
        return {"fromFile": file.value}

    def _source(self, path: str) -> dict[str, str]:
        """A reference to what lies at ``path`` in their container; empty where nothing tells."""
        if found := self.service.secrets.get(path):
            return found
        host = self.service.on_host(path)
        return {"fromFile": host} if host else {}


def tell_lost(config: Config) -> None:
    """Tell every setting that becomes nothing; one that says no to something is not worth it."""
    for name in sorted(config.settings):
        bare = name if name in TAKEN else name.removesuffix("_FILE")
        why = LOST.get(bare) or next((why for start, why in _FAMILIES.items() if bare.startswith(start)), "")
        setting = config.settings[name]
        unset = not setting.value and "$" in setting.raw
        if unset and name not in _REFERRED and bare not in NEEDLESS:
            config.findings.lose(
                setting.place,
                shown(name),
                "its variable is not set here: import where it is, or write what it stands for",
            )
            continue
        if bare in TAKEN or setting.value.lower() in ("", *_FALSE):
            continue
        if bare in NEEDLESS:
            config.findings.drop(setting.place, name, NEEDLESS[bare])
        else:
            config.findings.lose(setting.place, shown(name), why or "is no setting of docker-volume-backup")


def configs_of(
    service: Service, findings: Findings, files: Iterator[tuple[str, Mapping[str, Setting]]]
) -> list[Config]:
    """The configurations that a service runs: one for each of ``files`` (name and settings), else its own."""
    made = [
        Config(
            name=f"{service.name}-{name}",
            service=service,
            settings={**service.settings, **found},
            findings=findings,
        )
        for name, found in files
    ]
    own = Config(name=service.name, service=service, settings=service.settings, findings=findings)
    return made or [own]
