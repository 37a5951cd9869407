"""Clients that are slow, large, many or mad: the page goes on answering everybody else."""

import socket
import threading

import pytest

from reconciler.web import connections
from reconciler.web.connections import HEAD, MOST
from tests.parts.process import until
from tests.report.fleets import fleet_of
from tests.web.place import Served, a_bad_day, everything

GET = b"GET /plan HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "X"])
def test_the_page_shows_and_changes_nothing(site: Served, method: str) -> None:
    answer = site.ask("/plan", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert (
        answer.text == f"{method} is not possible here, only GET, HEAD. The page shows; it changes nothing.\n"
    )
    assert site.ask("/hooks/git", "GET").headers["Allow"] == "POST"


def test_head_is_get_without_the_body(site: Served) -> None:
    whole, head = site.ask("/plan"), site.ask("/plan", "HEAD")
    assert head.body == b""
    assert head.headers["Content-Length"] == str(len(whole.body))


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"GET / FTP/1.1\r\n\r\n", 400),
        (b"GET http://localhost/plan HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET //evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /templates/base.html HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /base.html HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (GET + b"X: " + b"a" * (HEAD + 1) + b"\r\n\r\n", 431),
        (GET + b"X: 1\r\n" * 5000 + b"\r\n", 431),
        (GET + b"X: " + b"a" * 20_000 + b"\r\n\r\n", 200),
        (GET + b"\r\n" + GET + b"\r\n", 200),
    ],
)
def test_requests_that_are_none(site: Served, request_: bytes, status: int) -> None:
    told = site.raw(request_)
    assert told.startswith(b"HTTP/1.1 %d " % status), told[:200]
    assert told.count(b"HTTP/1.1 ") == 1, "one request for each connection"
    assert b"Traceback" not in told
    assert b"root:" not in told
    assert site.ask("/plan").status == 200


def test_nothing_is_answered_to_who_asks_nothing(site: Served, capfd: pytest.CaptureFixture[str]) -> None:
    assert site.raw(b"") == b""
    site.connect().close()
    assert site.ask().status == 200
    assert capfd.readouterr() == ("", "")


def test_a_request_that_drips_in_is_cut_off(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SECONDS", 0.3)
    dripping, stop = site.connect(), threading.Event()

    def drip() -> None:
        dripping.sendall(GET)
        while not stop.wait(0.05):
            try:
                dripping.sendall(b"X: 1\r\n")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    told = everything(dripping)
    stop.set()
    thread.join()
    dripping.close()
    assert told.startswith(b"HTTP/1.1 408 ")


def test_a_crowd_that_never_asks_keeps_nobody_out(site: Served) -> None:
    a_bad_day(site.live)
    before = threading.active_count()
    crowd = [site.connect() for _ in range(3 * MOST)]
    for one in crowd:
        one.sendall(b"GET / HT")
    for _ in range(MOST):
        assert site.ask("/plan").status == 200
    until(lambda: threading.active_count() <= before + MOST + 1, "the crowd has too many threads")
    for one in crowd:
        one.close()
    until(lambda: threading.active_count() == before, "threads of clients that have gone stay")


def test_a_client_that_does_not_read_is_let_go(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SECONDS", 0.3)
    monkeypatch.setattr(connections, "DRAIN", 0.2)
    site.live.ended(fleet_of(200))
    before = threading.active_count()
    deaf = [socket.socket() for _ in range(4)]
    for one in deaf:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        one.connect(site.address)
        one.sendall(b"GET /status.svg HTTP/1.1\r\nHost: localhost\r\n\r\n")
    until(lambda: threading.active_count() == before, "they keep their threads")
    for one in deaf:
        one.close()


def test_many_at_once_all_get_the_same_page(site: Served) -> None:
    a_bad_day(site.live)
    bodies: list[bytes] = []
    threads = [threading.Thread(target=lambda: bodies.append(site.ask().body)) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bodies) == 24
    assert len(set(bodies)) == 1


def test_a_refusal_is_a_page_for_a_browser_and_a_line_for_others(site: Served) -> None:
    assert site.ask("/nope").text == "There is no such page here. The overview is at /.\n"
    page = site.page("/nope")
    assert "<h1>Not Found</h1>" in page.text
    assert "There is no such page here. The overview is at /." in page.words
