import json
from pathlib import Path

import pytest

from tests.cli.place import Place

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ["Destination", "Backup", "Policy", "Restore"])
def test_one_kind(place: Place, kind: str) -> None:
    ran = place.run("schema", kind.lower())
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert kind in ran.out


def test_any_document(place: Place) -> None:
    ran = place.process("schema")
    assert (ran.code, ran.err) == (0, "")
    assert {"Destination", "Backup", "Policy"} <= set(ran.out.replace('"', " ").split())


def test_an_unknown_kind(place: Place) -> None:
    ran = place.process("schema", "Backups")
    assert (ran.code, ran.out) == (1, "")
    assert "'Backups' is not one of" in ran.err


def test_where_nothing_can_be_written(place: Place) -> None:
    ran = place.run("schema", "--write", "config.ini/schemas")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "error: the schemas cannot be written to config.ini/schemas: Not a directory\n"


def test_written_as_files(place: Place) -> None:
    assert place.run("schema", "--write", "out").code == 0
    written = {path.name: json.loads(path.read_text()) for path in (place.root / "out").iterdir()}
    committed = {path.name: json.loads(path.read_text()) for path in (REPOSITORY / "schemas").iterdir()}
    assert written == committed, "schemas/ drifted: make schemas"
