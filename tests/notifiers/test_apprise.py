"""Messages, to a webhook that is really there."""

import sys

import pytest

from reconciler.errors import ReconcilerError
from reconciler.notifiers import Message
from reconciler.notifiers import apprise as kind
from tests.parts.mailbox import Mailbox
from tests.parts.post_office import post_office

MESSAGE = Message(title="Backups on n1: 1 failure", body="failure: shop/data: it is overdue", worst="failure")


def tell(url: str, message: Message = MESSAGE) -> str:
    """Why it was not told; empty where it was."""
    try:
        kind.tell(url, message)
    except ReconcilerError as error:
        return str(error)
    return ""


def test_a_message_arrives(box: Mailbox) -> None:
    assert tell(f"json://me:s3cret@127.0.0.1:{box.port}/hook") == ""
    (post,) = box.got
    assert post.path == "/hook"
    assert post.json["title"] == MESSAGE.title
    assert post.json["message"] == MESSAGE.body
    assert post.json["type"] == "failure"


@pytest.mark.parametrize(("worst", "type_"), [("recovery", "success"), ("drift", "warning")])
def test_its_type_is_that_of_the_worst(box: Mailbox, worst: str, type_: str) -> None:
    message = Message(title="t", body="b", worst=worst)  # type: ignore[arg-type]
    assert tell(f"json://127.0.0.1:{box.port}", message) == ""
    assert box.got[0].json["type"] == type_


def test_a_message_that_is_too_long_is_cut_and_not_refused_for_ever(box: Mailbox) -> None:
    message = Message(title="t", body="x" * 100_000, worst="failure")
    assert tell(f"json://127.0.0.1:{box.port}", message) == ""
    (post,) = box.got
    assert 30_000 < len(post.json["message"]) < 33_000


def test_what_the_service_answered_is_told_and_the_address_is_not(
    box: Mailbox, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    box.code = 503
    told = tell(f"json://me:s3cret@127.0.0.1:{box.port}/t0ken")
    assert told == "the service did not take the message: it answered with 503"
    shown = "".join(capfd.readouterr()) + caplog.text
    assert "s3cret" not in shown
    assert "t0ken" not in shown


def test_nobody_is_there() -> None:
    assert tell("json://me:s3cret@127.0.0.1:1/") == "the service cannot be reached"


@pytest.mark.parametrize("url", ["nothing", "http//x", "wxyz://s3cret@host", "", "mailto://"])
def test_an_address_that_is_none(url: str) -> None:
    told = tell(url)
    assert told.startswith("its url is no address that apprise knows")
    assert "s3cret" not in told


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert tell("json://127.0.0.1:1/") == (
        "it needs the Python package apprise; install it with pip install 'reconciler[notify]'"
    )


def test_a_mail_server_that_is_not_there() -> None:
    told = tell("mailto://me:s3cret@127.0.0.1:1/?to=you@example.com&from=me@example.com")
    assert told.startswith("the service")
    assert "s3cret" not in told


def test_a_mail_arrives_with_its_lines() -> None:
    message = Message(
        title="Backups on n1: 2 failures",
        body="failure: a/b: x < y\nfailure: c/d: é\n\nBackups on n1",
        worst="failure",
    )
    with post_office() as (port, mails):
        assert tell(f"mailto://127.0.0.1:{port}?from=backup@example.com&to=you@example.com", message) == ""
    (mail,) = mails
    assert mail["Subject"] == message.title
    assert "backup@example.com" in mail["From"]
    text = mail.get_body(("plain",))
    assert text is not None
    assert text.get_content().splitlines()[:4] == message.body.splitlines()
