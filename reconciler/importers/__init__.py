"""Other systems' files to specs. Called by the command line; writes nothing, and asks neither Engine nor destination."""

from __future__ import annotations

from reconciler.importers.convert import Imported, imported

__all__ = ["Imported", "imported"]
