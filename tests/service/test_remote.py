"""Remotes over https and ssh, from real servers; and the addresses that are none."""

import os
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from reconciler.adapters import clone
from reconciler.adapters.remote import remote
from reconciler.adapters.secrets import redact
from reconciler.errors import GitError, SecretError
from reconciler.model import FromEnv, FromFile, Secret
from reconciler.sources import Followed
from tests.parts.githttps import TOKEN, git_https
from tests.parts.sftp import SftpServer
from tests.service.site import Site
from tests.service.test_sources import TIME, state


def follow(site: Site, url: str, token: Secret | None = None, **keys: Path) -> Followed:
    return Followed(remote(url, token, **keys), "main", "backup.d", state(site))


def follows_and_shares(site: Site, source: Followed) -> None:
    """It takes a commit, and brings its status."""
    site.backup("shop")
    commit = site.push()
    origin = source.origin()
    assert (origin.commit, origin.notes) == (commit, ())
    origin.ledger.write({"status.json": b"{}"}, "one", TIME)
    assert source.share() == ""
    assert site.git("show", "backup-status:status.json", at=site.remote) == "{}"
    site.backup("wiki")
    commit = site.push()
    assert source.look() == source.origin().commit == commit


def why(source: Followed) -> str:
    """What keeps it from asking."""
    with pytest.raises(GitError) as error:
        source.look()
    return str(error.value)


def test_https_with_a_token(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.git("config", "http.receivepack", "true", at=site.remote)
    with git_https(site.root) as server:
        url = server.url("remote.git")
        monkeypatch.setenv("FORGE", TOKEN)
        token = FromEnv(from_env="FORGE")
        assert "cannot be reached: " in why(follow(site, url, token)), "a certificate that nobody vouches for"
        assert server.asked == []
        monkeypatch.setenv("GIT_SSL_CAINFO", str(server.certificate))
        follows_and_shares(site, follow(site, url, token))
        assert redact(f"{TOKEN} {server.asked[-1]}") == "[secret] Basic [secret]"
        assert all(TOKEN.encode() not in path.read_bytes() for path in files(state(site)))

        monkeypatch.setenv("FORGE", "wrong")
        assert "cannot be reached: " in why(follow(site, url, token))
        assert "or the one that it got is wrong or has expired" in why(follow(site, url, token))
        told = why(follow(site, url))
        assert "it wants a token (--token-from-env NAME" in told, "no token, and nobody is asked for one"
        monkeypatch.delenv("FORGE")
        with pytest.raises(SecretError, match="environment variable FORGE is not set"):
            follow(site, url, token).look()

        with git_https(site.root / "data") as elsewhere:
            monkeypatch.setenv("FORGE", TOKEN)
            server.moved = elsewhere.url("")
            assert "cannot be reached: " in why(follow(site, url, token))
            assert elsewhere.asked == [], "a token goes nowhere else"


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_ssh_with_a_key_and_known_hosts(site: Site, sftp_server: SftpServer, tmp_path: Path) -> None:
    known, other = tmp_path / "known hosts", tmp_path / "other"
    known.write_text(f"{sftp_server.known_hosts}\n")
    key = sftp_server.private_key.with_suffix(".pub").read_text()
    other.write_text(f"[127.0.0.1]:{sftp_server.port} {key}")
    url = f"ssh://{sftp_server.user}@127.0.0.1:{sftp_server.port}{site.remote}"
    follows_and_shares(site, follow(site, url, ssh_key=sftp_server.private_key, known_hosts=known))
    assert "cannot be reached: Host key verification failed" in why(
        follow(site, url, ssh_key=sftp_server.private_key, known_hosts=other)
    )


def test_a_key_that_ssh_does_not_use_is_told_with_the_reason(
    site: Site, sftp_server: SftpServer, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"{sftp_server.known_hosts}\n")
    url = f"ssh://{sftp_server.user}@127.0.0.1:{sftp_server.port}{site.remote}"

    def said(key: Path) -> str:
        told = why(follow(site, url, ssh_key=key, known_hosts=known))
        assert "Permission denied (publickey)" in told
        assert "--ssh-key has to be a private key without a passphrase that nobody else may read" in told
        return told

    assert f"(no such identity: {tmp_path}/none: No such file or directory)" in said(tmp_path / "none")
    key = tmp_path / "key"
    key.write_text("no key")
    key.chmod(0o600)
    assert f'(Load key "{key}": ' in said(key)
    key.write_bytes(sftp_server.private_key.read_bytes())
    key.chmod(0o644)
    assert f"(Permissions 0644 for '{key}' are too open)" in said(key)
    key.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", key], check=True, capture_output=True)
    said(key)


def test_a_repository_of_another_user_says_what_to_do(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    told = why(follow(site, str(site.remote)))
    assert "dubious ownership" in told
    assert "git config --global --add safe.directory" in told


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://git.example.com/x.git", "the repository is given as a path"),
        ("git://git.example.com/x.git", "the repository is given as a path"),
        ("ext::sh -c touch% /x", "cannot be reached"),
        ("https://me:secret@git.example.com/x.git", "holds a password"),
        ("ssh://git@git.example.com/x.git", "--ssh-key FILE and --known-hosts FILE"),
        ("git@git.example.com:x.git", "--ssh-key FILE and --known-hosts FILE"),
        ("ssh://-oProxyCommand=x/y", "the repository is given as a path"),
        ("https://git.example.com/a\nb", "the repository is given as a path"),
        ("--upload-pack=x", "cannot be reached"),
    ],
)
def test_addresses_that_are_none(site: Site, address: str, said: str) -> None:
    with pytest.raises(GitError) as error:
        follow(site, address).look()
    assert said in str(error.value)
    assert "secret" not in str(error.value)


def test_a_token_is_for_https_alone(site: Site) -> None:
    with pytest.raises(GitError, match="a token is for https:// alone"):
        remote(str(site.remote), FromFile(from_file="/x"))


def test_a_remote_that_says_much_is_not_remembered_whole(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of ssh: 64 MiB of words for people, then the end."""
    program = site.root / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nyes | head -c 67108864 >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    source = follow(site, "ssh://git@example.com/x.git", ssh_key=program, known_hosts=program)
    tracemalloc.start()
    try:
        assert "repository ssh://git@example.com/x.git cannot be reached: " in why(source)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_remote_that_never_ends_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    program = site.root / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec yes >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(clone, "ASKING", 0.5)
    source = follow(site, "ssh://git@example.com/x.git", ssh_key=program, known_hosts=program)
    assert "git ls-remote gave no answer within 0 seconds" in why(source)
