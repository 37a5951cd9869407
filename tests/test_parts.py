"""The real servers of the tests answer as the tests rely on."""

import base64

import boto3
import paramiko
import pytest
from botocore.exceptions import ClientError
from webdav4.fsspec import WebdavFileSystem

from tests.parts.engine import EngineHost
from tests.parts.s3 import S3Server
from tests.parts.s3_app import Call, Fault, name_call
from tests.parts.sftp import SftpServer
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
