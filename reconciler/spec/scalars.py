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

_TRAPS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"),
        "some readers take it as a number in base 60",
    ),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?"), "some readers take it as a date"),
    (re.compile(r"[-+]?0o[0-7_]+|[-+]?0[0-9_]+"), "some readers take it as an octal number"),
    (re.compile(r"[-+]?0b[01_]+"), "some readers take it as a binary number"),
    (
        re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?|[-+]?0x[0-9a-fA-F_]+"),
        "some readers take it as a number",
    ),
    (re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+"), "some readers take it as a number"),
    (re.compile(r"="), "some readers give it a meaning of its own"),
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
    for trap, why in _TRAPS:
        if trap.fullmatch(text):
            raise Ambiguous(f"{_clip(text)} is ambiguous ({why}): quote it: {quote(text)}")
    return text


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise Ambiguous(f"the number {_clip(text)} is too long; if it is text, quote it")
    return int(text, 16 if "x" in text else 10)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise Ambiguous(f"the number {_clip(text)} is too large; if it is text, quote it")
    return number


def _clip(text: str) -> str:
    return quote(text)[1:-1]
