"""Encrypted backups from end to end: apply, list, restore, and by hand with the line that the manifest holds."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.place import NEXT_DAY, PROGRAM, Place
from tests.descent import children, descendants, is_dead
from tests.parts.keys import KeyRing, on_terminal
from tests.parts.process import until
from tests.trees import differences, snapshot

PASSPHRASE = "base64:kJ3Zp0l5Q0R3b2V0aGlzaXNhMzJieXRla2V5IQAAAAA="
"""As some programs write keys: the passphrase is the value as it stands."""
OTHER = "base64:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
WAYS = ("age", "ed25519", "age-passphrase", "pgp", "gpg-passphrase")


def block(way: str, keys: KeyRing) -> str:
    """The `encryption` of a spec."""
    match way:
        case "age-passphrase" | "gpg-passphrase":
            return f"{{{way[:3]}: {{passphrase: {{fromEnv: BACKUP_ENCRYPTION_KEY}}}}}}"
        case "pgp":
            return f"{{gpg: {{recipients: [{keys.certificate('pgp')}]}}}}"
        case _:
            return f'{{age: {{recipients: ["{keys.public(way)}"]}}}}'


def encrypt(place: Place, encryption: str) -> None:
    """Write it into the specs of the place."""
    backup = (place.root / "backup.d/shop.yaml").read_text()
    head, _, tail = backup.partition("spec:\n")
    kept = [line for line in tail.splitlines() if not line.startswith("  encryption:")]
    place.write(
        "backup.d/shop.yaml", "\n".join([f"{head}spec:", f"  encryption: {encryption}", *kept]) + "\n"
    )


@pytest.fixture
def sealed(place: Place, keys: KeyRing, request: pytest.FixtureRequest) -> Place:
    """The place after an apply with encryption; its environment has the passphrase and the keyring."""
    way = getattr(request, "param", "age")
    place.env = {"BACKUP_ENCRYPTION_KEY": PASSPHRASE, "GNUPGHOME": str(keys.gpg_home)}
    encrypt(place, block(way, keys))
    ran = place.run("apply")
    assert (ran.code, ran.err) == (0, "")
    return place


def identities(way: str, keys: KeyRing) -> list[str]:
    """The options that give the key; the specs have the passphrases, and gpg its keyring."""
    return ["--identity", str(keys.private(way))] if way in ("age", "ed25519") else []


def with_ways(*ways: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("sealed", "way"), [(way, way) for way in ways], indirect=["sealed"], ids=ways
    )


@with_ways(*WAYS)
def test_apply_list_and_restore(sealed: Place, way: str, keys: KeyRing) -> None:
    scheme = "gpg" if way in ("pgp", "gpg-passphrase") else "age"
    files = [*sealed.copies("local"), *sealed.copies("offsite")]
    assert len(files) == 6
    assert {file.suffix for file in files} == {f".{scheme}"}
    assert not any(b"a photo" in file.read_bytes() or b"ustar" in file.read_bytes() for file in files)

    listed = sealed.run("list", "--output", "json").json["copies"]
    names = [(row["encryption"]["scheme"], row["encryption"]["recipients"]) for row in listed]
    wanted = {"age": keys.public("age"), "pgp": keys.fingerprint("pgp")}
    if way in wanted:
        assert names == [(scheme, [wanted[way]])] * 6
    if way.endswith("passphrase"):
        assert {row["encryption"]["reference"] for row in listed} == {"BACKUP_ENCRYPTION_KEY"}
        assert len({row["encryption"]["keyId"] for row in listed}) == 1
    assert " KEY " in sealed.run("list").out

    ran = sealed.run("restore", "shop/uploads", "--to", "path:there", *identities(way, keys))
    assert (ran.code, ran.err) == (0, "")
    assert differences(snapshot(sealed.root / "uploads"), snapshot(sealed.root / "there")) == []
    assert sealed.run("plan").code == 0


@with_ways(*WAYS)
def test_by_hand(sealed: Place, way: str, keys: KeyRing) -> None:
    """The line of the manifest, with what it asks for: the key's file, or a passphrase on the terminal."""
    uploads = sealed.root / "uploads"
    before = snapshot(uploads)
    shutil.rmtree(uploads)
    uploads.mkdir()
    (manifest,) = (sealed.root / "copies/local").glob("*/shop_uploads*.json")
    line = json.loads(manifest.read_text())["restore"]
    steps = {"age": "age -d -i KEY <", "ed25519": "age -d -i KEY <", "age-passphrase": "age -d <"}
    assert line.startswith(steps.get(way, "gpg -d <"))
    line = f"cd {manifest.parent}; {line.replace('KEY', str(keys.private(way)))}"
    if way == "age-passphrase":
        on_terminal(line, PASSPHRASE)
    else:
        quiet = (
            f"gpg --homedir {keys.gpg_home} --batch --pinentry-mode loopback --passphrase '{PASSPHRASE}' -d"
        )
        line = line.replace("gpg -d", quiet)
        subprocess.run(["bash", "-o", "pipefail", "-c", line], check=True, capture_output=True)
    assert differences(before, snapshot(uploads)) == []


