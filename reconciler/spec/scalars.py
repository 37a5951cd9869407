"""What a YAML word without quotes means. Used by the reader; no YAML library decides it.

Only what YAML 1.1 and YAML 1.2 read alike is taken: true, false, null, decimal and hexadecimal numbers, and text. What they
read differently is refused, since the file's other readers (editors, linters, people) may take it the other way.
"""

from __future__ import annotations

import math
import re

from reconciler.spec.problems import quote

Scalar = str | int | float | bool | None

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_SWITCH = re.compile(r"yes|no|on|off|y|n|true|false", re.IGNORECASE)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*|0x[0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.inf|\.nan", re.IGNORECASE)
_DIGITS = 18

_QUOTE = "quote it"
_NUMBER = "write a plain decimal number, or quote it"
_TRAPS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), "a number in base 60", _QUOTE),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?"), "a date", _QUOTE),
    (re.compile(r"[-+]?0o[0-7_]+|[-+]?0[0-9_]+"), "an octal number", _NUMBER),
    (re.compile(r"[-+]?0b[01_]+"), "a binary number", _NUMBER),
    (re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?|[-+]?0x[0-9a-fA-F_]+"), "a number", _NUMBER),
    (re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+"), "a number", _NUMBER),
    (re.compile(r"="), "a word of YAML's own", _QUOTE),
)


class Ambiguous(ValueError):
    """A word that YAML readers take differently, or that cannot be a value; says what to write instead."""


def resolve(text: str) -> Scalar:
    """The value of a word without quotes. Raises Ambiguous."""
    if text in _WORDS:
        return _WORDS[text]
    if _SWITCH.fullmatch(text):
        raise Ambiguous(f"{text} is ambiguous: quote it, or write true or false")
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _finite(text)
    if _ENDLESS.fullmatch(text):
        raise Ambiguous(f"{text} is not a finite number; if it is text, quote it: {quote(text)}")
    for trap, meaning, advice in _TRAPS:
        if trap.fullmatch(text):
            raise Ambiguous(
                f"{_clip(text)} is ambiguous ({meaning} to some readers): {advice}: {quote(text)}"
            )
    return text


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise Ambiguous(f"the number {_clip(text)} is too long; if it is text, quote it")
    return int(text, 16 if "x" in text else 10)


def _finite(text: str) -> float:
    if len(text) > _DIGITS or math.isinf(number := float(text)):
        raise Ambiguous(f"the number {_clip(text)} is too long or too large; if it is text, quote it")
    return number


def _clip(text: str) -> str:
    return quote(text)[1:-1]
