"""The real servers of the tests answer as the tests rely on."""

import base64
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import docker
import paramiko
import pytest
import requests
from botocore.exceptions import ClientError
from docker.models.containers import Container
from webdav4.fsspec import WebdavFileSystem

from tests.parts.databases import MARIADB, POSTGRES, REDIS, SQLITE, Kind, database
from tests.parts.engine import IMAGE, EngineHost, reachable, unmount_below
from tests.parts.process import until
from tests.parts.s3 import S3Server
from tests.parts.s3_app import Call, Fault, name_call
from tests.parts.sftp import SftpServer
from tests.parts.swarm import UNTIL_TOLD, running, service, wait_running
from tests.parts.webdav import WebdavServer


def test_engine_runs_a_container_with_a_volume(engine_host: EngineHost) -> None:
    client = engine_host.client()
    try:
        volumes = {"parts-volume": {"bind": "/data", "mode": "rw"}}
        said = client.containers.run(
            engine_host.image, ["sh", "-c", "echo kept > /data/x; cat /data/x"], volumes=volumes, remove=True
        )
    finally:
        client.close()
    assert said == b"kept\n"


def test_a_killed_engine_starts_again_with_its_volumes(own_engine: EngineHost) -> None:
    client = own_engine.client()
    try:
        once = keeper(client, "once")
        always = keeper(client, "always", restart_policy={"Name": "always"})
        own_engine.restart()
        assert status(once) == "exited"
        until(lambda: status(always) == "running", "not started by its policy")
        own_engine.cut_power()
        assert not reachable(own_engine.url)
        own_engine.start()
        once.start()
        until(lambda: once.exec_run(["cat", "/data/x"]).output == b"kept\n", "not kept")
    finally:
        client.close()


def keeper(client: docker.DockerClient, volume: str, **options: Any) -> Container:
    """A container that writes to its volume and runs until it is told to stop."""
    command = ["sh", "-c", f"echo kept > /data/x; {UNTIL_TOLD}"]
    volumes = {volume: {"bind": "/data", "mode": "rw"}}
    return client.containers.run(IMAGE, command, volumes=volumes, network_mode="none", detach=True, **options)


def status(container: Container) -> str:
    """Its state now."""
    container.reload()
    return container.status


def test_a_frozen_engine_does_not_answer_and_then_does(own_engine: EngineHost) -> None:
    client = docker.APIClient(base_url=own_engine.url, version="1.41", timeout=1)
    try:
        with own_engine.frozen(), pytest.raises(requests.exceptions.ReadTimeout):
            client.ping()
        assert client.ping()
    finally:
        client.close()


LEFT_ALONE = """
from tests.parts.engine import engine_host
from tests.parts.swarm import UNTIL_TOLD
with engine_host() as engine:
    command = ["sh", "-c", UNTIL_TOLD]
    engine.client().containers.run(engine.image, command, network_mode="none", detach=True)
    print(engine.log.parent, flush=True)
    input()
"""


