"""Encryption in the stream: what we write the real age and gpg open, what they write we open, and nothing leaks on the way."""

import hashlib
import io
import os
import random
import signal
import string
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from reconciler.errors import CipherError, Corrupt, ReconcilerError, SourceError, WrongKey
from reconciler.model import (
    AgeEncryption,
    Compression,
    Encryption,
    GpgEncryption,
    Manifest,
    Sealed,
    SecretRef,
)
from reconciler.pipeline import age_passphrase
from reconciler.pipeline.archive import TreeSource
from reconciler.pipeline.compress import compressor
from reconciler.pipeline.decrypt import NO_KEYS, Key, Keys, decrypted, opener
from reconciler.pipeline.encrypt import Sealer, sealer
from reconciler.pipeline.keyid import key_id
from reconciler.pipeline.transfer import Transferred, transfer
from reconciler.pipeline.unpack import unpack
from tests.descent import children, descendants
from tests.faults.world import KEY, artifact
from tests.parts.keys import KeyRing, on_terminal

SECRET = "correct horse battery staple"
REFERENCE = SecretRef(from_env="BACKUP_PASSPHRASE")
PLAIN = random.Random(3).randbytes(300_000) + b"the end"
WAYS = ("age", "ed25519", "rsa", "age-passphrase", "pgp", "gpg-passphrase")


