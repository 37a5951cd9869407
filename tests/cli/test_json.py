"""docs/json.md against real output: no field is missing there, and none is told that does not exist."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.place import NEXT_DAY, Place

PAGE = (Path(__file__).parents[2] / "docs/json.md").read_text()
RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
MAPS = {"failures", "facts", "unknown"}
"""Objects whose names are data."""


def documented(section: str) -> dict[str, str]:
    """The fields of a section's table, each with its second column."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]*?) ?\|", text, re.MULTILINE))


def fields(data: Any, path: str = "") -> Iterator[str]:
    """Every field of a document in the words of the page; what is empty has no fields below it."""
    if isinstance(data, list):
        for item in data:
            yield from fields(item, f"{path}[]")
    elif isinstance(data, dict) and not re.search(r"(^|\.)(actions\[\]|action)$", path):
        for name, value in data.items():
            shown = "*" if path.rpartition(".")[2] in MAPS else name
            yield from fields(value, f"{path}.{shown}" if path else shown)
    else:
        yield path


POLICY = """\
apiVersion: reconciler/v1
kind: Policy
metadata: {name: fleet}
spec: {notifications: [{name: nobody, apprise: {url: {fromEnv: IS_NOT_SET}}}]}
"""


@pytest.fixture
def troubled(place: Place) -> Place:
    """A day on which everything that has a field happens."""
    place.write(
        "backup.d/shop.yaml", (place.root / "backup.d/shop.yaml").read_text().replace("daily: 2", "daily: 1")
    )
    place.run("apply")
    place.now = NEXT_DAY
    place.run("apply")
    place.now = "2026-01-22T03:10:00Z"
    place.copies("offsite", "wiki_*")[-1].unlink()
    place.write("copies/local/foreign.txt", "not ours")
    died = "daily/shop_config_2026-01-22T030500Z_daily.tar.zst"
    place.write(f"copies/local/{died}", "half")
    place.write(f"copies/local/.intents/here/{died}", "")
    (place.root / "copies/offsite/daily").rename(place.root / "daily")
    place.write("copies/offsite/daily", "a file where a folder should be")
    place.write("backup.d/policy.yaml", POLICY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place.root / "uploads/socket"))
    return place


def test_plan_and_its_actions(troubled: Place) -> None:
    plan = troubled.run("plan", "--output", "json").json
    assert set(fields(plan)) == set(documented("plan"))
    check_actions(plan["actions"], {"create", "recover", "replicate", "prune"})
    check_actions(
        Place(troubled.root / "new").run("plan", "--output", "json").json["actions"], {"adopt", "create"}
    )


def check_actions(actions: list[dict[str, Any]], types: set[str]) -> None:
    """Each action has exactly the fields that the page gives to its type."""
    assert {action["type"] for action in actions} == types
    table = documented("actions")
    for action in actions:
        wanted = {field for field, of in table.items() if action["type"] in of.split(", ")}
        assert set(fields(action)) == wanted


def test_apply(troubled: Place) -> None:
    found = set(fields(troubled.run("apply", "--output", "json").json))
    troubled.now = "2026-01-23T03:10:00Z"
    (troubled.root / "config.ini").unlink()
    found |= set(fields(troubled.run("apply", "--output", "json").json))
    assert found == set(documented("apply"))


def test_list(troubled: Place) -> None:
    found = set(fields(troubled.run("list", "--output", "json").json))
    specs = (troubled.root / "backup.d/shop.yaml").read_text()
    troubled.write("backup.d/shop.yaml", f"{specs}  encryption: {{age: {{recipients: [{RECIPIENT}]}}}}\n")
    troubled.run("apply")
    found |= set(fields(troubled.run("list", "--output", "json").json))
    (troubled.root / "copies/local").rename(troubled.root / "unplugged")
    found |= set(fields(troubled.run("list", "--output", "json").json))
    assert found == set(documented("list"))


def test_restore(troubled: Place) -> None:
    copy = troubled.copies("local", "shop_uploads_*")[-1]
    copy.write_bytes(copy.read_bytes()[:-1])
    found = set(fields(troubled.run("restore", "shop/uploads", "--to", "path:new", "--output", "json").json))
    assert set(documented("restore")) - found <= {"manifest.facts.*", "manifest.warnings[]", "warnings[]"}
    assert found <= set(documented("restore"))


def test_validate(place: Place) -> None:
    place.write("backup.d/wrong.yaml", "kind: Backup\n")
    assert set(fields(place.run("validate", "--output", "json").json)) == set(documented("validate"))


def test_nothing_is_said_on_stdout_when_a_command_cannot_begin(place: Place) -> None:
    place.write("backup.d/wrong.yaml", "kind: Backup\n")
    for command in ("plan", "apply", "list", "status", "coverage"):
        ran = place.run(command, "--output", "json")
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith("backup.d/wrong.yaml:")
