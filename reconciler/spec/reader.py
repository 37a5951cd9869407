"""YAML text to plain data, with the place of every key and value. Used by check; knows nothing of what the data means.

Reads libyaml's events one by one and builds only what passes: no anchors, aliases, tags, directives or merge keys, no
duplicate keys, bounded depth and size, and no word that YAML readers take differently. Nothing it is given makes it raise.
"""

from __future__ import annotations

from typing import Any

import yaml

from reconciler.spec.problems import START, Mark, Path, Problem, field, quote
from reconciler.spec.scalars import Ambiguous, resolve
from reconciler.spec.secrecy import hidden
from reconciler.spec.syntax import explain

MAX_DEPTH = 32
MAX_NODES = 10_000


class Document:
    """One YAML document: its data, and the place and source text of what is in it."""

    def __init__(self, file: str, mark: Mark) -> None:
        self.file = file
        self.mark = mark
        self.data: Any = None
        self.values: dict[Path, Mark] = {}
        self.keys: dict[Path, Mark] = {}
        self.sources: dict[Path, str] = {}
        self.refused: set[Path] = set()

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """An error at the value at ``path``, or at its key; at the nearest thing around it that is there."""
        mark = self.keys.get(path) if at_key else None
        around = path
        while mark is None and around:
            mark = self.values.get(around)
            around = around[:-1]
        return self.problem_at(mark or self.values.get((), self.mark), message, path)

    def problem_at(self, mark: Mark, message: str, path: Path = ()) -> Problem:
        """An error at a place."""
        return Problem(self.file, mark.line, mark.column, field(path), message)


class _Frame:
    """A mapping or list that is being filled. One that is ``skipped`` belongs to a key that was refused."""

    def __init__(self, node: dict[str, Any] | list[Any], path: Path, *, skipped: bool) -> None:
        self.node = node
        self.path = path
        self.skipped = skipped
        self.key: str | None = None
        self.key_refused = False


