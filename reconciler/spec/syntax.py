"""The YAML parser's complaints in plain words. Used by the reader."""

from __future__ import annotations

from reconciler.spec.problems import Mark, quote

_WORDS = (
    ("did not find expected ',' or ']'", "a list [ … ] is not closed, or a comma is missing"),
    ("did not find expected ',' or '}'", "a mapping { … } is not closed, or a comma is missing"),
    ("found unexpected end of stream", "the file ends inside a quoted text: close the quotes"),
    (
        "mapping values are not allowed",
        "a second colon on the line: quote the value, or check the indentation",
    ),
    ("could not find expected ':'", "a key without a colon: write “key: value”, or check the indentation"),
    (
        "did not find expected key",
        "the indentation does not fit the lines above, or a quoted text ends too early",
    ),
    ("did not find expected '-' indicator", "the indentation does not fit the list above"),
    ("did not find expected <document start>", "the indentation does not fit the lines above"),
    ("found unknown escape character", "unknown escape in double quotes: use single quotes, or write \\\\"),
    ("scanning an alias", "a value that starts with * must be quoted"),
    ("expected alphabetic or numeric character", "a value that starts with * or & must be quoted"),
    ("block sequence entries are not allowed", "a list item cannot begin here: put it on a line of its own"),
    ("undefined tag handle", "a value that starts with ! must be quoted"),
    ("found a tab character", "a tab in the indentation: use spaces"),
)


def explain(problem: str, text: str, mark: Mark) -> str:
    """One line that says what is wrong at ``mark`` of ``text``, in which the parser found ``problem``."""
    if "cannot start any token" in problem:
        return _bad_start(text, mark)
    for known, words in _WORDS:
        if known in problem:
            return words
    return f"this is not YAML: {problem or 'it cannot be read'}"


def _bad_start(text: str, mark: Mark) -> str:
    lines = text.splitlines()
    line = lines[mark.line - 1] if mark.line <= len(lines) else ""
    character = line[mark.column - 1 : mark.column]
    if character == "\t" or line[: mark.column].endswith("\t"):
        return "a tab in the indentation: use spaces"
    return f"a value cannot start with {quote(character)[1:-1] or 'this'}: put it in quotes"
