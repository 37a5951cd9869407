"""Recipients of age: the real programs agree with what is judged here without them."""

import subprocess

import pytest

from reconciler.recipients import complaint, fingerprint, name, public_half
from tests.parts.keys import KeyRing


@pytest.mark.parametrize("kind", ["age", "other-age", "ed25519", "rsa"])
def test_real_keys_are_well_formed(kind: str, keys: KeyRing) -> None:
    public = keys.public(kind)
    assert complaint(public) == complaint(f"{public}\n") == ""
    assert name(f"{public}\n") == name(public)


def test_each_mistyped_letter_of_an_age_key_is_noticed(keys: KeyRing) -> None:
    public = keys.public("age")
    for position in range(4, len(public)):
        wrong = "q" if public[position] != "q" else "p"
        assert "mistyped" in complaint(public[:position] + wrong + public[position + 1 :])
        assert "cut, or mistyped" in complaint(public[:position])


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_cut_ssh_key_is_noticed(kind: str, keys: KeyRing) -> None:
    word, blob, _ = keys.public(kind).split()
    for length in (0, 1, 4, 30, len(blob) - 4, len(blob) - 1):
        assert "cut, or mistyped" in complaint(f"{word} {blob[:length]}")


def test_a_short_rsa_key_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("short") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", file], check=True)
    assert "2048 bits are the least" in complaint(file.with_suffix(".pub").read_text())


@pytest.mark.parametrize("kind", ["age", "ed25519", "rsa", "pgp"])
def test_a_private_key_is_never_quoted(kind: str, keys: KeyRing) -> None:
    private = keys.private(kind).read_text()
    for text in (private, private.splitlines()[-1] if kind == "age" else private.splitlines()[0]):
        told = complaint(text)
        assert told
        assert not any(line in told for line in private.splitlines() if len(line) > 20)


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "locked"])
def test_fingerprints_are_those_of_ssh_keygen(kind: str, keys: KeyRing) -> None:
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", keys.private(kind)], capture_output=True, text=True, check=True
    )
    public = public_half(keys.private(kind).read_text())
    assert public is not None
    assert fingerprint(public) == shown.stdout.split()[1]
    assert name(keys.public(kind)).split()[0] == shown.stdout.split()[1]


def test_no_public_half_in_other_texts(keys: KeyRing) -> None:
    assert public_half(keys.private("age").read_text()) is None
    assert public_half(keys.private("ed25519").read_text()[:120]) is None
    assert public_half("") is None
