"""C. Databasement: encryption, hook scripts, S3."""

import base64
import hashlib
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs

from tests.parts.s3 import S3Server
from tests.systems.site import Site

NOTIFY = """\
#!/bin/sh
curl -fsS -X POST "$WEBHOOK" -d "name=$BACKUP_SERVER_NAME" -d "file=$BACKUP_FILENAME" -d "size=$BACKUP_FILE_SIZE"
"""
ONE_SERVER = """\
#!/bin/sh
if [ "$BACKUP_SERVER_ID" != "site" ]; then
    echo "not for $BACKUP_SERVER_ID"
    exit 0
fi
echo "for $BACKUP_SERVER_ID: $BACKUP_CHECKSUM" > "$OUT"
"""
PRINT_ALL = """\
#!/bin/sh
env | grep -E '^(BACKUP|RESTORE)_' | sort
"""


@contextmanager
def webhook() -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """A web server that keeps the forms that it gets."""
    got: list[dict[str, list[str]]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_row_c1_aes_256_under_a_dedicated_key(site: Site) -> None:
    folder = site.volume("data")
    (folder / "x").write_text("secret data " * 1000)
    before = site.tree("data")
    key = "base64:" + base64.b64encode(os.urandom(32)).decode()
    site.env["BACKUP_ENCRYPTION_KEY"] = key
    site.backup(
        "encryption: {gpg: {passphrase: {fromEnv: BACKUP_ENCRYPTION_KEY}}}\n"
        "targets: [{name: app, kind: volume, volume: data-TAG}]\n"
    )
    site.apply()
    (copy,) = site.copies()
    assert copy.suffix == ".gpg"
    home = site.root / "gpg"
    home.mkdir(mode=0o700)
    by_hand = subprocess.run(
        f"gpg --batch --homedir {home} --pinentry-mode loopback --passphrase-fd 3 -d {copy} 3<<<'{key}' | zstd -d | tar -t",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
        executable="/bin/bash",
    )
    assert "./x" in by_hand.stdout.splitlines()
    assert "AES256" in by_hand.stderr
    (folder / "x").write_text("newer")
    newer = site.tree("data")
    site.env["BACKUP_ENCRYPTION_KEY"] = "base64:" + base64.b64encode(os.urandom(32)).decode()
    wrong = site.run("restore", "app", "--overwrite", check=False)
    assert wrong.returncode == 1
    assert "BACKUP_ENCRYPTION_KEY" in wrong.stderr
    assert site.tree("data") == newer
    site.env["BACKUP_ENCRYPTION_KEY"] = key
    site.run("restore", "app", "--overwrite")
    assert site.tree("data") == before


def test_row_c2_a_script_after_every_backup_and_restore_whose_failure_is_a_warning(site: Site) -> None:
    (site.volume("data") / "x").write_text("x")
    before = site.tree("data")
    site.backup(
        "targets: [{name: app, kind: volume, volume: data-TAG}]\n"
        "hooks:\n"
        "  - {phase: success, script: 'echo streamed; exit 3', onError: Continue}\n"
        "  - {phase: restore-post, script: 'echo restored $RESTORE_SNAPSHOT_FILENAME; exit 4', onError: Continue}\n"
    )
    ran = site.apply()
    assert "streamed" in ran.stderr
    assert "3" in ran.stdout + ran.stderr
    (copy,) = site.copies()
    restored = site.run("restore", "app", "--overwrite")
    assert f"restored {copy.name}" in restored.stderr
    assert "warning" in restored.stderr
    assert site.tree("data") == before


def test_row_c3_the_three_sample_scripts_run_unchanged(site: Site) -> None:
    (site.volume("data") / "x").write_text("x" * 5000)
    before = site.tree("data")
    for name, text in (("notify.sh", NOTIFY), ("one-server.sh", ONE_SERVER), ("print.sh", PRINT_ALL)):
        site.write(f"backup.d/{name}", text)
    site.backup(
        "targets: [{name: app, kind: volume, volume: data-TAG}]\n"
        "hooks:\n"
        "  - {phase: success, script: {file: ./notify.sh}}\n"
        "  - {phase: success, script: {file: ./one-server.sh}}\n"
        "  - {phase: success, script: {file: ./print.sh}}\n"
        "  - {phase: restore-post, script: {file: ./print.sh}}\n"
    )
    site.env["OUT"] = str(site.root / "out")
    with webhook() as (url, got):
        site.env["WEBHOOK"] = url
        ran = site.apply()
    (copy,) = site.copies()
    checksum = hashlib.sha256(copy.read_bytes()).hexdigest()
    assert got == [{"name": ["app"], "file": [copy.name], "size": [str(copy.stat().st_size)]}]
    assert Path(site.env["OUT"]).read_text() == f"for site: {checksum}\n"
    for line in (
        "BACKUP_SERVER_ID=site",
        "BACKUP_SERVER_NAME=app",
        "BACKUP_DATABASE_NAME=data",
        "BACKUP_DATABASE_TYPE=volume",
        f"BACKUP_FILENAME={copy.name}",
        f"BACKUP_FILE_SIZE={copy.stat().st_size}",
        f"BACKUP_CHECKSUM={checksum}",
        "BACKUP_VOLUME_NAME=local",
    ):
        assert line in ran.stderr, line
    restored = site.run("restore", "app", "--overwrite").stderr
    for name in ("SERVER_NAME", "DATABASE_NAME", "SOURCE_DATABASE", "SNAPSHOT_FILENAME", "VOLUME_NAME"):
        assert f"RESTORE_{name}=" in restored
    assert site.tree("data") == before


def test_row_c4_four_permissions_are_enough_on_s3(site: Site, s3_server: S3Server) -> None:
    (site.volume("data") / "x").write_text("x" * 5000)
    before = site.tree("data")
    bucket = s3_server.new_bucket()
    site.write(
        "backup.d/destination.yaml",
        "apiVersion: reconciler/v1\nkind: Destination\nmetadata: {name: local}\nspec:\n"
        f"  url: s3://{bucket}/site\n  options: {{endpoint_url: '{s3_server.endpoint}', region: {s3_server.region},"
        " key: {fromEnv: S3_ID}, secret: {fromEnv: S3_SECRET}}\n",
    )
    site.env |= {"S3_ID": s3_server.limited_key, "S3_SECRET": s3_server.secret}
    site.backup("retention: {daily: 1}\ntargets: [{name: app, kind: volume, volume: data-TAG}]\n")
    for day in ("2026-01-20", "2026-01-21", "2026-01-22"):
        site.env["RECONCILER_NOW"] = f"{day}T12:00:00Z"
        site.apply()
    listed = s3_server.client().list_objects_v2(Bucket=bucket)["Contents"]
    (artifact,) = [entry["Key"] for entry in listed if entry["Key"].endswith(".zst")]
    assert "2026-01-22" in artifact  # the older ones were deleted
    (site.folder("data") / "x").write_text("y" * 5000)
    site.run("restore", "app", "--overwrite")
    assert site.tree("data") == before
