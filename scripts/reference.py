"""Write the lower part of docs/specs.md and docs/cli.md from the schemas and the commands. Called by `make docs`.

usage: scripts/reference.py [FOLDER]    (docs by default; a test writes elsewhere and compares)
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from reconciler import spec
from reconciler.cli import cli

MARK = "<!-- What follows is written by `make docs`. -->\n"
SECTIONS = {
    "DestinationSpec": "Destination",
    "S3Options": "Options of s3://",
    "SftpOptions": "Options of sftp://",
    "WebdavOptions": "Options of webdav://",
    "BackupSpec": "Backup",
    "Suspension": "Suspend",
    "Blackout": "Blackout",
    "Discover": "Discover",
    "Quiesce": "Quiesce",
    "Hook": "Hook",
    "ExecHook": "Hook: exec",
    "ScriptFile": "Hook: script",
    "HttpHook": "Hook: http",
    "Encryption": "Encryption",
    "AgeEncryption": "Encryption: age",
    "GpgEncryption": "Encryption: gpg",
    "PathTarget": "Target: path",
    "VolumeTarget": "Target: volume",
    "ImageTarget": "Target: image",
    "CommandTarget": "Target: command",
    "ContainerTarget": "Target: container",
    "PolicySpec": "Policy",
    "Defaults": "Defaults",
    "Deletions": "Deletions",
    "OrphanAge": "Orphans",
    "Notifier": "Notifier",
    "Apprise": "Notifier: apprise",
    "Ping": "Notifier: ping",
    "RestoreSpec": "Restore",
    "RestoreTarget": "Restore: target",
    "RestoreTo": "Restore: to",
    "Retention": "Retention",
    "Compression": "Compression",
    "FromEnv": "Secret: fromEnv",
    "FromFile": "Secret: fromFile",
}
UNLISTED = {"Metadata", "Secret", "SecretRef", "FileOptions", "MemoryOptions"}
"""Told in the upper part, or empty."""

Schema = dict[str, Any]


def specs() -> str:
    """A section with a table for every model of the specs."""
    models: Schema = spec.schema(None)["$defs"]
    left_out = {name for name in models if not name.endswith("Document")} - set(SECTIONS) - UNLISTED
    if left_out:
        sys.exit(f"scripts/reference.py has no section for {', '.join(sorted(left_out))}")
    return "\n".join(section(title, models[name]) for name, title in SECTIONS.items())


def section(title: str, model: Schema) -> str:
    """One model: what it is, and its fields; those that must be there first."""
    required = model.get("required", [])
    fields = sorted(model["properties"].items(), key=lambda item: item[0] not in required)
    rows = [
        f"| `{name}` | {kind(field)} | {'**required**' if name in required else default(field)} | {told(field)} |"
        for name, field in fields
    ]
    table = ["| field | value | default | |", "|---|---|---|---|", *rows]
    return "\n".join([f"## {title}", "", cell(model["description"]), "", *table, ""])


def kind(field: Schema) -> str:
    """What a value may be, in words and links."""
    if "$ref" in field:
        return link(field["$ref"].rpartition("/")[2])
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    branches = field.get("oneOf") or field.get("anyOf")
    if branches:
        return " or ".join(kind(branch) for branch in branches)
    if field.get("type") == "array":
        return f"list of {kind(field['items'])}"
    words = {
        "string": "text",
        "integer": "number",
        "boolean": "`true`, `false`",
        "object": "options by protocol",
    }
    name = str(field.get("type", "any"))
    return words.get(name, name)


def link(name: str) -> str:
    """A model's name, as a link to its section."""
    if name in ("Secret", "SecretRef"):
        return "[secret](#secret-fromenv)"
    title = SECTIONS[name]
    anchor = "".join(char for char in title.lower().replace(" ", "-") if char.isalnum() or char == "-")
    return f"[{title}](#{anchor})"


def default(field: Schema) -> str:
    """The default where the schema has one; elsewhere the description says what holds."""
    value = field.get("default")
    return "" if value in (None, [], {}) else f"`{json.dumps(value)}`"


def told(field: Schema) -> str:
    """The description and an example."""
    examples = "".join(f" `{json.dumps(example, ensure_ascii=False)}`" for example in field["examples"][:1])
    return cell(
        f"{field['description']} Example:{examples}" if "const" not in field else field["description"]
    )


def cell(text: str) -> str:
    """Text that fits into a table; the docstrings' double backticks become single ones."""
    return text.replace("``", "`").replace("|", "\\|").replace("\n", " ")


def commands() -> str:
    """The help of every command."""
    return "\n".join(f"## {name}\n\n```text\n{text}\n```\n" for name, text in helps(cli, "reconciler", None))


def helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    """The full name and the help of a command and of those below it."""
    context = click.Context(command, info_name=name, parent=parent, terminal_width=100)
    yield context.command_path, command.get_help(context)
    for below, other in sorted(command.commands.items() if isinstance(command, click.Group) else ()):
        yield from helps(other, below, context)


def rewrite(page: Path, body: str) -> None:
    """Replace what follows the mark."""
    head, mark, _ = page.read_text(encoding="utf-8").partition(MARK)
    page.write_text(f"{head}{mark or MARK}\n{body}", encoding="utf-8")


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs"
    rewrite(folder / "specs.md", specs())
    rewrite(folder / "cli.md", commands())
