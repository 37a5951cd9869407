"""A specs repository to begin with: every file's text, from what the Engine shows. Called by the command line; writes nothing."""

from __future__ import annotations

from reconciler.scaffold.found import Look, look
from reconciler.scaffold.installed import source
from reconciler.scaffold.layout import SPECS, Layout, files
from reconciler.scaffold.specs import DEFAULT_URL, protected
from reconciler.scaffold.zone import local_zone

__all__ = ["DEFAULT_URL", "SPECS", "Layout", "Look", "files", "local_zone", "look", "protected", "source"]
