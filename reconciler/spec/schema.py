"""The JSON Schemas of the documents, generated from the models. Used by check, by ``reconciler schema`` and by editors.

msgspec writes the raw schema; what it cannot know is added here: no nulls, ``kind`` as the discriminator of unions, a
choice of options by the URL's protocol, and references to secrets.
"""

from __future__ import annotations

import functools
import json
import operator
import types
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from reconciler import registry
from reconciler.model import FromEnv, FromFile
from reconciler.spec.documents import API_VERSION, DOCUMENTS

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEMPLATE = "#/$defs/{name}"
_SECRET = {
    "title": "Secret",
    "description": "A reference to a secret: an environment variable or a file. The secret itself is never written.",
    "oneOf": [{"$ref": "#/$defs/FromEnv"}, {"$ref": "#/$defs/FromFile"}],
}


class SecretReference:
    """Stands for ``FromEnv | FromFile``, a union that msgspec cannot tell apart without a tag."""


@cache
def schema(kind: str | None = None) -> Schema:
    """The schema of one kind of document, or of any document. KeyError for a kind that does not exist."""
    if kind is None:
        return _any_document()
    definitions = _definitions()
    model = DOCUMENTS[kind].__name__
    return {
        **_head(kind.lower(), kind, definitions[model]["description"]),
        "$ref": f"#/$defs/{model}",
        "$defs": _reachable(model, definitions),
    }


def write_schemas(folder: Path) -> tuple[Path, ...]:
    """Write ``destination.json``, ``backup.json``, ``policy.json`` and ``reconciler.json`` (any document)."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, kind in [*((kind.lower(), kind) for kind in DOCUMENTS), ("reconciler", None)]:
        path = folder / f"{name}.json"
        path.write_text(json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(path)
    return tuple(written)


def _head(name: str, title: str, description: str) -> Schema:
    return {
        "$schema": _DIALECT,
        "$id": f"urn:{API_VERSION.replace('/', ':')}:{name}",
        "title": title,
        "description": description,
    }


def _any_document() -> Schema:
    definitions = _definitions()
    first = definitions[next(iter(DOCUMENTS.values())).__name__]["properties"]
    kind = {
        "title": "Kind",
        "description": "What the document describes.",
        "enum": list(DOCUMENTS),
        "examples": ["Backup"],
    }
    return {
        **_head(
            "any",
            "reconciler",
            "Any document of the reconciler: a Destination, a Backup, a Policy or a Restore.",
        ),
        "type": "object",
        "properties": {"apiVersion": first["apiVersion"], "kind": kind},
        "required": ["apiVersion", "kind"],
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind_name}}, "required": ["kind"]},
                "then": {"$ref": f"#/$defs/{model.__name__}"},
            }
            for kind_name, model in DOCUMENTS.items()
        ],
        "$defs": definitions,
    }


@cache
def _definitions() -> dict[str, Schema]:
    """Every named schema, finished."""
    options = _option_types()
    models = [*DOCUMENTS.values(), *options.values(), FromEnv, FromFile]
    _, raw = msgspec.json.schema_components(models, ref_template=_TEMPLATE, schema_hook=_hook)
    definitions: dict[str, Schema] = {name: _finished(node) for name, node in sorted(raw.items())}
    definitions["Secret"] = definitions["SecretRef"] = _SECRET
    _choose_options(definitions["DestinationSpec"], options)
    return definitions


def _hook(kind: type) -> Schema:
    if kind is SecretReference:
        return {"$ref": "#/$defs/Secret"}
    raise NotImplementedError


def _finished(node: Any) -> Any:
    """A raw schema without nulls and with ``kind`` as a constant that tells the branches of a union apart."""
    if isinstance(node, list):
        return [_finished(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {
        key: _finished(value) for key, value in node.items() if key not in ("discriminator", "required")
    } | {key: node[key] for key in ("required",) if node.get(key)}
    if node.get("default", ...) is None:
        del node["default"]
    if "anyOf" in node:
        node = _without_null(node)
    if isinstance(node.get("properties"), dict) and set(node["properties"].get("kind", ())) == {"enum"}:
        node["properties"]["kind"] = _discriminator(node["properties"]["kind"]["enum"][0])
    return node


def _without_null(node: Schema) -> Schema:
    branches = [branch for branch in node["anyOf"] if branch != {"type": "null"}]
    outer = {key: value for key, value in node.items() if key != "anyOf"}
    if len(branches) == 1:
        return {**branches[0], **outer}
    if all("$ref" in branch for branch in branches):
        return {**outer, "oneOf": branches}
    return {**outer, "anyOf": branches}


def _discriminator(tag: str) -> Schema:
    return {
        "title": "Kind",
        "description": f"Says that this is of kind {tag}.",
        "const": tag,
        "examples": [tag],
    }


def _choose_options(destination: Schema, options: dict[str, type[msgspec.Struct]]) -> None:
    """Let the URL's protocol choose which options there are."""
    destination["allOf"] = [
        {
            "if": {
                "properties": {"url": {"type": "string", "pattern": f"^{protocol}://"}},
                "required": ["url"],
            },
            "then": {
                "properties": {"options": {"$ref": f"#/$defs/{model.__name__}"}},
                **({"required": ["options"]} if _requires(model) else {}),
            },
        }
        for protocol, model in options.items()
    ]


def _requires(model: type[msgspec.Struct]) -> bool:
    return any(field.required for field in msgspec.structs.fields(model))


@cache
def _option_types() -> dict[str, type[msgspec.Struct]]:
    """The options of each protocol: the ``Options`` of its module, with secrets in a form that msgspec can describe."""
    types_: dict[str, type[msgspec.Struct]] = {}
    for protocol in registry.names("destinations"):
        options = registry.find("destinations", protocol).Options
        hints = get_type_hints(options, include_extras=True)
        fields = [
            (name, _referenced(hints[name]), *(() if field.required else (msgspec.field(default=None),)))
            for name, field in zip(options.__struct_fields__, msgspec.structs.fields(options), strict=True)
        ]
        types_[protocol] = msgspec.defstruct(
            f"{protocol.capitalize()}Options",
            fields,
            namespace={"__doc__": options.__doc__},
            kw_only=True,
            forbid_unknown_fields=True,
        )
    return types_


def _referenced(hint: Any) -> Any:
    """A type with ``FromEnv | FromFile`` replaced by SecretReference, wherever it stands in unions and annotations."""
    origin = get_origin(hint)
    if origin is Annotated:
        return Annotated[(_referenced(get_args(hint)[0]), *hint.__metadata__)]
    if origin in (Union, types.UnionType):
        members = [_referenced(member) for member in get_args(hint) if member not in (FromEnv, FromFile)]
        if FromEnv in get_args(hint):
            members.append(SecretReference)
        return functools.reduce(operator.or_, members)
    return hint


def _reachable(name: str, definitions: dict[str, Schema]) -> dict[str, Schema]:
    """The definitions that ``name`` uses, itself included, sorted."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += _references(definitions[current])
    return {key: definitions[key] for key in sorted(found)}


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"].removeprefix("#/$defs/")] if isinstance(node.get("$ref"), str) else []
    return own + [name for value in node.values() for name in _references(value)]