class Kept:
    """A writer that keeps what it is given."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> None:
        self.data += data

    def commit(self) -> None:
        raise AssertionError("a transfer commits nothing")

    def discard(self) -> None:
        raise AssertionError("a transfer discards nothing")


class Stored(io.BytesIO):
    """A reader of stored bytes."""


def encryption(way: str, keys: KeyRing) -> Encryption:
    """The spec of one way."""
    match way:
        case "age-passphrase":
            return Encryption(age=AgeEncryption(passphrase=REFERENCE))
        case "gpg-passphrase":
            return Encryption(gpg=GpgEncryption(passphrase=REFERENCE))
        case "pgp":
            return Encryption(gpg=GpgEncryption(recipients=(str(keys.certificate("pgp")),)))
        case _:
            return Encryption(age=AgeEncryption(recipients=(keys.public(way),)))


def made(way: str, keys: KeyRing) -> Sealer:
    found = sealer(encryption(way, keys), lambda _: SECRET)
    assert found is not None
    return found


def fitting(way: str, keys: KeyRing) -> Keys:
    """The keys that open it."""
    if way.endswith("passphrase"):
        return Keys((Key(SECRET, "BACKUP_PASSPHRASE"),))
    return Keys((Key(keys.private(way).read_text(), "a file"),))


def sealed(plain: bytes, seal: Sealer) -> bytes:
    """What a transfer without compression stores."""
    kept = Kept()
    moved = transfer([plain], compressor(Compression(codec="none")), {"a": kept}, sealer=seal)
    assert moved.sha256 == hashlib.sha256(kept.data).hexdigest()
    return bytes(kept.data)


def manifest_of(stored: bytes, plain: bytes, how: Sealed) -> Manifest:
    _, manifest = artifact(KEY, plain, "none")
    digest = hashlib.sha256(stored).hexdigest()
    return msgspec.structs.replace(manifest, sha256=digest, size=len(stored), encryption=how)


def opened(stored: bytes, plain: bytes, how: Sealed, keys: Keys) -> bytes:
    """Unpack it as a restore does."""
    chunks = unpack(Stored(stored), manifest_of(stored, plain, how), lambda _size: None, keys)
    return b"".join(chunks)


SIZES = [("age", 0), ("pgp", 0), ("age", 1), ("pgp", 1), ("age", 65536), ("pgp", 65536)]


@pytest.mark.parametrize(("way", "size"), [*SIZES, *((way, len(PLAIN)) for way in WAYS)])
def test_what_was_encrypted_comes_back(way: str, size: int, keys: KeyRing) -> None:
    seal = made(way, keys)
    stored = sealed(PLAIN[:size], seal)
    assert opened(stored, PLAIN[:size], seal.sealed, fitting(way, keys)) == PLAIN[:size]


@pytest.mark.parametrize("way", ["age", "ed25519", "rsa"])
def test_age_opens_it_by_hand(way: str, keys: KeyRing) -> None:
    stored = sealed(PLAIN, made(way, keys))
    assert keys.age("-d", "-i", str(keys.private(way)), stdin=stored) == PLAIN


def test_age_opens_it_by_hand_with_the_passphrase(keys: KeyRing, tmp_path: Path) -> None:
    (tmp_path / "sealed").write_bytes(sealed(PLAIN, made("age-passphrase", keys)))
    on_terminal(f"age -d < {tmp_path}/sealed > {tmp_path}/plain", SECRET)
    assert (tmp_path / "plain").read_bytes() == PLAIN


def test_gpg_opens_it_by_hand(keys: KeyRing) -> None:
    assert keys.gpg("-d", stdin=sealed(PLAIN, made("pgp", keys))) == PLAIN
    stored = sealed(PLAIN, made("gpg-passphrase", keys))
    assert keys.gpg("-d", stdin=stored, passphrase=SECRET) == PLAIN
    said = keys.gpg("--list-packets", "-v", stdin=stored, passphrase=SECRET).decode()
    assert "symkey enc packet: version 4, cipher 9" in said, "AES-256"
    assert "compressed packet" not in said


@pytest.mark.parametrize("way", ["age", "ed25519", "rsa"])
def test_what_age_wrote_is_opened(way: str, keys: KeyRing) -> None:
    stored = keys.age("-r", keys.public(way), stdin=PLAIN)
    how = Sealed(scheme="age", recipients=made(way, keys).sealed.recipients)
    assert opened(stored, PLAIN, how, fitting(way, keys)) == PLAIN


def test_what_age_wrote_with_a_passphrase_is_opened(keys: KeyRing, tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(PLAIN)
    on_terminal(f"age -p < {tmp_path}/plain > {tmp_path}/sealed", SECRET, times=2)
    stored = (tmp_path / "sealed").read_bytes()
    how = Sealed(scheme="age", key_id=key_id(SECRET))
    assert opened(stored, PLAIN, how, fitting("age-passphrase", keys)) == PLAIN


def test_what_gpg_wrote_is_opened(keys: KeyRing) -> None:
    stored = keys.gpg("--trust-model", "always", "-r", "pgp@example.com", "-e", stdin=PLAIN)
    assert opened(stored, PLAIN, Sealed(scheme="gpg"), fitting("pgp", keys)) == PLAIN
    stored = keys.gpg("-c", stdin=PLAIN, passphrase=SECRET)
    how = Sealed(scheme="gpg", key_id=key_id(SECRET))
    assert opened(stored, PLAIN, how, fitting("gpg-passphrase", keys)) == PLAIN


def test_any_of_several_recipients_opens_it(keys: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNUPGHOME", str(keys.gpg_home))
    names = ("age", "other-age", "ed25519", "rsa")
    many = Encryption(age=AgeEncryption(recipients=tuple(keys.public(name) for name in names)))
    seal = sealer(many, lambda _: SECRET)
    assert seal is not None
    stored = sealed(PLAIN, seal)
    for name in names:
        assert opened(stored, PLAIN, seal.sealed, fitting(name, keys)) == PLAIN
        assert keys.age("-d", "-i", str(keys.private(name)), stdin=stored) == PLAIN
    certificates = tuple(str(keys.certificate(name)) for name in ("pgp", "other-pgp"))
    seal = sealer(Encryption(gpg=GpgEncryption(recipients=certificates)), lambda _: SECRET)
    assert seal is not None
    stored = sealed(PLAIN, seal)
    for name in ("pgp", "other-pgp"):
        assert opened(stored, PLAIN, seal.sealed, fitting(name, keys)) == PLAIN
    assert opened(stored, PLAIN, seal.sealed, NO_KEYS) == PLAIN, "the user's keyring"


def test_a_manifest_names_keys_and_holds_none(keys: KeyRing) -> None:
    told = {way: made(way, keys).sealed for way in WAYS}
    assert told["age"] == Sealed(scheme="age", recipients=(keys.public("age"),))
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", keys.private("ed25519")], capture_output=True, text=True, check=True
    )
    assert told["ed25519"].recipients == (" ".join(shown.stdout.split()[1:3]),)
    assert told["pgp"] == Sealed(scheme="gpg", recipients=(keys.fingerprint("pgp"),))
    for way in ("age-passphrase", "gpg-passphrase"):
        assert told[way].key_id == key_id(SECRET)
        assert told[way].reference == "BACKUP_PASSPHRASE"
        assert SECRET not in repr(told[way])
    assert key_id(SECRET) != key_id(SECRET + " ")


@pytest.mark.parametrize("way", WAYS)
def test_a_wrong_key_opens_nothing(way: str, keys: KeyRing) -> None:
    seal = made(way, keys)
    stored = sealed(PLAIN, seal)
    others = (
        Keys((Key("another passphrase", "OTHER"),))
        if way.endswith("passphrase")
        else Keys((Key(keys.private("other-pgp" if way == "pgp" else "other-age").read_text(), "a file"),))
    )
    with pytest.raises(WrongKey):
        opened(stored, PLAIN, seal.sealed, others)


@pytest.mark.parametrize("way", ["age", "age-passphrase", "pgp", "gpg-passphrase"])
def test_what_was_changed_or_cut_anywhere_never_passes(way: str, keys: KeyRing) -> None:
    """Also where somebody has put the changed bytes' own size and sha256 into the manifest."""
    seal, fit = made(way, keys), fitting(way, keys)
    stored = sealed(PLAIN, seal)
    places = 2 if way.endswith("passphrase") else 12
    for position in range(3, len(stored), len(stored) // places):
        changed = bytearray(stored)
        changed[position] ^= 4
        for bad in (bytes(changed), stored[:position], stored[:position] + stored[position + 70_000 :]):
            with pytest.raises(ReconcilerError):
                opened(bad, PLAIN, seal.sealed, fit)
    for bad in (stored[:-1], stored + b"x", b""):
        with pytest.raises(ReconcilerError):
            opened(bad, PLAIN, seal.sealed, fit)


def test_a_stream_for_keys_that_ends_between_chunks_is_refused_in_one_line(keys: KeyRing) -> None:
    seal = made("age", keys)
    stored = sealed(PLAIN[:131072], seal)
    for bad in (stored[: -65536 - 16], stored[:-1], stored + b"x"):
        with pytest.raises(ReconcilerError) as error:
            opened(bad, PLAIN[:131072], seal.sealed, fitting("age", keys))
        assert "Traceback" not in str(error.value)


def test_a_message_that_is_not_encrypted_is_not_taken_for_one(keys: KeyRing) -> None:
    stored = keys.gpg("--store", "--compress-algo", "none", stdin=PLAIN)
    with pytest.raises(CipherError):
        opened(stored, PLAIN, Sealed(scheme="gpg", key_id=key_id(SECRET)), fitting("gpg-passphrase", keys))


def test_rotten_bytes_are_corrupt_before_all_else(keys: KeyRing) -> None:
    """The child that decrypts has its say only when the bytes are those of the manifest."""
    seal = made("age", keys)
    stored = sealed(PLAIN, seal)
    manifest = msgspec.structs.replace(manifest_of(stored, PLAIN, seal.sealed), sha256="0" * 64)
    with pytest.raises(Corrupt, match="has the sha256"):
        list(unpack(Stored(stored), manifest, lambda _size: None, fitting("age", keys)))


def test_ours_is_the_format_of_age_for_passphrases() -> None:
    import pyrage

    for size in (0, 1, 65535, 65536, 65537, 131072):
        plain, stored, back = PLAIN[:size], io.BytesIO(), io.BytesIO()
        age_passphrase.encrypt(io.BytesIO(plain), stored, SECRET.encode(), work=8)
        assert pyrage.passphrase.decrypt(stored.getvalue(), SECRET) == plain
        age_passphrase.decrypt(io.BytesIO(stored.getvalue()), back, SECRET.encode())
        assert back.getvalue() == plain


def test_a_stream_for_a_passphrase_that_was_changed_or_cut_anywhere_is_refused() -> None:
    plain, stream = PLAIN[:140_000], io.BytesIO()
    age_passphrase.encrypt(io.BytesIO(plain), stream, SECRET.encode(), work=2)
    stored = stream.getvalue()
    for position in (*range(200), *range(200, len(stored), 997), len(stored) - 1):
        changed = bytearray(stored)
        changed[position] ^= 1
        for bad in (bytes(changed), stored[:position]):
            with pytest.raises((age_passphrase.Damaged, age_passphrase.WrongPassphrase)):
                age_passphrase.decrypt(io.BytesIO(bad), io.BytesIO(), SECRET.encode())


def test_a_stream_that_is_cut_or_mended_between_chunks_is_refused() -> None:
    """Every chunk is whole here: only their numbers and the mark on the last one tell."""
    for size in (0, 65536, 131072, 196608):
        stream = io.BytesIO()
        age_passphrase.encrypt(io.BytesIO(PLAIN[:size]), stream, SECRET.encode(), work=2)
        stored = stream.getvalue()
        start = stored.index(b"\n--- ") + 5 + 43 + 1 + 16
        head, whole = stored[:start], 65536 + 16
        chunks = [stored[place : place + whole] for place in range(start, len(stored), whole)]
        wrong = [[], chunks[:-1], chunks[1:], [*chunks, chunks[-1]], [*chunks, bytes(16)], [*chunks, b"x"]]
        if len(chunks) > 1:
            wrong.append([chunks[1], chunks[0], *chunks[2:]])
        for those in wrong:
            with pytest.raises(age_passphrase.Damaged):
                age_passphrase.decrypt(io.BytesIO(head + b"".join(those)), io.BytesIO(), SECRET.encode())


@pytest.mark.parametrize(("size", "salt", "body"), [(15, 0, 0), (32, 0, 0), (16, 1, 0), (16, 0, 1)])
def test_a_header_that_age_would_refuse_is_refused(size: int, salt: int, body: int) -> None:
    """A file key of another length, and base64 whose last character has bits that mean nothing: both rightly signed."""
    file_key, nonce = bytes(size), bytes(16)
    wrapping = ChaCha20Poly1305(age_passphrase._wrapping_key(SECRET.encode(), bytes(16), 2))
    wrapped = age_passphrase._text(wrapping.encrypt(bytes(12), file_key, None))
    digits = f"{string.ascii_uppercase}{string.ascii_lowercase}{string.digits}+/".encode()
    last = digits[digits.index(wrapped[-1:]) + body :][:1]
    header = b"age-encryption.org/v1\n-> scrypt %s 2\n%s\n---" % (
        b"A" * 21 + digits[salt : salt + 1],
        wrapped[:-1] + last,
    )
    payload = ChaCha20Poly1305(age_passphrase._derived(file_key, nonce, b"payload"))
    mac = age_passphrase._text(age_passphrase._mac(file_key, header))
    stored = header + b" " + mac + b"\n" + nonce + payload.encrypt(bytes(11) + b"\1", b"data", None)
    with pytest.raises(age_passphrase.Damaged):
        age_passphrase.decrypt(io.BytesIO(stored), io.BytesIO(), SECRET.encode())


def test_a_header_that_asks_for_too_much_work_is_refused() -> None:
    stored = io.BytesIO()
    age_passphrase.encrypt(io.BytesIO(PLAIN), stored, SECRET.encode(), work=8)
    bomb = stored.getvalue().replace(b" 8\n", b" 30\n", 1)
    with pytest.raises(age_passphrase.Damaged, match="work factor 30"):
        age_passphrase.decrypt(io.BytesIO(bomb), io.BytesIO(), SECRET.encode())


# --- children that die, or are not there ---------------------------------------------------------------------------


def endless() -> Iterator[bytes]:
    while True:
        yield PLAIN


def run_until(seal: Sealer, chunks: Iterator[bytes]) -> Transferred:
    return transfer(chunks, compressor(Compression(codec="none")), {"a": Kept()}, sealer=seal)


@pytest.mark.parametrize("way", WAYS)
def test_a_child_that_is_killed_fails_the_transfer(way: str, keys: KeyRing, servers: list[int]) -> None:
    def killing() -> Iterator[bytes]:
        for number, chunk in enumerate(endless()):
            if number == 20:
                (child,) = children(os.getpid(), servers)
                os.kill(child, signal.SIGKILL)
            yield chunk

    seal = made(way, keys)
    assert seal.sealed.scheme in ("age", "gpg"), "it is waited for: what names a passphrase takes a moment"
    before = threading.active_count()
    with pytest.raises(CipherError, match=r"could not encrypt \(SIGKILL"):
        run_until(seal, killing())
    assert threading.active_count() <= before
    assert children(os.getpid(), servers) == []


@pytest.mark.parametrize("way", ["age", "gpg-passphrase"])
def test_a_source_that_breaks_ends_the_child(way: str, keys: KeyRing, servers: list[int]) -> None:
    def breaking() -> Iterator[bytes]:
        yield PLAIN
        raise SourceError("the source broke")

    with pytest.raises(SourceError, match="the source broke"):
        run_until(made(way, keys), breaking())
    assert children(os.getpid(), servers) == []
    assert homes() == []


def homes() -> list[Path]:
    """The folders that gpg works in."""
    return list(Path(os.environ["XDG_RUNTIME_DIR"]).glob("reconciler-gpg-*"))


def test_a_reader_that_stops_early_ends_the_child(keys: KeyRing, servers: list[int]) -> None:
    for way in ("age", "pgp"):
        seal = made(way, keys)
        stored = sealed(PLAIN * 20, seal)
        opening = opener(manifest_of(stored, PLAIN * 20, seal.sealed), fitting(way, keys))
        assert opening is not None
        chunks = decrypted([stored], opening)
        assert next(chunks)
        chunks.close()
        assert descendants(os.getpid(), servers) == []
    assert homes() == []


def test_the_folder_of_a_run_that_was_killed_is_removed(keys: KeyRing, tmp_path: Path) -> None:
    script = (
        "import os, signal; from pathlib import Path; from reconciler.pipeline import gpg\n"
        f"gpg.decrypt_by([Path({str(keys.private('pgp'))!r}).read_text()]); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    assert len(homes()) == 1
    made("pgp", keys)
    assert homes() == []


@pytest.mark.parametrize(
    ("way", "hint"), [("age", r"pip install 'reconciler\[age\]'"), ("pgp", "install the package gnupg")]
)
def test_what_is_missing_is_said_with_what_to_install(
    way: str, hint: str, keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = encryption(way, keys)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(CipherError, match=hint):
        sealer(spec, lambda _: SECRET)


def test_a_passphrase_of_two_lines_is_refused(keys: KeyRing) -> None:
    for way in ("age-passphrase", "gpg-passphrase"):
        with pytest.raises(CipherError, match="more than one line"):
            sealer(encryption(way, keys), lambda _: "one\ntwo")


def test_a_file_with_other_keys_than_one_public_one_is_refused(keys: KeyRing, tmp_path: Path) -> None:
    (tmp_path / "both.asc").write_bytes(keys.gpg("--armor", "--export"))
    (tmp_path / "none.asc").write_text("hello")
    for name in (tmp_path / "both.asc", keys.private("pgp"), tmp_path / "none.asc", tmp_path / "nowhere"):
        with pytest.raises(CipherError, match="public key"):
            sealer(Encryption(gpg=GpgEncryption(recipients=(str(name),))), lambda _: SECRET)


# --- what leaks, and how much it takes -----------------------------------------------------------------------------

CANARY = b"a canary that must not be seen"


@pytest.mark.parametrize("way", WAYS)
def test_no_secret_and_no_plain_text_is_seen_anywhere(
    way: str, keys: KeyRing, servers: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the data flows: arguments and environments of every child, and every file that one of them or we hold open."""
    monkeypatch.setenv("BACKUP_PASSPHRASE", SECRET)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    seal = made(way, keys)
    looked: list[bytes] = []

    def watched() -> Iterator[bytes]:
        for number in range(40):
            if number == 30:
                looked.extend(watch(tmp_path, servers))
            yield CANARY * 40_000

    run_until(seal, watched())
    assert looked
    assert [text for text in looked if SECRET.encode() in text or CANARY in text] == []


def test_tar_gets_nothing_of_our_environment(
    servers: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKUP_PASSPHRASE", SECRET)
    (tmp_path / "file").write_bytes(PLAIN * 20)
    reading = TreeSource(tmp_path)
    assert next(reading.chunks())
    (tar,) = children(os.getpid(), servers)
    seen = Path(f"/proc/{tar}/environ").read_bytes()
    reading.close()
    assert b"PATH=" in seen
    assert b"BACKUP_PASSPHRASE" not in seen


def watch(folder: Path, servers: list[int]) -> Iterator[bytes]:
    """What an onlooker sees: of each child its arguments, environment and open files; and what lies in the folders."""
    for child in descendants(os.getpid(), servers):
        proc = Path(f"/proc/{child}")
        yield (proc / "cmdline").read_bytes()
        yield (proc / "environ").read_bytes()
        for link in (proc / "fd").iterdir():
            if link.is_file():
                yield link.read_bytes()
    for place in (folder, *homes()):
        yield from (file.read_bytes() for file in place.rglob("*") if file.is_file())


MEASURE = """
import json, os, sys
from reconciler.model import AgeEncryption, Compression, Encryption, GpgEncryption, SecretRef
from reconciler.pipeline.compress import compressor
from reconciler.pipeline.encrypt import sealer
from reconciler.pipeline.transfer import transfer
from tests.descent import children
import msgspec

class Gone:
    def write(self, data): pass

def peak(pid):
    lines = open(f"/proc/{pid}/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) >> 10

def chunks():
    for number in range(256):
        if number == 255:
            print(peak("self"), max(peak(child) for child in children(os.getpid())))
        yield bytes(1 << 20)

spec = msgspec.convert(json.loads(sys.argv[1]), Encryption)
moved = transfer(
    chunks(), compressor(Compression(codec="none")), {"a": Gone()},
    sealer=sealer(spec, lambda _: "secret"),
)
assert moved.size > 256 << 20
"""


@pytest.mark.parametrize(
    ("way", "most"), [("age", 50), ("pgp", 50), ("gpg-passphrase", 50), ("age-passphrase", 200)]
)
def test_memory_is_bounded(way: str, most: int, keys: KeyRing) -> None:
    """256 MiB pass through; in MiB. scrypt takes 128 MiB for a moment."""
    spec = msgspec.json.encode(msgspec.to_builtins(encryption(way, keys))).decode()
    here = Path(__file__).parents[2]
    command = [sys.executable, "-c", MEASURE, spec]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    ours, theirs = map(int, done.stdout.split())
    assert ours <= 80
    assert theirs <= most
