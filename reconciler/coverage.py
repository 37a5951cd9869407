"""What the Engine holds, against what the specs protect. Called by the command line."""

from __future__ import annotations

from typing import Literal

import msgspec

from reconciler.model import Fleet, Target
from reconciler.ports import Container, Engine, Image


class Item(msgspec.Struct, frozen=True, rename="camel"):
    """A volume or an image. ``by`` is the target that protects it, ``why`` says why it needs none.

    ``size`` in bytes; 0 where it is not known.
    """

    kind: Literal["volume", "image"]
    name: str
    covered: bool
    by: str = ""
    why: str = ""
    used_by: tuple[str, ...] = ()
    size: int = 0


def survey(fleet: Fleet, engine: Engine) -> list[Item]:
    """Every volume and every tagged local image, sorted by kind and name. Raises EngineError."""
    targets = [target for backup in fleet.backups if not backup.suspend for target in backup.targets]
    containers = engine.containers()
    volumes = _protected(targets, "volume")
    images = _protected(targets, "image")
    found = [_volume(volume.name, volumes, containers) for volume in engine.volumes()]
    found += [_image(image, tag, images) for image in engine.images() for tag in image.tags]
    return sorted(found, key=lambda item: (item.kind != "volume", item.name))


def _protected(targets: list[Target], kind: str) -> dict[str, str]:
    """The targets of one kind, by the volume or image that they name."""
    return {str(getattr(target, kind)): str(target.id) for target in targets if target.kind == kind}


def _volume(name: str, protected: dict[str, str], containers: tuple[Container, ...]) -> Item:
    used_by = tuple(sorted(container.name for container in containers if name in container.volumes))
    return Item("volume", name, name in protected, protected.get(name, ""), used_by=used_by)


def _image(image: Image, tag: str, protected: dict[str, str]) -> Item:
    by = protected.get(tag, "") or protected.get(tag.removesuffix(":latest"), "")
    why = "a registry holds it" if image.digests and not by else ""
    return Item("image", tag, bool(by or why), by, why, size=image.size)
