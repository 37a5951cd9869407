"""The hooks of a restore, and what they are told. Used by the command line and by Restore documents."""

from __future__ import annotations

import os

from reconciler.choosing import Choice
from reconciler.lifecycle.environment import Facts
from reconciler.lifecycle.hooks import Hooks, hooks_of
from reconciler.model import Fleet, Manifest, Placed, TargetId
from reconciler.ports import Progress, World


def restore_hooks(
    choice: Choice, manifest: Manifest, to: str | None, fleet: Fleet, world: World, progress: Progress
) -> tuple[Hooks, tuple[str, ...]]:
    """The hooks of the target that is restored, and a sentence for those that are left out.

    Where no spec names the target any more, they are the Policy's. Data that goes elsewhere concerns no application where it
    came from: an exec hook runs then only in the container that ``to`` names.
    """
    target = TargetId(manifest.service, manifest.type)
    home = fleet.live.containers.get(target, "") or next(
        (item.uses.container for backup in fleet.backups for item in backup.targets if item.id == target), ""
    )
    form, _, name = (to or "").partition(":")
    placed = hooks_of(fleet, target)
    kept = placed if _is_home(to, manifest) else tuple(item for item in placed if _goes_along(item, form))
    facts = Facts(
        node=world.node,
        service=manifest.service,
        type=manifest.type,
        kind=manifest.kind,
        tier=manifest.tier,
        key=manifest.key,
        destinations=tuple(name for name, _ in choice.copies),
        size=manifest.size,
        source_size=manifest.source_size,
        sha256=manifest.sha256,
        container=name if form == "container" else home,
        restored_to=name or (to or ""),
    )
    return Hooks(kept, facts, world, progress, facts.container), _left_out(placed, kept)


def _is_home(to: str | None, manifest: Manifest) -> bool:
    """Whether the data goes where it came from."""
    if to is None:
        return True
    form, _, name = to.partition(":")
    if form == "path":
        return "path" in manifest.facts and os.path.realpath(name) == os.path.realpath(manifest.facts["path"])
    return form == "volume" and name == manifest.facts.get("volume")


def _goes_along(item: Placed, form: str) -> bool:
    """Whether a hook runs although the data goes elsewhere."""
    command = item.hook.exec
    return command is None or (form == "container" and not command.container)


def _left_out(placed: tuple[Placed, ...], kept: tuple[Placed, ...]) -> tuple[str, ...]:
    left = [
        item for item in placed if item not in kept and item.hook.phase in ("restore-pre", "restore-post")
    ]
    if not left:
        return ()
    named = ", ".join(sorted({f"{item.hook.phase} of {item.origin}" for item in left}))
    return (f"the data does not go where it came from: exec hooks are left out ({named})",)
