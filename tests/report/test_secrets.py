"""No secret reaches the status, whatever text it hides in."""

from pathlib import Path

import pytest

from reconciler.adapters import secrets
from reconciler.model import (
    Copy,
    Destination,
    FromEnv,
    Leftover,
    Listing,
    Note,
    Observation,
    Outcome,
    Plan,
    Probe,
    Prune,
    Recover,
    Replicate,
)
from reconciler.model.status import Status
from reconciler.naming import parse
from reconciler.report import encode, rejected, render, status, summary
from reconciler.report.text import clean, public_url
from tests.report.example import GRAFANA, NOW, PLANNED, WIKI, fleet, key
from tests.report.test_change import CREATE, Place

CANARY = 'k3y"with\\quotes|and`more<é>'
"""Has to be escaped in JSON and in Markdown: striking it out of the finished text would miss it."""


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CANARY", CANARY)
    return secrets.resolve(FromEnv(from_env="CANARY"))


def leaking(secret: str, *, tried: bool = True, planned: bool = True) -> Status:
    """A status made from texts that all hold the secret: after a run, before it, or with nothing but withheld deletions."""
    text = f"failed: password={secret}!"
    artifact = parse(key(GRAFANA, "2026-01-20"))
    assert artifact
    whole = fleet()
    specs = type(whole)(
        destinations=(
            Destination(name="local", url=f"sftp://me:{secret}@host/folder?token={secret}"),
            Destination(
                name="offsite", url=f"file:///srv/{secret}", options={"key": FromEnv(from_env="CANARY")}
            ),
        ),
        backups=whole.backups,
    )
    seen = Observation(
        listings={
            "local": Listing(
                copies=(Copy(artifact, 1, 1, text),),
                foreign=(text,),
                leftovers=(Leftover(text, GRAFANA, NOW, text, (text,)),),
            ),
            "offsite": Listing(unknown=text),
        },
        probes={GRAFANA: Probe(problem=text)},
        node="n1",
    )
    outcomes = (
        Outcome(CREATE, error=text, warnings=(text,)),
        Outcome(CREATE, failures={"local": text}),
        Outcome(Replicate(WIKI, text, ("local",), "offsite", 1, text), skipped=text),
        Outcome(Prune(WIKI, text, "local", 1, text), error=text),
        Outcome(Recover("local", text, (text,), committed=False, reason=text), error=text),
    )
    notes = tuple(
        Note("error", topic, subject, text)
        for topic in ("target", "destination", "deletions", "broken", "clock")
        for subject in ("grafana/data", text)
    )
    actions = tuple(outcome.action for outcome in reversed(outcomes)) if planned else ()
    plan = Plan(now=PLANNED, actions=actions, notes=notes)
    return status(specs, seen, plan, outcomes if tried else (), NOW, None)


def forms(secret: str) -> list[bytes]:
    """The secret as it is, and each part of it that no escaping changes."""
    return [secret.encode(), b"k3y", b"quotes", b"and`more"]


def test_no_secret_is_in_any_file_or_message(canary: str, tmp_path: Path) -> None:
    found = leaking(canary)
    texts = [encode(found), render(found).encode(), summary(found, None).encode()]
    pending, withheld = leaking(canary, tried=False), leaking(canary, tried=False, planned=False)
    assert "recover failed: password=[secret]!" in pending.condition("Converged").message
    assert withheld.condition("Converged").reason == "DeletionsWithheld"
    texts += [text for other in (pending, withheld) for text in (encode(other), render(other).encode())]
    bad = rejected(found, (f"a.yaml:1:1: {canary}",), "n1", NOW)
    texts += [encode(bad), render(bad).encode(), summary(bad, found).encode()]
    place = Place(tmp_path)
    place.tick(NOW, [Outcome(CREATE, error=f"denied for {canary}")])
    stored = [place.ledger.read(name) or b"" for name in ("STATUS.md", "status.json")]
    for text in [*texts, *stored]:
        assert not [form for form in forms(canary) if form in text]
    assert all(b"[secret]" in text for text in (texts[0], stored[1]))


def test_credentials_in_addresses_are_left_out_even_if_they_are_no_reference() -> None:
    assert public_url("sftp://me:pass@host:22/folder") == "sftp://host:22/folder"
    assert public_url("webdav://token@host/a?X-Amz-Signature=1#x") == "webdav://host/a"
    assert public_url("s3://bucket/a@b") == "s3://bucket/a@b"
    assert public_url("file:///srv/a?b#c@d") == "file:///srv/a?b#c@d"


def test_texts_are_bounded_and_can_be_encoded() -> None:
    assert len(clean("x" * 10_000)) < 2100
    assert clean("name \udcff") == "name \\udcff"