class _Stop(Exception):
    """Nothing sensible can be read after this."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def read(file: str, text: str) -> tuple[list[Document], list[Problem], bool]:
    """Every document of ``text`` that could be read, what is wrong, and whether it was read to its end. Never raises."""
    reader = _Reader(file)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            reader.take(event)
        return reader.documents, reader.problems, True
    except _Stop as stop:
        reader.problems.append(stop.problem)
    except yaml.MarkedYAMLError as error:
        mark = _mark(error.problem_mark or error.context_mark)
        reader.problems.append(Problem(file, *mark, "", explain(error.problem or "", text, mark)))
    except Exception as error:  # noqa: BLE001 - whatever a hostile file does to the parser, it is the file's problem
        reader.problems.append(Problem(file, 1, 1, "", f"this is not YAML: {error}"))
    return reader.documents, reader.problems, False


class _Reader:
    """Takes events and holds what they made so far."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.documents: list[Document] = []
        self.problems: list[Problem] = []
        self.stack: list[_Frame] = []
        self.document = Document(file, START)
        self.nodes = 0
        self.shared = False

    def take(self, event: Any) -> None:
        """Build from one event. Raises _Stop."""
        mark = _mark(event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            self._count(mark)
            self._properties(event, mark)
            self._scalar(event, mark)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._count(mark)
            self._properties(event, mark)
            self._open({} if isinstance(event, yaml.MappingStartEvent) else [], mark)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.stack.pop()
        elif isinstance(event, yaml.AliasEvent):
            self._count(mark)
            self._not_a_key(mark)
            self._shared(mark, f"*{event.anchor}")
            self.document.refused.add(self._here())
            self._place(None, mark)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._begin(event, mark)
        elif isinstance(event, yaml.DocumentEndEvent):
            self._end()

    def _begin(self, event: Any, mark: Mark) -> None:
        self.document = Document(self.file, mark)
        self.stack = []
        if event.version or event.tags:
            self.problems.append(
                self.document.problem_at(mark, "directives (%…) are not supported: remove the line")
            )

    def _end(self) -> None:
        if self.document.data is not None or self.document.refused:
            self.document.mark = self.document.values.get((), self.document.mark)
            self.documents.append(self.document)

    def _count(self, mark: Mark) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _Stop(
                self.document.problem_at(mark, f"more than {MAX_NODES:,} values in one file: split it")
            )

    def _properties(self, event: Any, mark: Mark) -> None:
        if event.anchor is not None:
            self._shared(mark, f"&{event.anchor}")
        if event.tag is not None:
            self._report(mark, f"the tag {quote(event.tag)} is not supported: remove it")

    def _shared(self, mark: Mark, word: str) -> None:
        """Report the first anchor or alias of the file: one is enough, and a bomb has thousands."""
        if not self.shared:
            self._report(
                mark, f"anchors and aliases ({quote(word)[1:-1]}) are not supported: write the value out"
            )
        self.shared = True

    def _report(self, mark: Mark, message: str) -> None:
        self.problems.append(self.document.problem_at(mark, message, self._here()))

    def _refuse(self, mark: Mark, message: str) -> None:
        """Report, and keep later checks from reporting the same value again."""
        self._report(mark, message)
        self.document.refused.add(self._here())

    def _here(self) -> Path:
        if not self.stack:
            return ()
        top = self.stack[-1]
        if isinstance(top.node, list):
            return (*top.path, len(top.node))
        return top.path if top.key is None else (*top.path, top.key)

    def _scalar(self, event: Any, mark: Mark) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.node, dict) and top.key is None:
            self._key(top, event, mark)
            return
        if not event.implicit[0]:
            self._place(event.value, mark)
            return
        try:
            value = resolve(event.value)
        except Ambiguous as trap:
            self._refuse(mark, "this value is ambiguous: quote it" if hidden(self._here()) else str(trap))
            value = event.value
        if not isinstance(value, str) and not self._skipping():
            self.document.sources[self._here()] = event.value
        self._place(value, mark)

    def _key(self, top: _Frame, event: Any, mark: Mark) -> None:
        key = event.value
        top.key = key
        top.key_refused = True
        path = (*top.path, key)
        if event.implicit[0] and key == "<<":
            self._report(mark, "the merge key << is not supported: write the keys out")
        elif event.implicit[0] and not _is_text(key):
            self._report(
                mark, f"a key is text: quote it: {quote(key)}" if key else "a key is missing before the colon"
            )
        elif path in self.document.keys and key in top.node:
            first = self.document.keys[path].line
            self._report(
                mark, f"duplicate key {quote(key)} on line {mark.line}: it is already set on line {first}"
            )
        else:
            top.key_refused = False
            if not top.skipped:
                self.document.keys[path] = mark

    def _open(self, node: dict[str, Any] | list[Any], mark: Mark) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise _Stop(self.document.problem_at(mark, f"nested deeper than {MAX_DEPTH} levels"))
        self._not_a_key(mark)
        frame = _Frame(node, self._here(), skipped=self._skipping())
        self._place(node, mark)
        self.stack.append(frame)

    def _not_a_key(self, mark: Mark) -> None:
        if self.stack and isinstance(self.stack[-1].node, dict) and self.stack[-1].key is None:
            raise _Stop(self.document.problem_at(mark, "a key must be plain text", self._here()))

    def _skipping(self) -> bool:
        return bool(self.stack) and (self.stack[-1].skipped or self.stack[-1].key_refused)

    def _place(self, value: Any, mark: Mark) -> None:
        if not self._skipping():
            self.document.values[self._here()] = mark
        if not self.stack:
            self.document.data = value
            return
        top = self.stack[-1]
        if isinstance(top.node, list):
            top.node.append(value)
        elif top.key is not None:
            if not top.key_refused:
                top.node[top.key] = value
            top.key, top.key_refused = None, False


def _is_text(key: str) -> bool:
    try:
        return isinstance(resolve(key), str)
    except Ambiguous:
        return False


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1) if mark else START
