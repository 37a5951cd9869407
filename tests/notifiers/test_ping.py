"""Pings, to a dead man's switch that is really there."""

import pytest

from reconciler.errors import ReconcilerError
from reconciler.notifiers import ping as kind
from tests.parts.mailbox import Mailbox


def test_start_success_and_failure(box: Mailbox) -> None:
    url = f"http://127.0.0.1:{box.port}/ping/uuid"
    kind.begun(url)
    kind.ended(url, well=True, log="all is well\n")
    kind.ended(url, well=False, log="wiki/data: it failed: é")
    assert [(post.path, post.body.decode()) for post in box.got] == [
        ("/ping/uuid/start", ""),
        ("/ping/uuid", "all is well\n"),
        ("/ping/uuid/fail", "wiki/data: it failed: é"),
    ]


def test_a_slash_at_the_end_and_a_query_stay_where_they_belong(box: Mailbox) -> None:
    url = f"http://127.0.0.1:{box.port}/ping/uuid/?create=1"
    kind.begun(url)
    kind.ended(url, well=True, log="")
    assert [post.path for post in box.got] == ["/ping/uuid/start?create=1", "/ping/uuid/?create=1"]


def test_of_a_long_log_the_end_is_sent_and_no_half_character(box: Mailbox) -> None:
    kind.ended(f"http://127.0.0.1:{box.port}/x", well=False, log="é" * 20_000 + "end")
    body = box.got[0].body
    assert len(body) <= kind.LONGEST
    assert body.decode().endswith("éend")


@pytest.mark.parametrize("code", [302, 404, 500])
def test_an_answer_that_is_no_success(box: Mailbox, code: int) -> None:
    box.code = code
    with pytest.raises(
        ReconcilerError, match=f"^the service did not take the ping: it answered with {code}$"
    ):
        kind.begun(f"http://127.0.0.1:{box.port}/s3cret")
    assert len(box.got) == 1


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://me:s3cret@127.0.0.1:1/s3cret", "the service cannot be reached"),
        ("http://s3cret.invalid:99999/", "the service cannot be reached"),
        ("https://", "its url is no http:// or https:// address"),
        ("ftp://s3cret/", "its url is no http:// or https:// address"),
        ("http://[s3cret/", "its url is no http:// or https:// address"),
        ("s3cret", "its url is no http:// or https:// address"),
    ],
)
def test_an_address_that_does_not_work_is_told_without_showing_it(url: str, why: str) -> None:
    with pytest.raises(ReconcilerError) as raised:
        kind.ended(url, well=True, log="")
    assert str(raised.value) == why
    assert raised.value.__cause__ is None
