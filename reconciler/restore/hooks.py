"""The hooks of a restore, and what they are told. Used by the command line and by Restore documents."""

from __future__ import annotations

from reconciler.lifecycle.environment import Facts
from reconciler.lifecycle.hooks import Hooks, hooks_of
from reconciler.model import Fleet, Manifest, TargetId
from reconciler.ports import Progress, World
from reconciler.restore.choose import Choice


def restore_hooks(
    choice: Choice, manifest: Manifest, to: str | None, fleet: Fleet, world: World, progress: Progress
) -> Hooks:
    """The hooks of the target that is restored; none where no spec names it any more but the Policy's."""
    target = TargetId(manifest.service, manifest.type)
    container = fleet.live.containers.get(target, "") or next(
        (item.uses.container for backup in fleet.backups for item in backup.targets if item.id == target), ""
    )
    if to and to.startswith("container:"):
        container = to.partition(":")[2]
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
        container=container,
        restored_to=to or "",
    )
    return Hooks(hooks_of(fleet, target), facts, world, progress, container)
