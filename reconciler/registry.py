"""Kinds by name: the file name in ``targets/`` or ``destinations/`` is the kind in YAML.

Used by spec, observe, apply and restore.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def names(group: str) -> tuple[str, ...]:
    """Every kind of ``group`` (``targets``, ``destinations``, ``hooks``, ``notifiers``), sorted. Imports none of them."""
    package = importlib.import_module(f"reconciler.{group}")
    return tuple(sorted(module.name for module in pkgutil.iter_modules(package.__path__)))


def find(group: str, name: str) -> ModuleType:
    """The module of one kind. KeyError when there is none: the name never reaches the import system unchecked."""
    if name not in names(group):
        raise KeyError(name)
    return importlib.import_module(f"reconciler.{group}.{name}")
