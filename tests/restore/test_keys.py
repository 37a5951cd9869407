"""The key of an encrypted artifact is tried before anything is touched, on whichever copy can be read."""

import hashlib
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from reconciler import manifests
from reconciler.adapters.clock import SystemClock
from reconciler.adapters.journal import FileJournal
from reconciler.destinations.memory import MemoryStore
from reconciler.errors import CipherError, Refused, WrongKey
from reconciler.model import (
    AgeEncryption,
    Backup,
    Destination,
    Encryption,
    Fleet,
    GpgEncryption,
    Sealed,
    SecretRef,
)
from reconciler.naming import manifest_key
from reconciler.observe import destinations
from reconciler.pipeline.encrypt import Sealer, sealer
from reconciler.pipeline.keyid import key_id
from reconciler.ports import Engine, Host, World
from reconciler.restore import choose, proven_keys
from reconciler.targets.path import PathTarget
from tests.faults.world import KEY, artifact
from tests.parts.keys import KeyRing
from tests.pipeline.test_encrypt import sealed

PLAIN = os.urandom(3 << 20)
LATER = datetime(2027, 1, 1, tzinfo=UTC)


class Shelf:
    """Destinations in memory that hold one encrypted artifact, and a fleet whose one backup is encrypted in some way."""

    def __init__(self, seal: Sealer, names: str = "a", encryption: Encryption | None = None) -> None:
        stored = sealed(PLAIN, seal)
        self.key = f"{KEY}.{seal.sealed.scheme}"
        self.manifest = msgspec.structs.replace(
            artifact(self.key, PLAIN, "none")[1],
            sha256=hashlib.sha256(stored).hexdigest(),
            size=len(stored),
            encryption=seal.sealed,
        )
        content = {self.key: stored, manifest_key(self.key): manifests.encode(self.manifest)}
        self.content = {name: dict(content) for name in names}
        stores = {name: MemoryStore(name, here) for name, here in self.content.items()}
        target = PathTarget(name="shop", path="/srv/shop")
        self.fleet = Fleet(
            destinations=tuple(Destination(name=name, url=f"memory://{name}") for name in names),
            backups=(
                Backup(
                    name="shop",
                    schedule="@daily",
                    targets=(target,),
                    destinations=tuple(names),
                    encryption=encryption,
                ),
            ),
        )
        self.world = World(
            SystemClock(),
            Host(_no_engine, Path("/")),
            lambda item: stores[item.name],
            "here",
            FileJournal(Path("/")),
        )

    def prove(self, *files: Path) -> None:
        """Try the keys on it."""
        listings = destinations(self.fleet, self.world, {})
        proven_keys(choose(self.fleet, listings, "shop", LATER), self.manifest, self.fleet, self.world, files)

    def change(self, name: str, position: int) -> None:
        """Flip a bit of one copy."""
        stored = bytearray(self.content[name][self.key])
        stored[position] ^= 1
        self.content[name][self.key] = bytes(stored)


def _no_engine() -> Engine:
    raise AssertionError("nobody here needs an Engine")


def to(encryption: Encryption, secret: str = "") -> Sealer:
    made = sealer(encryption, lambda _: secret)
    assert made is not None
    return made


def to_age(keys: KeyRing) -> Sealer:
    return to(Encryption(age=AgeEncryption(recipients=(keys.public("age"),))))


def to_pgp(keys: KeyRing) -> Sealer:
    return to(Encryption(gpg=GpgEncryption(recipients=(str(keys.certificate("pgp")),))))


def test_the_beginning_alone_is_read(keys: KeyRing) -> None:
    shelf = Shelf(to_age(keys))
    stored = shelf.content["a"][shelf.key]
    shelf.content["a"][shelf.key] = stored[: 1 << 20] + bytes(len(stored) - (1 << 20))
    shelf.prove(keys.private("age"))


