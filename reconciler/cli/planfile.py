"""A saved plan: what was reviewed is what is applied, or nothing is. Used by plan and apply."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from reconciler.errors import ReconcilerError, Refused
from reconciler.model import Plan
from reconciler.plan import shape

_LIMIT = 256 << 20  # bytes


class PlanFile(msgspec.Struct, frozen=True, kw_only=True):
    """What ``plan --out`` writes. ``specs`` is the absolute path of the specs."""

    format: Literal["reconciler/plan/v1"] = "reconciler/plan/v1"
    specs: str
    plan: Plan


def save(file: Path, specs: Path, plan: Plan) -> None:
    """Write a plan. Raises ReconcilerError."""
    content = msgspec.json.encode(PlanFile(specs=str(specs.resolve()), plan=plan))
    try:
        file.write_bytes(msgspec.json.format(content, indent=2) + b"\n")
    except OSError as error:
        raise ReconcilerError(f"the plan cannot be written to {file}: {error.strerror}") from None


def load(file: Path) -> PlanFile | None:
    """The saved plan in ``file``; None when ``file`` is no plan (a folder, YAML). Raises ReconcilerError."""
    if not file.is_file() or file.suffix in (".yaml", ".yml"):
        return None
    if file.stat().st_size > _LIMIT:
        raise ReconcilerError(f"{file} is too large to be a saved plan")
    try:
        return msgspec.json.decode(file.read_bytes(), type=PlanFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReconcilerError(f"{file} is neither a folder of specs nor a saved plan: {error}") from None


def check_same(saved: Plan, fresh: Plan) -> None:
    """Raises Refused, naming the first difference, when the world is no longer the one that was planned for."""
    before, now = shape(saved), shape(fresh)
    if before == now:
        return
    gone = [f"no longer: {' '.join(item)}" for item in before if item not in now]
    new = [f"now also: {' '.join(item)}" for item in now if item not in before]
    difference = "; ".join(gone[:1] + new[:1]) or "another order"
    raise Refused(
        f"the world has changed since the plan was saved ({difference}); nothing was done. Plan again"
    )
