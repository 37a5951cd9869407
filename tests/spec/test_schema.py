"""The JSON Schemas: complete, equal to the models, and read alike by validators in two languages."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator

from reconciler import registry
from reconciler.spec import check, schema, write_schemas
from reconciler.spec.documents import DOCUMENTS, target_types

SCHEMAS = Path(__file__).parents[2] / "schemas"
KINDS = [*DOCUMENTS, None]


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for key, value in node.items():
            if key not in ("examples", "default"):
                yield from _nodes(value)
    elif isinstance(node, list):
        for item in node:
            yield from _nodes(item)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_title_a_description_and_an_example(kind: str | None) -> None:
    fields = [
        (node.get("title", ""), name, field)
        for node in _nodes(schema(kind))
        if node.get("type") == "object" and "title" in node
        for name, field in node.get("properties", {}).items()
    ]
    assert len(fields) > 10
    for owner, name, field in fields:
        assert field.get("title"), f"{owner}.{name} has no title"
        assert field.get("description"), f"{owner}.{name} has no description"
        assert field.get("examples"), f"{owner}.{name} has no example"


@pytest.mark.parametrize("kind", KINDS)
def test_every_example_of_a_field_is_valid(kind: str | None) -> None:
    definitions = schema(kind)["$defs"]
    for name, definition in definitions.items():
        for field, node in definition.get("properties", {}).items():
            validator = Draft202012Validator({**node, "$defs": definitions})
            for example in node["examples"]:
                assert validator.is_valid(example), f"{name}.{field}: {example!r} is no example of it"


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_keys_are_rejected_and_null_is_no_value(kind: str | None) -> None:
    for node in _nodes(schema(kind)["$defs"]):
        if node.get("type") == "object" and "properties" in node:
            assert node.get("additionalProperties") is False, node["title"]
        assert node.get("type") != "null"
        assert "discriminator" not in node


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_is_valid_and_needs_no_network(kind: str | None) -> None:
    Draft202012Validator.check_schema(schema(kind))
    assert schema(kind)["$id"].startswith("urn:reconciler:v1:")
    references = {node["$ref"] for node in _nodes(schema(kind)) if "$ref" in node}
    assert all(reference.startswith("#/$defs/") for reference in references)


def test_every_target_kind_and_protocol_is_there() -> None:
    definitions = schema()["$defs"]
    kinds = {definitions[model.__name__]["properties"]["kind"]["const"] for model in target_types()}
    assert kinds == set(registry.names("targets"))
    patterns = {
        rule["if"]["properties"]["url"]["pattern"] for rule in definitions["DestinationSpec"]["allOf"]
    }
    assert patterns == {f"^{protocol}://" for protocol in registry.names("destinations")}


def test_the_files_are_what_the_models_generate(tmp_path: Path) -> None:
    written = write_schemas(tmp_path)
    assert {path.name for path in written} == {
        "destination.json",
        "backup.json",
        "policy.json",
        "reconciler.json",
        "restore.json",
    }
    for path in written:
        current = (SCHEMAS / path.name).read_text(encoding="utf-8")
        assert current == path.read_text(encoding="utf-8"), "run `make schemas`"


def test_an_unknown_kind_has_no_schema() -> None:
    with pytest.raises(KeyError):
        schema("Notifier")


# --- three validators, one judgement ---------------------------------------------------------------------------------

BACKUP: dict[str, Any] = {
    "apiVersion": "reconciler/v1",
    "kind": "Backup",
    "metadata": {"name": "a"},
    "spec": {
        "schedule": "@daily",
        "destinations": ["local"],
        "targets": [{"name": "a", "kind": "path", "path": "./a", "exclude": ["*.tmp"]}],
    },
}
DESTINATION: dict[str, Any] = {
    "apiVersion": "reconciler/v1",
    "kind": "Destination",
    "metadata": {"name": "local"},
    "spec": {
        "url": "s3://bucket/x",
        "options": {"key": {"fromEnv": "KEY"}, "secret": {"fromFile": "/run/s"}},
    },
}
POLICY: dict[str, Any] = {
    "apiVersion": "reconciler/v1",
    "kind": "Policy",
    "metadata": {"name": "fleet"},
    "spec": {"rule321": "off"},
}


def _with(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(document))
    node: Any = changed
    *steps, last = path.split(".")
    for step in steps:
        node = node[int(step)] if step.isdigit() else node[step]
    if last.isdigit():
        node[int(last)] = value
    elif value is ...:
        del node[last]
    else:
        node[last] = value
    return changed


GOOD = [
    BACKUP,
    DESTINATION,
    POLICY,
    _with(BACKUP, "spec.compression", "zstd"),
    _with(BACKUP, "spec.compression", {"codec": "gzip", "level": 9}),
    _with(BACKUP, "spec.retention", {"hourly": 24, "minimum": 2}),
    _with(BACKUP, "spec.suspend", True),
    _with(BACKUP, "spec.suspend", {"until": "2026-12-24", "reason": "away"}),
    _with(BACKUP, "spec.suspend", {"until": "2026-12-24T06:00:00Z"}),
    _with(BACKUP, "spec.maxAge", "26h"),
    _with(BACKUP, "spec.jitter", "30m"),
    _with(BACKUP, "spec.blackout", [{"from": "22:00", "to": "06:00", "days": ["mon"]}]),
    _with(BACKUP, "spec.blackout", []),
    _with(BACKUP, "spec.timezone", "Europe/Berlin"),
    _with(BACKUP, "spec.targets.0.type", "config"),
    _with(DESTINATION, "spec.options", ...),
    _with(DESTINATION, "spec.options.path_style", True),
    _with(DESTINATION, "spec.offsite", True),
    _with(DESTINATION, "spec.media", "tape"),
    _with(POLICY, "spec.orphans", "keep"),
    _with(POLICY, "spec.orphans", {"deleteAfter": "90d"}),
    _with(POLICY, "spec.deletions", {"maxPerRun": 5, "approved": "0123456789ab"}),
    _with(POLICY, "spec.defaults", {"timezone": "UTC", "compression": "none"}),
]
BAD: list[Any] = [
    [],
    "text",
    None,
    {},
    {"kind": "Backup"},
    *[
        _with(document, path, ...)
        for document in (BACKUP, DESTINATION, POLICY)
        for path in ("apiVersion", "kind", "metadata", "spec", "metadata.name")
    ],
    *[
        _with(document, path, value)
        for document in (BACKUP, DESTINATION, POLICY)
        for path, value in (
            ("apiVersion", "v1"),
            ("kind", "Restore"),
            ("kind", None),
            ("status", {}),
            ("metadata.labels", {}),
            ("metadata.name", "Upper"),
            ("metadata.name", "a\n"),
            ("metadata.name", ""),
            ("metadata.name", "a" * 64),
            ("metadata.name", 7),
            ("spec", None),
            ("spec", []),
            ("spec.hoks", []),
        )
    ],
    *[
        _with(BACKUP, path, value)
        for path, value in (
            ("spec.targets", []),
            ("spec.targets", {}),
            ("spec.targets.0", "a"),
            ("spec.targets.0.kind", "nothing"),
            ("spec.targets.0.kind", ...),
            ("spec.targets.0.kind", "volume"),
            ("spec.targets.0.path", ...),
            ("spec.targets.0.path", ""),
            ("spec.targets.0.exclude", "*.tmp"),
            ("spec.targets.0.type", None),
            ("spec.targets.0.quiesce", {}),
            ("spec.schedule", 5),
            ("spec.schedule", ""),
            ("spec.schedule", "x" * 201),
            ("spec.suspend", "true"),
            ("spec.suspend", {"until": "tomorrow"}),
            ("spec.suspend", {"from": "2026-12-24"}),
            ("spec.maxAge", "26 hours"),
            ("spec.maxAge", 26),
            ("spec.jitter", "0s"),
            ("spec.blackout", [{"from": "22:00"}]),
            ("spec.blackout", [{"from": "24:00", "to": "06:00"}]),
            ("spec.blackout", [{"from": "22:00", "to": "24:01"}]),
            ("spec.blackout", [{"from": "22:00", "to": "06:00", "days": ["monday"]}]),
            ("spec.blackout", [{"from": "22:00", "to": "06:00", "days": []}]),
            ("spec.destinations", "local"),
            ("spec.destinations", []),
            ("spec.destinations", ["UPPER"]),
            ("spec.retention", {"daily": -1}),
            ("spec.retention", {"daily": 10_001}),
            ("spec.retention", {"daily": "7"}),
            ("spec.retention", {"minimum": 0}),
            ("spec.retention", {"dayly": 7}),
            ("spec.retention", None),
            ("spec.compression", "lz4"),
            ("spec.compression", {"codec": "lz4"}),
            ("spec.compression", {"level": "high"}),
            ("spec.compression", 3),
            ("spec.node", "A B"),
        )
    ],
    *[
        _with(DESTINATION, path, value)
        for path, value in (
            ("spec.url", ...),
            ("spec.url", 7),
            ("spec.url", ""),
            ("spec.media", "Hard Disk"),
            ("spec.offsite", "yes"),
            ("spec.options", []),
            ("spec.options.nothing", 1),
            ("spec.options.key", "literal"),
            ("spec.options.key", {}),
            ("spec.options.key", {"fromEnv": "A", "fromFile": "/a"}),
            ("spec.options.key", {"fromEnv": "no such name"}),
            ("spec.options.secret", {"fromFile": ""}),
            ("spec.retention", 7),
        )
    ],
    *[
        _with(POLICY, path, value)
        for path, value in (
            ("spec.rule321", "maybe"),
            ("spec.rule321", False),
            ("spec.orphans", "delete"),
            ("spec.orphans", {"deleteAfter": "90 days"}),
            ("spec.orphans", {"deleteAfter": "0d"}),
            ("spec.deletions", {"maxPerRun": -1}),
            ("spec.deletions", {"approved": "xyz"}),
            ("spec.defaults", {"targets": []}),
            ("spec.notifications", {}),
            ("spec.notifications", [{"apprise": {"url": {"fromEnv": "A"}}}]),
            ("spec.notifications", [{"name": "a", "apprise": {"url": "json://here"}}]),
            ("spec.notifications", [{"name": "a", "ping": {"url": {"fromEnv": "A"}, "method": "GET"}}]),
            ("spec.notifications", [{"name": "a", "apprise": {"url": {"fromEnv": "A"}}, "tell": ["all"]}]),
            ("spec.notifications", [{"name": "a", "apprise": {"url": {"fromEnv": "A"}}, "title": ""}]),
        )
    ],
]
# Python's `$` also matches before a last line break, so that plain jsonschema takes this name; our check does not.
BAD_FOR_ALL = [document for document in BAD if "a\\n" not in json.dumps(document)]


def _ours(document: Any, folder: Path) -> bool:
    path = folder / "x.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    cross = ("no Destination is called", "no Policy gives", "no Backup", "3-2-1")
    return not [
        problem for problem in check([path]).problems if not any(word in problem.message for word in cross)
    ]


@pytest.mark.parametrize("document", GOOD, ids=json.dumps)
def test_all_validators_accept_what_is_good(document: Any, tmp_path: Path) -> None:
    assert _ours(document, tmp_path)
    assert Draft202012Validator(schema()).is_valid(document)
    assert jsonschema_rs.validator_for(schema()).is_valid(document)
    assert jsonschema_rs.validator_for(schema(document["kind"])).is_valid(document)


def test_all_validators_reject_what_is_bad(tmp_path: Path) -> None:
    rust = jsonschema_rs.validator_for(schema())
    python = Draft202012Validator(schema())
    assert len(BAD) > 90
    assert [document for document in BAD if document is not None and _ours(document, tmp_path)] == []
    assert [document for document in BAD if rust.is_valid(document)] == []
    assert [document for document in BAD_FOR_ALL if python.is_valid(document)] == []


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_the_schema_of_a_kind_judges_as_the_one_for_all(kind: str) -> None:
    one, every = jsonschema_rs.validator_for(schema(kind)), jsonschema_rs.validator_for(schema())
    for document in [*GOOD, *BAD]:
        if isinstance(document, dict) and document.get("kind") == kind:
            assert one.is_valid(document) == every.is_valid(document)
