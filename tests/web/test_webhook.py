"""``POST /hooks/git``, as forges send it and as others do."""

import hmac

import pytest

from reconciler.web.webhook import BURST, REFILL
from tests.web.place import SECRET, Served, served

PUSH = b'{"ref": "refs/heads/main"}'


def sign(body: bytes, secret: str = SECRET) -> str:
    return hmac.digest(secret.encode(), body, "sha256").hex()


FORGES = {
    "GitHub": {"X-Hub-Signature-256": f"sha256={sign(PUSH)}"},
    "Gitea": {"X-Gitea-Signature": sign(PUSH), "X-Gitea-Event": "push"},
    "GitLab": {"X-Gitlab-Token": SECRET},
}
OTHERS = {
    "unsigned": {},
    "another secret": {"X-Hub-Signature-256": f"sha256={sign(PUSH, 'x' * 20)}"},
    "another body": {"X-Hub-Signature-256": f"sha256={sign(b'')}"},
    "sha1": {"X-Hub-Signature": "sha1=0000"},
    "empty": {"X-Hub-Signature-256": ""},
    "empty GitLab": {"X-Gitlab-Token": ""},
    "not text": {"X-Gitlab-Token": "\xff\xfe"},
    "a page's token": {"Authorization": f"Bearer {SECRET}"},
}


@pytest.mark.parametrize("forge", FORGES)
def test_a_push_wakes_the_loop_and_does_nothing_else(site: Served, forge: str) -> None:
    before = site.live.seen()
    answer = site.ask("/hooks/git", "POST", {**FORGES[forge], "Host": "hooks.example.com"}, PUSH)
    assert (answer.status, answer.text) == (202, "The repository is looked at now.\n")
    assert site.woken == ["now"]
    assert site.live.seen() == before


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_not_signed_is_refused(site: Served, other: str) -> None:
    answer = site.ask("/hooks/git", "POST", OTHERS[other], PUSH)
    assert answer.status == 403
    assert SECRET not in answer.text
    assert site.woken == []


def test_the_rate_is_bounded_and_strangers_do_not_use_it_up() -> None:
    with served(secret=SECRET) as site:
        for _ in range(3 * BURST):
            assert site.ask("/hooks/git", "POST", OTHERS["unsigned"], PUSH).status == 403
        answers = [site.ask("/hooks/git", "POST", FORGES["GitHub"], PUSH) for _ in range(BURST + 3)]
        assert [answer.status for answer in answers] == [202] * BURST + [429] * 3
        assert answers[-1].headers["Retry-After"] == "60"
        assert len(site.woken) == BURST
        assert REFILL >= 1


def test_a_body_past_a_mebibyte_is_not_read(site: Served) -> None:
    large = bytes((1 << 20) + 1)
    answer = site.ask("/hooks/git", "POST", {"X-Hub-Signature-256": f"sha256={sign(large)}"}, large)
    assert (answer.status, site.woken) == (413, [])
    largest = bytes(1 << 20)
    answer = site.ask("/hooks/git", "POST", {"X-Hub-Signature-256": f"sha256={sign(largest)}"}, largest)
    assert (answer.status, site.woken) == (202, ["now"])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Content-Length: -1\r\n", 400),
        (b"Content-Length: 1\r\nContent-Length: 2\r\n", 400),
        (b"Content-Length: x\r\n", 400),
        (b"Content-Length: \xb2\r\n", 400),
        (b"Content-Length: 99999999999999999999999\r\n", 400),
        (b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n", 411),
        (b"Transfer-Encoding: chunked\r\n", 411),
        (b"", 411),
        (b"Content-Length: 9\r\n", 400),
        (b"Content-Length: 2000000\r\nExpect: 100-continue\r\n", 413),
    ],
)
def test_bodies_that_are_not_what_they_say(site: Served, headers: bytes, status: int) -> None:
    told = site.raw(b"POST /hooks/git HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n{}")
    assert told.startswith(b"HTTP/1.1 %d " % status), told
    assert told.count(b"HTTP/1.1 ") == 1
    assert site.woken == []


def test_a_client_that_waits_is_told_to_go_on(site: Served) -> None:
    with site.connect() as connection:
        head = f"POST /hooks/git HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(PUSH)}\r\nExpect: 100-continue\r\n"
        connection.sendall(f"{head}X-Gitlab-Token: {SECRET}\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(PUSH)
        assert connection.recv(1000).startswith(b"HTTP/1.1 202 ")


def test_without_a_secret_there_is_no_hook() -> None:
    with served() as site:
        answer = site.ask("/hooks/git", "POST", FORGES["GitLab"], PUSH)
        assert (answer.status, site.woken) == (404, [])
