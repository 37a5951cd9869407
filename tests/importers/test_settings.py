"""Every setting of docker-volume-backup is carried over or told, and no secret value is ever written."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import spec
from reconciler.importers import Imported, imported
from reconciler.importers.settings import LOST, NEEDLESS, TAKEN

# What its configuration reference lists, in the order of that page, and what older versions of it listed.
DOCUMENTED = (Path(__file__).parent / "documented.txt").read_text().split()

SECRETS = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "WEBDAV_PASSWORD",
    "SSH_PASSWORD",
    "SSH_IDENTITY_PASSPHRASE",
    "GPG_PASSPHRASE",
    "GPG_PUBLIC_KEY_RING",
    "AGE_PASSPHRASE",
    "AGE_PUBLIC_KEYS",
    "AZURE_STORAGE_PRIMARY_ACCOUNT_KEY",
    "DROPBOX_REFRESH_TOKEN",
    "GOOGLE_DRIVE_CREDENTIALS_JSON",
    "NOTIFICATION_URLS",
    "EMAIL_SMTP_PASSWORD",
    "SOME_TOKEN",
    "TZ",
    "BACKUP_CRON_EXPRESSION",
    "BACKUP_EXCLUDE_REGEXP",
    "AWS_ENDPOINT_CA_CERT",
]
PLACES = {
    "AWS_S3_BUCKET_NAME": "acme-backups",
    "WEBDAV_URL": "https://cloud.example.com",
    "SSH_HOST_NAME": "nas.example.com",
}


def take(folder: Path, environment: dict[str, str], volumes: tuple[str, ...] = ()) -> Imported:
    backup = {
        "image": "offen/docker-volume-backup:v2",
        "environment": {name: value.replace("$", "$$") for name, value in environment.items()},
        "volumes": ["data:/backup/data", "/srv/copies:/archive", *volumes],
    }
    (folder / "compose.yaml").write_text(yaml.safe_dump({"services": {"backup": backup}}, allow_unicode=True))
    return imported(folder / "compose.yaml", {})


def told(found: Imported) -> str:
    return "\n".join(
        entry for title, entries in found.sections if "Secrets" not in title for entry in entries
    )


def test_every_documented_setting_has_its_place() -> None:
    families = ("AZURE_STORAGE_", "DROPBOX_", "GOOGLE_DRIVE_", "EMAIL_")
    known = {*TAKEN, *LOST, *NEEDLESS}
    assert [name for name in DOCUMENTED if name not in known and not name.startswith(families)] == []
    assert sorted(known - set(DOCUMENTED)) == ["TZ"]
    assert len(TAKEN) + len(LOST) + len(NEEDLESS) == len(known)


@pytest.mark.parametrize("name", [name for name in DOCUMENTED if name not in TAKEN])
def test_what_becomes_nothing_is_told(name: str, tmp_path: Path) -> None:
    for setting in (name, f"{name}_FILE"):
        assert f": {setting}: " in told(take(tmp_path, {setting: "anything"}))
    assert told(take(tmp_path, {name: "false"})) == ""


@pytest.mark.parametrize(
    "name", ["GPG_PASSPHRASE", "AGE_PASSPHRASE", "GPG_PUBLIC_KEY_RING", "AGE_PUBLIC_KEYS"]
)
def test_a_backup_that_was_encrypted_never_runs_unencrypted(name: str, tmp_path: Path) -> None:
    for environment in ({name: ""}, {name: "no key at all"}, {f"{name}_FILE": "/not/mounted"}):
        documents = list(yaml.safe_load_all(take(tmp_path, environment).text))
        backup = documents[-1]["spec"]
        assert backup.get("suspend") is True or backup["encryption"]


@pytest.mark.parametrize("given", ["- GPG_PASSPHRASE", "GPG_PASSPHRASE:", "GPG_PASSPHRASE: $$GPG_PASSPHRASE"])
def test_a_passphrase_that_only_their_shell_knows_is_referred_to(given: str, tmp_path: Path) -> None:
    given = given.replace("$$", "$")
    (tmp_path / "compose.yaml").write_text(
        f"services:\n  backup:\n    image: offen/docker-volume-backup:v2\n    environment:\n      {given}\n"
        "    volumes: ['data:/backup/data', '/srv/copies:/archive']\n"
    )
    found = imported(tmp_path / "compose.yaml", {})
    assert "encryption: {gpg: {passphrase: {fromEnv: GPG_PASSPHRASE}}}" in found.text
    assert told(found) == ""


def test_variables_that_are_not_set_are_told(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(
        "services:\n  backup:\n    image: offen/docker-volume-backup:v2\n    environment:\n"
        "      - NOTIFICATION_URLS\n      - AWS_S3_BUCKET_NAME=${BUCKET:-}\n      - GPG_PASSPHRASE:hunter2\n"
        "    volumes: ['data:/backup/data', '/srv/copies:/archive']\n"
    )
    found = imported(tmp_path / "compose.yaml", {})
    for name in ("NOTIFICATION_URLS", "AWS_S3_BUCKET_NAME", "an odd name"):
        assert f": {name}: its variable is not set here" in told(found)
    assert "hunter2" not in found.text + told(found)


def test_encryption_that_is_known_goes_before_what_is_not_set(tmp_path: Path) -> None:
    key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
    found = take(tmp_path, {"GPG_PASSPHRASE": "", "AGE_PUBLIC_KEYS": key})
    assert f"encryption: {{age: {{recipients: [{key}]}}}}" in found.text


def test_settings_in_a_folder_above_theirs_are_read(tmp_path: Path) -> None:
    (tmp_path / "dvb/conf.d").mkdir(parents=True)
    (tmp_path / "dvb/conf.d/one.env").write_text("GPG_PASSPHRASE=hunter2\n")
    found = take(tmp_path, {}, (f"{tmp_path}/dvb:/etc/dockervolumebackup:ro",))
    assert "encryption: {gpg: {passphrase: {fromEnv: GPG_PASSPHRASE}}}" in found.text
    volume = take(tmp_path, {}, ("conf:/etc/dockervolumebackup/conf.d",))
    assert "backup: the files of its conf.d lie in a volume: they are not read" in told(volume)


def test_what_only_docker_compose_reads_is_told(tmp_path: Path) -> None:
    (tmp_path / "compose.override.yaml").write_text("services: {}\n")
    (tmp_path / "compose.yaml").write_text(
        "services:\n  app: {image: x, volumes: ['data:/d'], profiles: [a], label_file: b, volumes_from: [c]}\n"
    )
    found = told(imported(tmp_path / "compose.yaml", {}))
    for name in ("profiles", "label_file", "volumes_from", "compose.override.yaml"):
        assert f": {name}: " in found


def test_only_one_encryption_is_taken(tmp_path: Path) -> None:
    found = take(tmp_path, {"GPG_PASSPHRASE": "one phrase", "AGE_PASSPHRASE": "other phrase"})
    assert "AGE_PASSPHRASE: only one kind of encryption at a time" in told(found)
    assert "encryption: {gpg: {passphrase: {fromEnv: GPG_PASSPHRASE}}}" in found.text


def test_settings_in_mounted_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "when").write_text("0 4 * * *\n")
    (tmp_path / "keys").write_text("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\n")
    files = {"BACKUP_CRON_EXPRESSION_FILE": "/set/when", "AGE_PUBLIC_KEYS_FILE": "/set/keys"}
    found = take(tmp_path, files, (f"{tmp_path}:/set",))
    assert 'schedule: "0 4 * * *"' in found.text
    assert "recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]" in found.text
    assert "cannot be read here" in told(take(tmp_path, {"BACKUP_CRON_EXPRESSION_FILE": "/elsewhere"}))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(SECRETS), unique=True),
    st.text(alphabet=st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\x7f"), max_size=12),
    st.sampled_from(["", "age1", "ssh-ed25519x", "-----BEGIN PGP PRIVATE KEY BLOCK-----", "0 0 * * ", "/"]),
)
def test_no_secret_value_is_written(tmp_path: Path, names: list[str], text: str, start: str) -> None:
    secret = f"{start}7c4f{''.join(char for char in text if char.isprintable())}9b2e"
    found = take(tmp_path, {**PLACES, **dict.fromkeys(names, secret)})
    assert "7c4f" not in repr(found)
    assert "9b2e" not in repr(found)
    (tmp_path / "specs.yaml").write_text(found.text)
    problems = [
        problem for problem in spec.check([tmp_path / "specs.yaml"]).problems if problem.severity == "error"
    ]
    assert problems == []


@pytest.mark.parametrize("name", ["AWS_ENDPOINT", "WEBDAV_URL", "SSH_HOST_NAME"])
def test_a_password_in_an_address_is_left_out(name: str, tmp_path: Path) -> None:
    scheme = "https://" if name == "WEBDAV_URL" else ""
    found = take(tmp_path, {**PLACES, name: f"{scheme}user:canary@host.example.com"})
    assert "canary" not in repr(found)
    assert "host.example.com" in found.text
