"""The first phase: ``backup.d/*.yaml`` → Fleet, or every problem of every file at once, each with its place.

Called by the loop and the command line. It reads files and nothing else: no destination, Engine or repository is looked at,
and no secret is resolved.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from reconciler.errors import SpecError
from reconciler.model import Fleet
from reconciler.spec.check import check
from reconciler.spec.problems import Problem, Report
from reconciler.spec.schema import schema, write_schemas

__all__ = ["Problem", "Report", "check", "load", "schema", "write_schemas"]


def load(path: Path, commit: str | None = None) -> tuple[Fleet, tuple[Problem, ...]]:
    """The fleet at ``path``, marked with the git ``commit`` it came from, and the warnings. Raises SpecError."""
    report = check([path])
    if report.fleet is None:
        raise SpecError(tuple(str(problem) for problem in report.problems))
    return msgspec.structs.replace(report.fleet, commit=commit), report.problems