@pytest.mark.parametrize("position", [5, 60, 200, 5000])
def test_a_copy_that_cannot_be_opened_gives_way_to_another(position: int, keys: KeyRing) -> None:
    shelf = Shelf(to_age(keys), "ab")
    shelf.change("a", position)
    shelf.prove(keys.private("age"))
    shelf.change("b", position)
    with pytest.raises(CipherError, match="nothing was touched"):
        shelf.prove(keys.private("age"))


def test_a_key_among_many_is_found(keys: KeyRing, tmp_path: Path) -> None:
    shelf = Shelf(to_age(keys))
    every = tmp_path / "every"
    every.write_text("# keys\n" + "".join(keys.private(name).read_text() for name in ("other-age", "age")))
    shelf.prove(keys.private("other-ed25519"), keys.private("locked"), every)
    with pytest.raises(WrongKey, match=r"at hand: SHA256:.*; SHA256:"):
        shelf.prove(keys.private("other-ed25519"), keys.private("locked"))


def test_the_private_key_of_openpgp_may_be_in_the_keyring(
    keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that gpg starts for it ends with it; one that runs already is left alone."""
    shelf = Shelf(to_pgp(keys))
    monkeypatch.setenv("GNUPGHOME", str(keys.gpg_home))
    subprocess.run(["gpgconf", "--kill", "all"], check=True)
    shelf.prove()
    assert not agent_runs()
    subprocess.run(["gpg-connect-agent", "/bye"], check=True, capture_output=True)
    shelf.prove()
    assert agent_runs()


def agent_runs() -> bool:
    asked = subprocess.run(
        ["gpg-connect-agent", "--no-autostart", "GETINFO pid", "/bye"],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.startswith("D ")


def test_a_private_key_with_a_passphrase_says_what_to_do(keys: KeyRing) -> None:
    shelf = Shelf(to(Encryption(gpg=GpgEncryption(recipients=(str(keys.certificate("locked-pgp")),)))))
    with pytest.raises(CipherError, match="gpg --import"):
        shelf.prove(keys.private("locked-pgp"))


PASSPHRASE = Encryption(age=AgeEncryption(passphrase=SecretRef(from_env="NEW_NAME")))


def test_a_passphrase_is_found_by_what_it_is_not_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference may have another name since, and another backup's passphrase may be the one."""
    shelf = Shelf(
        to(Encryption(age=AgeEncryption(passphrase=SecretRef(from_env="OLD_NAME"))), "secret"),
        encryption=PASSPHRASE,
    )
    monkeypatch.setenv("NEW_NAME", "secret")
    shelf.prove()
    monkeypatch.setenv("NEW_NAME", "secret ")
    with pytest.raises(
        WrongKey, match=f"which OLD_NAME held when it was made; at hand: NEW_NAME holds {key_id('secret ')}"
    ):
        shelf.prove()


def test_a_manifest_that_names_a_reference_makes_nobody_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who writes to a destination must not choose which file or variable is read."""
    shelf = Shelf(to(Encryption(age=AgeEncryption(passphrase=SecretRef(from_env="STOLEN"))), "secret"))
    monkeypatch.setenv("STOLEN", "secret")
    with pytest.raises(WrongKey, match="at hand: none"):
        shelf.prove()


def test_an_unknown_scheme_is_told(keys: KeyRing) -> None:
    shelf = Shelf(to_age(keys))
    shelf.manifest = msgspec.structs.replace(shelf.manifest, encryption=Sealed(scheme="rot13"))
    with pytest.raises(CipherError, match="'rot13', which this version does not know"):
        shelf.prove()


def test_files_are_read_for_encrypted_artifacts_alone(keys: KeyRing) -> None:
    shelf = Shelf(to_age(keys))
    with pytest.raises(Refused, match="cannot be read"):
        shelf.prove(Path("/nowhere"))
    shelf.manifest = msgspec.structs.replace(shelf.manifest, encryption=None)
    shelf.prove(Path("/nowhere"))
