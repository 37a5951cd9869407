"""Requests."""

import errno
import http.server
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from reconciler.adapters.secrets import redact
from reconciler.adapters.unanswered import reason
from reconciler.errors import ReconcilerError
from reconciler.hooks import http as kind
from reconciler.model import Hook, HttpHook, SecretRef
from tests.hooks.conftest import Caller

Request = tuple[str, str, dict[str, str], bytes]


@contextmanager
def server(*codes: int, wait: float = 0) -> Iterator[tuple[str, list[Request]]]:
    """Answers with each code in turn, the last one for ever; keeps what it got."""
    got: list[Request] = []
    left = list(codes)

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            got.append((self.command, self.path, dict(self.headers), body))
            threading.Event().wait(wait)
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            self.wfile.write(b"said by the server")

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def do_PUT(self) -> None:
            self.answer()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_port}", got
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


def hook(url: str | SecretRef, **fields: object) -> Hook:
    return Hook(phase="success", http=HttpHook(url=url, **fields))  # type: ignore[arg-type]


def test_method_headers_and_body(call: Caller, heard: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T", "bearer-of-bad-news")
    with server(200) as (url, got):
        asked = hook(
            f"{url}/x?y=1",
            method="PUT",
            headers={"Authorization": SecretRef(from_env="T")},
            body="${BACKUP_FILENAME} $5 ${NONE}",
        )
        kind.run(asked, call(BACKUP_FILENAME="f.tar"))
    ((method, path, headers, body),) = got
    assert (method, path, headers["Authorization"], body) == (
        "PUT",
        "/x?y=1",
        "bearer-of-bad-news",
        b"f.tar $5 ${NONE}",
    )
    assert heard == ["said by the server"]
    assert redact("bearer-of-bad-news") == "[secret]"


@pytest.mark.parametrize(
    ("code", "expect", "good"),
    [(204, (), True), (404, (), False), (404, (404,), True), (200, (204,), False), (302, (), False)],
)
def test_what_is_expected(call: Caller, code: int, expect: tuple[int, ...], good: bool) -> None:
    with server(code) as (url, got):
        if good:
            kind.run(hook(url, expect=expect), call())
        else:
            with pytest.raises(ReconcilerError, match=f"was answered with {code}"):
                kind.run(hook(url, expect=expect), call())
    assert len(got) == 1  # no redirection was followed


def test_it_is_tried_again_after_a_fault_of_the_server_alone(call: Caller) -> None:
    with server(503, 503, 200) as (url, got):
        kind.run(hook(url, retry=2), call())
    assert len(got) == 3
    with server(400) as (url, got), pytest.raises(ReconcilerError):
        kind.run(hook(url, retry=2), call())
    assert len(got) == 1


def test_the_timeout_holds_for_all_tries(call: Caller) -> None:
    begun = time.monotonic()
    with server(200, wait=3) as (url, _), pytest.raises(ReconcilerError, match="got no answer"):
        kind.run(hook(url, retry=5), call(timeout=1))
    assert time.monotonic() - begun < 8


def test_a_secret_address_is_not_told(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK", "http://127.0.0.1:9/hooks/very-secret-path")
    with pytest.raises(ReconcilerError) as caught:
        kind.run(hook(SecretRef(from_env="WEBHOOK")), call())
    assert "very-secret-path" not in redact(str(caught.value))
    assert "127.0.0.1" in str(caught.value)


@contextmanager
def raw_server(said: bytes, drips: int = 0) -> Iterator[str]:
    """Answers one request with ``said``, then a byte every 0.2 s, then closes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        over = threading.Event()

        def answer() -> None:
            taken, _ = listening.accept()
            with taken, suppress(OSError):
                taken.recv(1 << 16)
                taken.sendall(said)
                for _ in range(drips):
                    if over.wait(0.2):
                        return
                    taken.sendall(b"x")

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: "])
def test_an_answer_that_drips_ends_with_the_timeout(call: Caller, begin: bytes) -> None:
    begun = time.monotonic()
    with (
        raw_server(begin, drips=50) as url,
        pytest.raises(ReconcilerError, match=r"127\.0\.0\.1 got no answer: it took longer than 0\.5 s"),
    ):
        kind.run(hook(url), call(timeout=0.5))
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (b"Content-Length: 50", "it broke off before its end"),
        (b"Content-Encoding: gzip\r\nContent-Length: 3", "it is not packed as it says"),
    ],
)
def test_an_answer_that_breaks_off_is_a_failure(call: Caller, header: bytes, told: str) -> None:
    with (
        raw_server(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n\r\nabc") as url,
        pytest.raises(ReconcilerError, match=f"no answer that can be read: {told}$"),
    ):
        kind.run(hook(url), call())


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "what came is no HTTP: look at the port"),
        (b"", "the server closed the connection without a word"),
    ],
)
def test_what_is_no_answer_is_told_in_plain_words(call: Caller, said: bytes, told: str) -> None:
    with (
        raw_server(said) as url,
        pytest.raises(ReconcilerError, match=rf"^POST to 127\.0\.0\.1 got no answer: {told}$"),
    ):
        kind.run(hook(url), call())


def test_nobody_there_is_told_in_plain_words(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ReconcilerError, match="got no answer: the connection was refused: look whether"):
        kind.run(hook(f"http://127.0.0.1:{port}/"), call())
    with pytest.raises(
        ReconcilerError, match=r"POST to nowhere\.invalid got no answer: the server's name is"
    ):
        kind.run(hook("http://nowhere.invalid/"), call())
    with server(200) as (url, _), pytest.raises(ReconcilerError, match=r"does that port speak https\?$"):
        kind.run(hook(url.replace("http:", "https:")), call())


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (OSError(errno.EHOSTUNREACH, "No route to host"), "there is no route to the server: "),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "there is no route to the server's network: "),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "it took too long"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "the connection broke off"),
        (ValueError("http://127.0.0.1/very-secret is odd"), r"\[url\] is odd"),
    ],
)
def test_why_there_was_no_answer(fault: Exception, told: str) -> None:
    outer = OSError(fault)
    outer.__context__ = outer  # a circle ends
    assert re.match(told, reason(outer, "http://127.0.0.1/very-secret"))


@pytest.mark.parametrize("value", ["canary\nvalue", "canary\u20acvalue"])
def test_a_header_that_cannot_be_sent_is_not_told(call: Caller, value: str) -> None:
    with pytest.raises(ReconcilerError, match="characters that no header may have") as caught:
        kind.run(hook("http://127.0.0.1:9/", headers={"A": value}), call())
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://user:canary@[bad/", "http://user:canary@127.0.0.1:99999/", "ftp://canary@x"]
)
def test_a_wrong_address_is_said_without_its_password(call: Caller, url: str) -> None:
    with pytest.raises(ReconcilerError, match="no http:// or https:// address") as caught:
        kind.run(hook(url), call())
    assert "canary" not in str(caught.value)