@pytest.mark.parametrize("sealed", ["pgp"], indirect=True)
def test_a_private_key_of_openpgp_in_a_file(sealed: Place, keys: KeyRing, servers: list[int]) -> None:
    del sealed.env["GNUPGHOME"]
    sealed.env["HOME"] = str(sealed.root)
    ran = sealed.run("restore", "wiki", "--to", "path:there", "--identity", str(keys.private("pgp")))
    assert (ran.code, ran.err) == (0, "")
    assert differences(snapshot(sealed.root / "wiki"), snapshot(sealed.root / "there")) == []
    assert not (sealed.root / ".gnupg").exists()
    assert children(os.getpid(), servers) == []


def test_identities_of_the_specs(sealed: Place, keys: KeyRing) -> None:
    age = f"{{recipients: [{keys.public('age')}], identities: [{{fromFile: {keys.private('age')}}}]}}"
    encrypt(sealed, f"{{age: {age}}}")
    assert sealed.run("restore", "wiki", "--to", "path:there").code == 0
    assert differences(snapshot(sealed.root / "wiki"), snapshot(sealed.root / "there")) == []


@pytest.fixture
def old(sealed: Place) -> Iterator[dict[bytes, Any]]:
    """What is there before a restore that must not touch it, nor what lies beside it."""
    place = sealed.root / "wiki"
    (place / "home.txt").write_text("changed since\n")
    before, beside = snapshot(place), sorted(path.name for path in sealed.root.iterdir())
    yield before
    assert differences(before, snapshot(place)) == []
    assert sorted(path.name for path in sealed.root.iterdir()) == beside


