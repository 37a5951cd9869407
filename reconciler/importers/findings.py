"""What an import found worth telling: what is lost, what differs, which secrets are needed. Used by convert."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reconciler.importers.variables import Setting

_NAME = re.compile(r"(docker-volume-backup\.)?[a-z.-]{1,40}|[A-Z][A-Z0-9_]{0,40}")


def shown(name: str) -> str:
    """A name that is not known, if it looks like one: a typing mistake before it may have made a secret part of it."""
    return name if _NAME.fullmatch(name) else "an odd name"


class Findings:
    """Collects, in order, each once. No value of a setting is ever kept in a text."""

    def __init__(self) -> None:
        self.lost: dict[str, None] = {}
        self.different: dict[str, None] = {}
        self.needless: dict[str, None] = {}
        self.needed: dict[str, None] = {}
        self._names: dict[str, str] = {}

    def lose(self, place: str, what: str, why: str) -> None:
        """``what`` is not carried over."""
        self.lost.setdefault(f"{place}: {what}: {why}")

    def differ(self, place: str, what: str, why: str) -> None:
        """``what`` is carried over, and is not quite the same here."""
        self.different.setdefault(f"{place}: {what}: {why}")

    def drop(self, place: str, what: str, why: str) -> None:
        """``what`` has nothing to become, and is not missed."""
        self.needless.setdefault(f"{place}: {what}: {why}")

    def environment(self, name: str, setting: Setting, owner: str) -> dict[str, str]:
        """A reference to a variable that holds the secret: theirs, or ``name``, made unlike others that hold something else."""
        chosen = setting.variable or name
        if self._names.setdefault(chosen, setting.value) != setting.value:
            chosen = f"{chosen}_{owner.upper().replace('-', '_').replace('.', '_')}"
            self._names[chosen] = setting.value
        where = (
            f"its value is at {setting.place}"
            if not setting.variable
            else f"docker compose takes it at {setting.place}"
        )
        self.needed.setdefault(f"{chosen}: {where}")
        return {"fromEnv": chosen}

    def sections(self) -> Iterator[tuple[str, list[str]]]:
        """The lists that hold something, with their titles."""
        titles = {
            "Not carried over": self.lost,
            "Different here": self.different,
            "Not needed here": self.needless,
            "Secrets that the reconciler needs in its environment": self.needed,
        }
        return ((title, list(found)) for title, found in titles.items() if found)