def test_an_engine_ends_with_its_containers_when_the_tests_are_killed(engine_host: EngineHost) -> None:
    alone = [sys.executable, "-c", LEFT_ALONE]
    with subprocess.Popen(
        alone, cwd=Path(__file__).parent.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        folder = Path(tests.stdout.readline().strip())
        assert "containerd-shim" in commands_with(folder)
        tests.kill()
    until(lambda: commands_with(folder) == "", "something still runs")
    unmount_below(folder)
    shutil.rmtree(folder)


def commands_with(folder: Path) -> str:
    """The commands of all processes that have a folder's path in theirs."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(process.read_text().replace("\0", " "))
    return "\n".join(command for command in found if str(folder) in command)


def test_swarm_runs_services_and_scales_them(swarm_host: EngineHost) -> None:
    client = swarm_host.client()
    try:
        with (
            service(swarm_host, "web", "web-data", replicas=2) as web,
            service(swarm_host, "each", "each-data", replicas=None) as each,
        ):
            (name,) = running(client, each)
            mounts = client.containers.get(name).attrs["Mounts"]
            assert [(mount["Name"], mount["Destination"]) for mount in mounts] == [("each-data", "/data")]
            web.scale(0)
            wait_running(client, web, 0)
            web.reload()
            web.scale(2)
            wait_running(client, web, 2)
    finally:
        client.close()
    assert "docker_gwbridge" not in Path("/proc/net/dev").read_text()


def test_s3_counts_per_bucket(s3_server: S3Server) -> None:
    bucket, other = s3_server.new_bucket(), s3_server.new_bucket()
    s3_server.client().put_object(Bucket=bucket, Key="a b[1]*?", Body=b"x")
    s3_server.client().list_objects_v2(Bucket=bucket)
    assert s3_server.counts(bucket) == {"CreateBucket": 1, "PutObject": 1, "ListObjectsV2": 1}
    assert s3_server.calls(bucket)[1] == Call("PutObject", bucket, "a b[1]*?")
    assert s3_server.counts(other) == {"CreateBucket": 1}


def test_s3_shows_uploads_left_open(s3_server: S3Server) -> None:
    bucket, client = s3_server.new_bucket(), s3_server.client()
    upload = client.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    assert s3_server.open_uploads(bucket) == ["big"]
    client.abort_multipart_upload(Bucket=bucket, Key="big", UploadId=upload)
    assert s3_server.open_uploads(bucket) == []


def test_s3_fails_on_demand(s3_server: S3Server) -> None:
    bucket, client = s3_server.new_bucket(), s3_server.client()
    s3_server.fail(Fault("PutObject", bucket, status=403, code="AccessDenied"))
    with pytest.raises(ClientError, match="AccessDenied"):
        client.put_object(Bucket=bucket, Key="k", Body=b"x" * 100_000)
    client.put_object(Bucket=bucket, Key="k", Body=b"x")


def test_s3_knows_its_keys(s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    for key, refusal in ((s3_server.limited_key, "AccessDenied"), ("WRONG", "InvalidAccessKeyId")):
        client = boto3.client(
            "s3",
            endpoint_url=s3_server.endpoint,
            region_name=s3_server.region,
            aws_access_key_id=key,
            aws_secret_access_key=s3_server.secret,
        )
        with pytest.raises(ClientError, match=refusal):
            client.list_multipart_uploads(Bucket=bucket)


@pytest.mark.parametrize(
    ("method", "query", "operation"),
    [
        ("POST", "uploads=", "CreateMultipartUpload"),
        ("PUT", "partNumber=1&uploadId=u", "UploadPart"),
        ("DELETE", "uploadId=u", "AbortMultipartUpload"),
        ("HEAD", "", "HeadObject"),
        ("GET", "tagging", "GetObjectTagging"),
    ],
)
def test_s3_names_requests(method: str, query: str, operation: str) -> None:
    assert name_call(method, "/bucket/folder/key%20x", query) == Call(operation, "bucket", "folder/key x")


def test_rclone_s3_keeps_plain_files(rclone_s3: S3Server) -> None:
    bucket = rclone_s3.new_bucket()
    rclone_s3.client().put_object(Bucket=bucket, Key="folder/key", Body=b"content")
    assert rclone_s3.folder is not None
    assert (rclone_s3.folder / bucket / "folder" / "key").read_bytes() == b"content"


def test_sftp_lets_the_user_in_with_a_pinned_host_key(sftp_server: SftpServer) -> None:
    kind, key = sftp_server.host_key.split()
    with paramiko.SSHClient() as client:
        pinned = paramiko.Ed25519Key(data=base64.b64decode(key))
        client.get_host_keys().add(f"[{sftp_server.host}]:{sftp_server.port}", kind, pinned)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.connect(
            sftp_server.host,
            sftp_server.port,
            sftp_server.user,
            key_filename=str(sftp_server.private_key),
            look_for_keys=False,
            allow_agent=False,
        )
        with client.open_sftp() as sftp, sftp.open(f"{sftp_server.root}/x", "w") as file:
            file.write("kept")
    assert (sftp_server.root / "x").read_text() == "kept"


def test_webdav_wants_the_password(webdav_server: WebdavServer) -> None:
    good = WebdavFileSystem(webdav_server.url, auth=(webdav_server.user, webdav_server.password))
    good.pipe_file("x", b"kept")
    assert (webdav_server.root / "x").read_bytes() == b"kept"
    with pytest.raises(Exception, match="401"):
        WebdavFileSystem(webdav_server.url, auth=(webdav_server.user, "wrong")).find("/")


TABLE = "CREATE TABLE stock (item VARCHAR(20) PRIMARY KEY, pieces INT); INSERT INTO stock VALUES ('café', 7);"
FILL = {
    POSTGRES: TABLE,
    MARIADB: TABLE,
    SQLITE: TABLE,
    REDIS: "SET café 7\nRPUSH last tea coffee\nHSET tea pieces 2",
}


@pytest.mark.parametrize("kind", [POSTGRES, MARIADB, SQLITE], ids=lambda kind: kind.name)
def test_a_row_written_dumped_and_dropped_is_read_back(
    kind: Kind, engine_host: EngineHost, database_image: str
) -> None:
    with database(kind, engine_host, f"row-{kind.name}", f"row-{kind.name}") as shop:
        shop.sql(FILL[kind])
        dump = shop.dump()
        assert "café" in dump
        shop.sql("DROP TABLE stock;")
        assert shop.dump() != dump
        shop.sql(dump)
        assert shop.dump() == dump
        assert shop.sql("SELECT item, pieces FROM stock").replace("|", "\t") == "café\t7"


@pytest.mark.parametrize("kind", FILL, ids=lambda kind: kind.name)
def test_a_database_lives_through_stop_and_kill_and_starts_on_a_copy_of_its_volume(
    kind: Kind, engine_host: EngineHost, database_image: str
) -> None:
    name, copy = f"lives-{kind.name}", f"lives-{kind.name}-copy"
    with database(kind, engine_host, name, name) as shop:
        shop.sql(FILL[kind])
        dump = shop.dump()
        shop.kill()
        shop.start()
        assert shop.dump() == dump
        shop.stop()
        with shop.container() as stopped:
            assert stopped.attrs["State"]["ExitCode"] == 0
        copy_volume(engine_host, name, copy)
        shop.start()
        with database(kind, engine_host, copy, copy) as restored:
            assert restored.dump() == shop.dump() == dump


def copy_volume(engine_host: EngineHost, old: str, new: str) -> None:
    """Copy all files with their owners and modes."""
    client = engine_host.client()
    try:
        volumes = {old: {"bind": "/old", "mode": "ro"}, new: {"bind": "/new", "mode": "rw"}}
        client.containers.run(
            engine_host.image,
            ["cp", "-a", "/old/.", "/new"],
            volumes=volumes,
            network_mode="none",
            remove=True,
        )
    finally:
        client.close()


def test_a_database_honours_its_environment_and_is_healthy(
    engine_host: EngineHost, database_image: str
) -> None:
    names = {"POSTGRES_USER": "ann", "POSTGRES_PASSWORD": "p'w", "POSTGRES_DB": "own db"}
    with database(POSTGRES, engine_host, "env-postgres", "env-postgres", environment=names) as postgres:
        assert postgres.sql("SELECT current_user, current_database()") == "ann|own db"
        with postgres.container() as running:
            until(lambda: health(running) == "healthy", "not healthy")
    password = {"MYSQL_ROOT_PASSWORD": "a\\b'c\"d"}
    with database(MARIADB, engine_host, "env-mariadb", "env-mariadb", environment=password) as mariadb:
        assert mariadb.sql("SELECT current_user()") == "root@localhost"
        with pytest.raises(AssertionError, match="Access denied"):
            mariadb.run(["mysql", "-uroot", "-pwrong", "-e", "SELECT 1"])


def health(container: Container) -> str:
    """What the health check of a container says."""
    container.reload()
    return str(container.attrs["State"]["Health"]["Status"])
