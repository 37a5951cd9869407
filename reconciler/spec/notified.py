"""What no schema can tell of the Policy's notifications. Used by ``fields``.

Works on the plain data; a value of a wrong type is none of its business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from reconciler import registry
from reconciler.model.notifications import VARIABLES
from reconciler.spec.problems import Path, quote
from reconciler.spec.suggest import did_you_mean

Finding = tuple[Path, str]

_NAMED = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_OF_MESSAGES = ("tell", "title", "body")


def notifier_findings(block: dict[str, Any], path: Path) -> Iterator[Finding]:
    """What is wrong in ``block["notifications"]``."""
    listed = block.get("notifications")
    seen: set[str] = set()
    for position, item in enumerate(listed if isinstance(listed, list) else []):
        if not isinstance(item, dict):
            continue
        here = (*path, "notifications", position)
        yield from _notifier(item, here)
        name = item.get("name")
        if isinstance(name, str) and name in seen:
            yield (*here, "name"), f"two notifiers are called {quote(name)}: give each its own name"
        elif isinstance(name, str):
            seen.add(name)


def _notifier(item: dict[str, Any], here: Path) -> Iterator[Finding]:
    kinds = registry.names("notifiers")
    given = [kind for kind in kinds if kind in item]
    if len(given) != 1:
        got = f"got {' and '.join(given)}" if given else "got none of them"
        yield here, f"a notifier has exactly one of {', '.join(kinds)}; {got}"
    for key in _OF_MESSAGES:
        if given == ["ping"] and key in item:
            yield (*here, key), "a ping sends no messages: remove it"
        elif isinstance(item.get(key), str):
            yield from _template(item[key], (*here, key))


def _template(text: str, here: Path) -> Iterator[Finding]:
    for name in _NAMED.findall(text):
        if name and name not in VARIABLES:
            known = ", ".join(VARIABLES)
            yield (
                here,
                f"no variable is called {quote(name)}{did_you_mean(name, VARIABLES)}; there are {known}",
            )
