"""The page of a service that runs: a real remote, real backups, a real webhook."""

import hmac
import http.client
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Parts
from tests.parts.process import free_port, until
from tests.parts.prometheus import prometheus
from tests.service.site import Site
from tests.web.place import SECRET, TOKEN

MEGABYTE = 1_000_000


class Client(NamedTuple):
    """Asks a page for text."""

    port: int
    token: str = ""

    def get(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()


@pytest.fixture
def remote(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_push_shows_at_once_by_a_webhook(remote: Site, measured: Callable[[str], None]) -> None:
    """The interval is an hour: without the webhook nothing would happen."""
    client = Client(free_port())
    remote.env["HOOK"] = SECRET
    remote.backup("shop")
    remote.push()
    options = ("--interval", "1h", "--listen", str(client.port), "--webhook-secret-from-env", "HOOK")
    with remote.running(*options) as running:
        running.told(f"the page is at http://127.0.0.1:{client.port}/")
        until(lambda: client.get("/readyz")[0] == 200, "it does not become ready")
        assert "shop/files" in client.get("/")[1]
        assert client.get("/healthz")[0] == 200
        assert client.get("/metrics")[0] == 200
        push = b'{"ref": "refs/heads/main"}'
        signed = "sha256=" + hmac.digest(SECRET.encode(), push, "sha256").hex()
        assert client.get("/hooks/git", "POST", push, **{"X-Hub-Signature-256": "sha256=0"})[0] == 403
        assert client.get("/hooks/git", "POST", push, **{"X-Hub-Signature-256": signed})[0] == 202
        remote.backup("wiki")
        commit = remote.push()
        assert client.get("/hooks/git", "POST", push, **{"X-Hub-Signature-256": signed})[0] == 202
        until(lambda: commit[:12] in client.get("/")[1], "the push does not show")
        assert "/targets/wiki/files" in client.get("/")[1]
        assert len(remote.copies("wiki")) == 1
        log = running.log.read_text()
        assert "the specs have changed" in log
        assert "asked to look" not in log, "it looked at the repository, and no more"
        assert SECRET not in log
        measured(f"a service with its page: {running.memory() / MEGABYTE:.0f} MB at most")
        assert running.memory() < 80 * MEGABYTE


def test_a_slow_backup_is_seen_while_it_goes_on_and_ends_with_the_service(remote: Site) -> None:
    client = Client(free_port(), TOKEN)
    begun = remote.root / "begun"
    os.mkfifo(begun)
    slow = f"head -c 9000000 /dev/urandom; echo $$ >{begun}; exec sleep 300"
    remote.backup("slow", f"kind: command, extension: txt, backup: '{slow}'")
    remote.push()
    (remote.root / "token").write_text(f"{TOKEN}\n")
    where = ("--listen", f"0.0.0.0:{client.port}", "--listen-token-file", str(remote.root / "token"))
    with remote.running(*where) as running:
        begun.read_text()  # opening it waits for the command
        until(lambda: re.search(r"[1-9]\.\d MiB · ", client.get("/")[1]) is not None, "no bytes are shown")
        page = client.get("/")[1]
        assert "create <strong>slow/dump</strong>" in page
        assert client.get("/healthz")[0] == 200
        assert Client(client.port).get("/")[0] == 401
        running.child.send_signal(signal.SIGTERM)
        assert running.child.wait(30) == 0
    assert remote.copies() == []


SCRAPING = """\
global: {{scrape_interval: 200ms}}
scrape_configs:
  - job_name: {job}
    authorization: {{credentials_file: {token}}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def test_a_real_prometheus_reads_it_with_the_token(remote: Site, tmp_path: Path, parts: Parts) -> None:
    """As docs/monitoring.md has it; a Prometheus with another token is given nothing."""
    port = free_port()
    token, wrong = tmp_path / "token", tmp_path / "wrong"
    token.write_text(f"{TOKEN}\n")
    wrong.write_text("another-token-of-16\n")
    jobs = SCRAPING.format(job="reconciler", token=token, port=port)
    jobs += SCRAPING.format(job="stranger", token=wrong, port=port).split("scrape_configs:\n")[1]
    remote.backup("shop")
    remote.push()
    where = ("--listen", f"0.0.0.0:{port}", "--listen-token-file", str(token))
    with (
        remote.running(*where) as running,
        parts.running(prometheus(tmp_path / "series", settings=jobs)) as server,
    ):
        success = 'reconciler_target_last_success_timestamp_seconds{service="shop",type="files"}'
        until(lambda: bool(server.query(success)), "no series came")
        (found,) = server.query(success)
        assert found["metric"]["job"] == "reconciler"
        assert float(found["value"][1]) > 0
        until(lambda: len(server.query("up")) > 1, "not both were asked")
        up = {item["metric"]["job"]: item["value"][1] for item in server.query("up")}
        assert up == {"reconciler": "1", "stranger": "0"}
        assert TOKEN not in running.log.read_text()


def test_specs_that_cannot_be_used_are_told(remote: Site) -> None:
    """Without any in force it is not ready; a commit that is rejected afterwards stops nothing, and is told all the same."""
    client = Client(free_port())
    wrong = "apiVersion: reconciler/v1\nkind: Backup\nmetadata: {name: shop}\nspec: {nope: 1}\n"
    remote.write("shop.yaml", wrong)
    remote.push()
    with remote.running("--listen", f"localhost:{client.port}"):
        until(lambda: "shop.yaml:4" in client.get("/readyz")[1], "the file and line are not told")
        assert client.get("/readyz")[0] == 503
        assert client.get("/healthz")[0] == 200
        assert "shop.yaml:4" in client.get("/")[1]
        remote.backup("shop")
        remote.push()
        until(lambda: client.get("/readyz")[0] == 200, "it does not recover")
        remote.write("shop.yaml", wrong)
        commit = remote.push()[:12]
        until(lambda: f"ok   specs: commit {commit} cannot be used" in client.get("/readyz")[1], "not told")
        code, told = client.get("/readyz")
        assert (code, told.splitlines()[0], "shop.yaml:4" in told) == (200, "ready", True)
        assert "the newest commit cannot be used" in client.get("/")[1].lower()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--listen", "0.0.0.0:8080"], "needs a token: --listen-token-from-env NAME or --listen-token-file FILE"),
        (["--listen", "nonsense:x"], "'nonsense:x' is no address to listen on"),
        (["--listen", "8080", "--listen-token-from-env", "NOT_SET"], "the variable NOT_SET is not set"),
        (["--listen", "8080", "--webhook-secret-file", "none"], "none cannot be read"),
        (["--webhook-secret-from-env", "X"], "go with --listen"),
        (["--listen", "8080", "--once"], "there is nobody to --listen"),
    ],
)  # fmt: skip
def test_options_that_cannot_be(remote: Site, options: list[str], said: str) -> None:
    remote.backup("shop")
    remote.push()
    with remote.running(*options) as running:
        assert running.child.wait(20) != 0
        assert said in " ".join(running.log.read_text().split())
