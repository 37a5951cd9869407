"""YAML of a compose file to nodes that know their lines. Used by compose; knows nothing of what the file means.

Unlike the specs' own reader it takes anchors, aliases and merge keys, which compose files live on. An aliased node is shared
and never copied, and what merge keys copy is counted, so an alias bomb costs an error message. Every scalar stays text.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import yaml

from reconciler.errors import SpecError
from reconciler.spec.problems import START, Mark, Problem, quote
from reconciler.spec.syntax import explain

MAX_DEPTH = 32
MAX_NODES = 20_000
MAX_MERGED = 50_000
_NULLS = ("", "~", "null", "Null", "NULL")


class Node(NamedTuple):
    """A value and its place; None is an empty value."""

    value: str | dict[str, Node] | list[Node] | None
    file: str
    mark: Mark

    @property
    def place(self) -> str:
        """The file's name and the line."""
        return f"{os.path.basename(self.file)}:{self.mark.line}"

    def error(self, message: str) -> SpecError:
        """The error to raise for something wrong here."""
        return failure(self.file, self.mark, message)

    def mapping(self) -> dict[str, Node]:
        """The keys and values; none where nothing stands. Raises SpecError for anything else."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.error("expected keys and values here")
        return self.value

    def items(self) -> list[Node]:
        """The items of a list; none where nothing stands. Raises SpecError for anything else."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self.error("expected a list here")
        return self.value

    def text(self) -> str:
        """The text as it stands in the file; empty where nothing stands. Raises SpecError for anything else."""
        if self.value is None:
            return ""
        if not isinstance(self.value, str):
            raise self.error("expected a single value here")
        return self.value


def failure(file: str, mark: Mark, message: str) -> SpecError:
    """One problem as an error."""
    return SpecError((str(Problem(file, mark.line, mark.column, "", message)),))


def read(file: str, text: str) -> Node:
    """The one document of ``text``, which came from ``file``. Raises SpecError."""
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = _mark(error.problem_mark or error.context_mark)
        raise failure(file, mark, explain(error.problem or "", text, mark)) from None
    except yaml.YAMLError as error:
        raise failure(file, START, f"this is not YAML: {error}") from None
    if builder.root is None:
        raise failure(file, START, "holds no document")
    return builder.root


class _Frame:
    """A mapping or list that is being filled, and what it is called if it has an anchor."""

    def __init__(self, node: Node, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.key: str | None = None
        self.merged: list[Node] = []


class _Builder:
    """Takes events and holds what they made so far."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Node | None = None
        self.stack: list[_Frame] = []
        self.anchors: dict[str, Node] = {}
        self.nodes = 0
        self.copied = 0

    def take(self, event: Any) -> None:
        """Build from one event. Raises SpecError."""
        mark = _mark(event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            empty = event.implicit[0] and event.value in _NULLS
            self._scalar(self._node(None if empty else event.value, mark), event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(
                self._node({} if isinstance(event, yaml.MappingStartEvent) else [], mark), event.anchor
            )
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor, mark)
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise failure(self.file, mark, "a second document: keep one compose file per file")

    def _node(self, value: Any, mark: Mark) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise failure(self.file, mark, f"more than {MAX_NODES:,} values in one file")
        return Node(value, self.file, mark)

    def _scalar(self, node: Node, event: Any) -> None:
        top = self.stack[-1] if self.stack else None
        if top is None or isinstance(top.node.value, list) or top.key is not None:
            self._place(node, event.anchor)
            return
        key = event.value
        if key in top.node.mapping() and key != "<<":
            raise node.error(f"duplicate key {quote(key)}")
        top.key = key

    def _open(self, node: Node, anchor: str | None) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise node.error(f"nested deeper than {MAX_DEPTH} levels")
        if self.stack and isinstance(self.stack[-1].node.value, dict) and self.stack[-1].key is None:
            raise node.error("a key must be plain text")
        self.stack.append(_Frame(node, anchor))

    def _close(self) -> None:
        frame = self.stack.pop()
        for other in frame.merged:
            self._merge(frame.node, other)
        self._place(frame.node, frame.anchor)

    def _merge(self, node: Node, other: Node) -> None:
        """Keys of ``other`` that ``node`` does not have itself: the first merged mapping that has one wins."""
        found = other.mapping()
        self.copied += len(found)
        if self.copied > MAX_MERGED:
            raise node.error("the merge keys << copy too much")
        own = node.mapping()
        for key, value in found.items():
            own.setdefault(key, value)

    def _alias(self, name: str | None, mark: Mark) -> None:
        self.nodes += 1
        found = self.anchors.get(name or "")
        if found is None:
            raise failure(self.file, mark, f"the alias *{name} names nothing that is complete here")
        self._place(found, None)

    def _place(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if isinstance(top.node.value, list):
            top.node.value.append(node)
        elif top.key is None:
            raise node.error("a key must be plain text")
        elif isinstance(top.node.value, dict):
            if top.key == "<<":
                top.merged += node.items() if isinstance(node.value, list) else [node]
            else:
                top.node.value[top.key] = node
            top.key = None


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1) if mark else START
