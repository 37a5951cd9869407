"""“Did you mean …?” for everything that people can misspell. Used by the other modules of this phase."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean "x"?)``, or nothing when no known word is near. Letter case does not count."""
    near = closest(word, known)
    return f' (did you mean "{near}"?)' if near else ""


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is nearest to ``word``, or None."""
    from difflib import get_close_matches

    by_folded = {_folded(name): name for name in sorted(known, reverse=True)}
    cutoff = 0.6 if len(word) <= 3 else 0.75  # one wrong letter of three is a third of the word
    near = get_close_matches(_folded(word[:100]), by_folded, n=1, cutoff=cutoff)
    return by_folded[near[0]] if near else None


def misspelt(key: str, written: Iterable[str], known: Collection[str]) -> bool:
    """Whether one of the ``written`` keys is no known one and is meant to be ``key``."""
    return any(word not in known and closest(word, known) == key for word in written)


def _folded(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")