def refused(place: Place, *arguments: str) -> str:
    """The error of a restore over the old data."""
    ran = place.run("restore", "wiki", "--overwrite", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert "Nothing was touched" in ran.err
    return ran.err


@pytest.mark.usefixtures("old")
def test_a_missing_key(sealed: Place, keys: KeyRing) -> None:
    assert f"needs {keys.public('age')}; at hand: none; give it with --identity FILE" in refused(sealed)


@pytest.mark.usefixtures("old")
def test_a_wrong_key(sealed: Place, keys: KeyRing) -> None:
    file = keys.private("other-age")
    said = refused(sealed, "--identity", str(file))
    assert f"needs {keys.public('age')}; at hand: {keys.public('other-age')} ({file})" in said
    file = keys.private("other-ed25519")
    assert "at hand: SHA256:" in refused(sealed, "--identity", str(file))


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("sealed", ["age-passphrase", "gpg-passphrase"], indirect=True)
def test_a_passphrase_that_has_changed(sealed: Place) -> None:
    (key_id,) = {row["encryption"]["keyId"] for row in sealed.run("list", "--output", "json").json["copies"]}
    sealed.env["BACKUP_ENCRYPTION_KEY"] = OTHER
    said = refused(sealed)
    assert f"needs the passphrase {key_id}, which BACKUP_ENCRYPTION_KEY held when it was made" in said
    assert "at hand: BACKUP_ENCRYPTION_KEY holds " in said
    assert OTHER not in said
    assert PASSPHRASE not in said
    del sealed.env["BACKUP_ENCRYPTION_KEY"]
    assert "BACKUP_ENCRYPTION_KEY is not set" in refused(sealed)


@pytest.mark.parametrize("sealed", ["age-passphrase", "gpg-passphrase"], indirect=True)
def test_an_old_passphrase_in_a_file(sealed: Place) -> None:
    sealed.env["BACKUP_ENCRYPTION_KEY"] = OTHER
    file = sealed.write("old-passphrase", PASSPHRASE + "\n")
    ran = sealed.run("restore", "wiki", "--to", "path:there", "--identity", str(file))
    assert (ran.code, ran.err) == (0, "")
    assert differences(snapshot(sealed.root / "wiki"), snapshot(sealed.root / "there")) == []


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("sealed", ["pgp"], indirect=True)
def test_a_keyring_without_the_key(sealed: Place, keys: KeyRing) -> None:
    empty = sealed.root / "copies/gpg"
    empty.mkdir(mode=0o700)
    sealed.env["GNUPGHOME"] = str(empty)
    said = refused(sealed)
    assert f"needs {keys.fingerprint('pgp')}; at hand: the keyring of gpg" in said
    assert "at hand: the key in " in refused(sealed, "--identity", str(keys.private("other-pgp")))


@pytest.mark.usefixtures("old")
def test_files_that_hold_no_key(sealed: Place, keys: KeyRing) -> None:
    def error(file: Path) -> str:
        ran = sealed.run("restore", "wiki", "--overwrite", "--identity", str(file))
        assert ran.code == 1
        return ran.err

    copies = sealed.root / "copies"
    (copies / "text").write_text("two\nlines")
    assert "neither a private key" in error(copies / "text")
    assert "cannot be read" in error(copies / "nowhere")
    (copies / "cut").write_text(keys.private("age").read_text()[:-20])
    assert "cut, or mistyped" in error(copies / "cut")
    (copies / "sealed").write_bytes(keys.age("-a", "-r", keys.public("age"), stdin=b"key"))
    assert "is itself encrypted" in error(copies / "sealed")
    assert f"needs {keys.public('age')}" in error(keys.private("locked"))


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("sealed", ["ed25519"], indirect=True)
def test_an_ssh_key_with_a_passphrase_is_named(sealed: Place, keys: KeyRing) -> None:
    locked = sealed.root / "copies/locked"
    shutil.copy(keys.private("ed25519"), locked)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", locked], check=True)
    ran = sealed.run("restore", "wiki", "--overwrite", "--identity", str(locked))
    assert ran.code == 1
    assert "ssh-keygen -p -f COPY" in ran.err


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("sealed", ["age", "gpg-passphrase"], indirect=True)
def test_damage_at_every_copy_is_refused_and_harms_nothing(sealed: Place, keys: KeyRing) -> None:
    """Flips at many places: in the header, where the key is tried, and far behind it."""
    files = [path for name in ("local", "offsite") for path in sealed.copies(name, "wiki*")]
    whole = files[0].read_bytes()
    for position in range(5, len(whole), max(1, len(whole) // 15)):
        changed = bytearray(whole)
        changed[position] ^= 2
        for file in files:
            file.write_bytes(changed)
        ran = sealed.run("restore", "wiki", "--overwrite", *identities("age", keys)[:2])
        assert (ran.code, ran.out) == (1, ""), position
    for file in files:
        file.write_bytes(whole)


def test_a_damaged_copy_is_passed_over(sealed: Place, keys: KeyRing) -> None:
    (file,) = sealed.copies("local", "wiki*")
    whole = file.read_bytes()
    for position in (30, 60, len(whole) // 2, len(whole) - 2):
        changed = bytearray(whole)
        changed[position] ^= 2
        file.write_bytes(changed)
        ran = sealed.run("restore", "wiki", "--to", "path:there", "--overwrite", *identities("age", keys))
        assert ran.code == 0, ran.err
        assert "from offsite" in ran.out
        assert differences(snapshot(sealed.root / "wiki"), snapshot(sealed.root / "there")) == []


def test_what_cannot_be_encrypted_is_not_stored_at_all(place: Place, keys: KeyRing) -> None:
    """No gpg, no passphrase, no key file: each artifact fails with what to do, and nothing lies anywhere."""
    tools = place.root / "bin"
    tools.mkdir()
    for name in ("tar", "git"):
        (tools / name).symlink_to(str(shutil.which(name)))
    place.env = {"PATH": str(tools)}
    encrypt(place, block("pgp", keys))
    assert "install the package gnupg" in nothing_stored(place)
    place.env = {}
    encrypt(place, block("gpg-passphrase", keys))
    assert "BACKUP_ENCRYPTION_KEY is not set" in nothing_stored(place)
    encrypt(place, "{gpg: {recipients: [/nowhere/key.asc]}}")
    assert "/nowhere/key.asc holds no OpenPGP public key" in nothing_stored(place)


def nothing_stored(place: Place) -> str:
    ran = place.run("apply")
    assert ran.code == 1
    assert (place.copies("local"), place.copies("offsite")) == ([], [])
    return ran.err


def test_copies_are_made_again_as_they_are(sealed: Place, keys: KeyRing) -> None:
    """Healing needs no key, and gives the same bytes."""
    files = sealed.copies("offsite")
    whole = {file: file.read_bytes() for file in files}
    for file in files:
        file.unlink()
    sealed.env = {}
    assert sealed.run("apply").code == 0
    assert {file: file.read_bytes() for file in sealed.copies("offsite")} == whole


def test_encryption_that_is_switched_on_later_leaves_old_copies_readable(
    applied: Place, keys: KeyRing
) -> None:
    encrypt(applied, block("age", keys))
    applied.now = NEXT_DAY
    applied.write("wiki/home.txt", "newer\n")
    assert applied.run("apply").code == 0
    rows = applied.run("list", "--only", "wiki", "--output", "json").json["copies"]
    assert sorted(row["encryption"] is None for row in rows) == [False, False, True, True]
    assert applied.run("restore", "wiki", "--at", "2026-01-20T12:00:00Z", "--to", "path:older").code == 0
    assert (applied.root / "older/home.txt").read_text() == "hello\n"
    assert applied.run("restore", "wiki", "--to", "path:newer").code == 1
    assert applied.run("restore", "wiki", "--to", "path:newer", *identities("age", keys)).code == 0
    assert (applied.root / "newer/home.txt").read_text() == "newer\n"


def test_manifests_from_before_encryption_are_read(applied: Place) -> None:
    for manifest in (applied.root / "copies").rglob("*ly/*.json"):
        old = json.loads(manifest.read_text())
        del old["encryption"]
        manifest.write_text(json.dumps(old))
    assert applied.run("restore", "wiki", "--to", "path:there").code == 0
    assert " KEY " not in applied.run("list").out


def test_to_stdout_only_what_was_decrypted_to_its_end(sealed: Place, keys: KeyRing) -> None:
    ran = sealed.process("restore", "shop/config", "--to", "-", *identities("age", keys))
    assert ran.code == 0
    assert "[shop]" in ran.out
    assert sealed.process("restore", "shop/config", "--to", "-").out == ""


@pytest.mark.parametrize("way", ["age", "gpg-passphrase"])
def test_no_child_outlives_a_killed_apply(place: Place, way: str, keys: KeyRing) -> None:
    """In the middle of an endless source; the next run clears what lies at the destinations."""
    place.env = {"BACKUP_ENCRYPTION_KEY": PASSPHRASE}
    endless = "\n    - {name: endless, kind: command, backup: cat /dev/urandom}"
    specs = place.write(
        "backup.d/shop.yaml", (place.root / "backup.d/shop.yaml").read_text().rstrip() + endless
    )
    encrypt(place, block(way, keys))
    command = [PROGRAM, "apply", "--only", "endless"]
    with open(os.devnull, "wb") as nowhere:
        process = subprocess.Popen(
            command, cwd=place.root, env=place.environment(), stdout=nowhere, stderr=nowhere
        )
    until(lambda: any(file.stat().st_size for file in parts_of(place)), "something is written")
    running = descendants(process.pid)
    assert len(running) >= 2, "the source, and what encrypts"
    process.kill()
    process.wait()
    until(lambda: all(map(is_dead, running)), "the children end")
    specs.write_text(specs.read_text().replace("cat /dev/urandom", "echo the end"))
    assert place.run("apply").code == 0
    assert [path.suffix for path in parts_of(place) if path.suffix not in (".json", ".age", ".gpg")] == []
    assert len(parts_of(place)) == 4, "two copies with their manifests"
    assert list(Path(os.environ["XDG_RUNTIME_DIR"]).glob("reconciler-gpg-*")) == []


def parts_of(place: Place) -> list[Path]:
    """What lies at the destinations of that target, records of writing left out."""
    return [
        path
        for path in (place.root / "copies").rglob("*endless*")
        if path.is_file() and ".intents" not in path.parts
    ]
