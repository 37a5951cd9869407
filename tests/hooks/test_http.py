"""Requests."""

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from reconciler.adapters.secrets import redact
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
