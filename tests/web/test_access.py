"""Who may look at the page, and by which name."""

import time

import pytest

from reconciler.errors import ReconcilerError
from reconciler.web import Address, Listening, Live, serving
from tests.web.place import TOKEN, Hand, Served, a_bad_day

PAGES = ("/", "/plan", "/runs", "/status.json", "/status.svg", "/metrics", "/targets/a/b", "/nope")


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "127.1.2.3", "[::1]:8080", "[::1]"]
)
def test_names_of_this_machine_are_taken(site: Served, name: str) -> None:
    assert site.ask("/plan", headers={"Host": name}).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io", "192.168.1.4", "0.0.0.0",
        "[::ffff:1.2.3.4]", "", "127.0.0.1@evil.example", "localhost:80:80", "[::1", "127.0.0.1 evil", "\xb9\xb2\xb7.0.0.1",
    ],
)  # fmt: skip
def test_a_name_that_was_turned_to_this_machine_is_not(site: Served, name: str) -> None:
    a_bad_day(site.live)
    for path in ("/", "/status.json", "/healthz", "/style.css"):
        answer = site.ask(path, headers={"Host": name})
        assert answer.status == 421, name
        assert "localhost" in answer.text
        assert "grafana" not in answer.text


def test_a_request_without_a_host_or_with_two_is_refused(site: Served) -> None:
    assert site.raw(b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 421 ")
    both = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert site.raw(both).startswith(b"HTTP/1.1 421 ")


def test_without_the_token_nothing_is_told(closed: Served) -> None:
    a_bad_day(closed.live)
    for path in PAGES:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Cookie": "reconciler="},
        ):
            answer = closed.ask(path, headers=headers)
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="reconciler"')
            assert "grafana" not in answer.text
    assert closed.ask("/nope", "POST").status == 401


def test_with_the_token_everything_is_under_any_name(closed: Served) -> None:
    a_bad_day(closed.live)
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "backups.example.com"}
    assert b"grafana" in closed.ask("/metrics", headers=headers).body
    assert closed.ask("/nope", headers=headers).status == 404


def test_a_browser_gives_the_token_once(closed: Served) -> None:
    asked = closed.page()
    assert asked.status == 401
    assert '<form method="post" action="/login">' in asked.text
    wrong = closed.ask("/login", "POST", body=b"token=guess")
    assert (wrong.status, "That is not the token." in wrong.text) == (401, True)
    for form in (b"x", b"token", b"\xff=%ff", b"&a=" * 99, b"token=&token=" + TOKEN.encode()[:-1]):
        assert closed.ask("/login", "POST", body=form).status == 401
    assert closed.ask("/login", "POST", body=bytes(5000)).status == 413
    right = closed.ask("/login", "POST", body=f"token={TOKEN}".encode())
    assert (right.status, right.headers["Location"]) == (303, "/")
    cookie, *rest = right.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(rest)
    assert "Secure" not in rest
    assert TOKEN not in cookie
    assert closed.page("/plan", Cookie=f"other=1; {cookie}").status == 200
    assert closed.page("/plan", Cookie=f"{cookie}0").status == 401
    assert closed.page("/plan", Cookie='"; reconciler=\x01').status == 401
    tls = closed.ask("/login", "POST", {"X-Forwarded-Proto": "https"}, f"token={TOKEN}".encode())
    assert "Secure" in tls.headers["Set-Cookie"].split("; ")


def test_a_cookie_costs_little_however_it_is_made(closed: Served) -> None:
    """Four of these needed seconds, from anybody."""
    begun = time.process_time()
    for cookie in ('reconciler="' + 30_000 * "\\" + '"', 2_500 * "reconciler;", 30_000 * "=", 30_000 * ";"):
        assert closed.ask("/plan", headers={"Cookie": cookie}).status == 401
    assert time.process_time() - begun < 1.0


def test_probes_need_no_token_and_tell_no_names_without_it(closed: Served) -> None:
    a_bad_day(closed.live)
    assert closed.ask("/healthz").status == 200
    assert closed.ask("/readyz").text == "ready\n"
    assert "destination offsite" in closed.ask("/readyz", headers={"Authorization": f"Bearer {TOKEN}"}).text


def test_where_there_is_no_token_there_is_no_form(site: Served) -> None:
    assert site.ask("/login").status == 404
    assert site.ask("/login", "POST", body=b"token=").status == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "backups.example.com", ""])
def test_what_others_can_reach_needs_a_token(host: str) -> None:
    with (
        pytest.raises(ReconcilerError, match="needs a token: --listen-token-from-env"),
        serving(Listening(Address(host, 8080)), Live(Hand()), lambda: None),
    ):
        pass


@pytest.mark.parametrize(("token", "secret"), [("short", ""), ("", "short")])
def test_what_can_be_guessed_is_refused(token: str, secret: str) -> None:
    with (
        pytest.raises(ReconcilerError, match="has 5 characters and could be guessed"),
        serving(Listening(Address("127.0.0.1", 8080), token, secret), Live(Hand()), lambda: None),
    ):
        pass


def test_an_address_that_is_taken_is_told(site: Served) -> None:
    with (
        pytest.raises(
            ReconcilerError,
            match=r"cannot listen on 127\.0\.0\.1:\d+: Address already in use; choose another",
        ),
        serving(Listening(site.address), Live(Hand()), lambda: None),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9000", "127.0.0.1", 9000), (":9000", "127.0.0.1", 9000), ("9000", "127.0.0.1", 9000),
        ("0.0.0.0", "0.0.0.0", 8080), ("[::1]:80", "::1", 80), ("[::]", "::", 8080), ("backups.lan:81", "backups.lan", 81),
    ],
)  # fmt: skip
def test_addresses(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == (host, port)


@pytest.mark.parametrize(
    "text", ["", "0", "70000", "host:port", "::1", "[::1", "a b:80", "http://x", "x:", "x:-1", "[x]:80"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ReconcilerError, match="is no address to listen on"):
        Address.parse(text)
