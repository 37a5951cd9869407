"""Every file of a specs repository, by its path in it. Used by the command line; pure but for the templates that it reads."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

from reconciler.scaffold.found import Look
from reconciler.scaffold.installed import Source
from reconciler.scaffold.specs import specs, template
from reconciler.spec import schema
from reconciler.spec.urls import absolute

SPECS = "backup.d"
_EXAMPLE = Source("https://git.example.com/backups/reconciler", "v0.1.0")
_GITHUB, _GITLAB = ".github/workflows/backups.yaml", ".gitlab-ci.yml"
_ROWS = {
    f"{SPECS}/": "what is backed up, where to, when, and how long it is kept",
    "schemas/reconciler.json": "what editors check it against; after an upgrade: `reconciler schema > schemas/reconciler.json`",
    ".pre-commit-config.yaml": "the check before each commit; once in each clone: `pre-commit install`",
    _GITHUB: "GitHub: checks every push, and shows the plan of every pull request",
    _GITLAB: "GitLab: checks every push, and shows the plan of every merge request",
    ".gitignore": "copies are no part of the repository",
}


class Layout(NamedTuple):
    """What is known of the place: ``folder``, its branch, the address of ``origin``, and where the reconciler comes from.

    ``inside``: it is a part of a repository, whose root has CI and pre-commit already, or not.
    """

    folder: Path
    url: str
    zone: str = ""
    branch: str = "main"
    origin: str = ""
    inside: bool = False
    source: Source | None = None


def files(place: Layout, found: Look) -> dict[str, str]:
    """The paths and texts."""
    texts = {f"{SPECS}/{name}": text for name, text in specs(found, place.url, place.zone).items()}
    texts["schemas/reconciler.json"] = json.dumps(schema(None), indent=2, ensure_ascii=False) + "\n"
    if not place.inside:
        texts[".pre-commit-config.yaml"] = _hooks(place.source)
        texts |= {path: _workflow(path, place) for path in _forges(place.origin)}
    if ignored := _copies(place):
        texts[".gitignore"] = f"{ignored}\n"
    return {**texts, "README.md": _readme(place, list(texts))}


def _hooks(source: Source | None) -> str:
    """The hook that the reconciler's repository exports, or the installed command where that is unknown."""
    if source is None:
        return template("pre-commit.yaml")
    return f"repos:\n  - repo: {source.url}\n    rev: {source.revision}\n    hooks:\n      - id: reconciler-validate\n"


def _forges(origin: str) -> tuple[str, ...]:
    """The workflow of the service that ``origin`` names, or of both."""
    host = origin.partition("://")[2] or origin
    named = {"github": _GITHUB, "gitlab": _GITLAB}
    known = tuple(path for name, path in named.items() if name in host.partition("/")[0].partition(":")[0])
    return known or tuple(named.values())


def _workflow(path: str, place: Layout) -> str:
    text = template("github.yaml" if path == _GITHUB else "gitlab.yaml")
    source = place.source or _EXAMPLE
    text = text.replace(f"{_EXAMPLE.url}@{_EXAMPLE.revision}", f"{source.url}@{source.revision}")
    branch = (
        place.branch
        if re.fullmatch(r"[A-Za-z][\w./-]*", place.branch, re.ASCII)
        else json.dumps(place.branch)
    )
    return text.replace("branches: [main]", f"branches: [{branch}]")


def _copies(place: Layout) -> str:
    """The line of ``.gitignore`` for a destination in the repository; empty where it lies elsewhere."""
    if not place.url.startswith("file:"):
        return ""
    there = absolute(place.url, place.folder / SPECS).removeprefix("file://")
    inside = os.path.relpath(there, place.folder.absolute())
    return "" if inside == "." or inside.split("/")[0] == ".." else f"/{inside}/"


def _readme(place: Layout, paths: list[str]) -> str:
    rows = "".join(
        f"| `{name}` | {what} |\n"
        for name, what in _ROWS.items()
        if any(path.startswith(name) for path in paths)
    )
    told = "" if place.inside else template("readme-ci.md")
    return template("readme.md").format(rows=rows, ci=told)
