"""Files to fleet: the steps of validation in their order, every problem collected. The body of this phase."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reconciler.spec import build
from reconciler.spec.documents import DOCUMENTS
from reconciler.spec.fields import field_problems
from reconciler.spec.files import SpecFile, find, read_text
from reconciler.spec.problems import Problem, Report, quote
from reconciler.spec.reader import Document, read
from reconciler.spec.rules import Entry, rule_problems
from reconciler.spec.structure import structural_problems
from reconciler.spec.suggest import did_you_mean


def check(paths: Sequence[Path]) -> Report:
    """Read and judge every spec below ``paths`` (files or folders). Whatever is wrong is in the report; nothing raises."""
    files, problems = find(paths)
    whole = not problems
    entries: list[Entry] = []
    sound: list[tuple[Any, str, Path]] = []
    for file in files:
        found, entries_here, read_whole = _entries(file)
        whole = whole and read_whole
        problems += found
        for entry in entries_here:
            entries.append(entry)
            in_document = [*structural_problems(entry.document, entry.kind), *field_problems(entry.document)]
            problems += in_document
            wrong = any(problem.severity == "error" for problem in in_document)
            model = None if wrong or entry.document.refused else build.typed(entry.document.data)
            if model is not None:
                sound.append((model, entry.where, entry.folder))
    fleet = build.fleet(sound)
    problems += rule_problems(entries, fleet, whole=whole)
    ordered = tuple(sorted(set(problems)))
    failed = any(problem.severity == "error" for problem in ordered)
    return Report(None if failed else fleet, ordered, len(files))


def _entries(file: SpecFile) -> tuple[list[Problem], list[Entry], bool]:
    """What is wrong with a file, the documents in it whose kind is known, and whether that is all of them."""
    text = read_text(file)
    if isinstance(text, Problem):
        return [text], [], False
    documents, problems, whole = read(str(file.path), text)
    if not documents and not problems:
        return [Problem(str(file.path), 1, 1, "", "holds no document", "warning")], [], True
    entries = []
    for document in documents:
        entry = _entry(document, file)
        if isinstance(entry, Problem):
            problems.append(entry)
            whole = False
        else:
            entries.append(entry)
    return problems, entries, whole


def _entry(document: Document, file: SpecFile) -> Entry | Problem:
    data = document.data
    if not isinstance(data, dict):
        return document.problem((), "expected a document with the keys apiVersion, kind, metadata and spec")
    if "kind" not in data:
        return document.problem((), f'required key "kind" is missing; one of {", ".join(DOCUMENTS)}')
    kind = data["kind"]
    if not isinstance(kind, str) or kind not in DOCUMENTS:
        return document.problem(("kind",), _unknown_kind(kind))
    metadata = data.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    where = f"{file.where}:{document.mark.line}"
    return Entry(document, kind, name if isinstance(name, str) else "", file.path.absolute().parent, where)


def _unknown_kind(kind: Any) -> str:
    if not isinstance(kind, str):
        return f"expected one of {', '.join(DOCUMENTS)}"
    return f"unknown kind {quote(kind)}{did_you_mean(kind, DOCUMENTS)}; one of {', '.join(DOCUMENTS)}"
