"""``kind: image``: a local Docker image, as ``docker save`` writes it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from msgspec import Meta

from reconciler.errors import SourceError
from reconciler.model import Probe, SourceReport, Target, TargetId
from reconciler.model.restores import NO_FACTS
from reconciler.pipeline.checked import CheckedTar
from reconciler.pipeline.sink import PlainSink
from reconciler.ports import Engine, Host, Image, Sink, Source


class ImageTarget(Target, frozen=True, kw_only=True, tag="image"):
    """A local image. It is saved again only when its id has changed."""

    image: Annotated[
        str,
        Meta(
            title="Image",
            description="Name of the local image, with its tag or digest. Its type is the tag unless type says otherwise.",
            pattern="^[a-zA-Z0-9][a-zA-Z0-9_.:/@-]*$",
            examples=["myapp:v1.2.3"],
        ),
    ]

    @property
    def id(self) -> TargetId:
        """The service, and the tag as type."""
        return TargetId(self.name, self.type or _version(self.image))

    @property
    def in_images(self) -> bool:
        """Artifacts of images have a folder of their own."""
        return True

    def probe(self, host: Host) -> Probe:
        """Whether the image exists, and its id. Raises EngineError when the Engine does not answer."""
        engine = host.engine()
        image = engine.image(self.image)
        return Probe(fingerprint=image.id) if image else Probe(_missing(engine, self.image))

    def open(self, host: Host) -> Source:
        """Begin to save it. Raises SourceError, EngineError."""
        engine = host.engine()
        image = engine.image(self.image)
        if image is None:
            raise SourceError(_missing(engine, self.image))

        def complete(_: SourceReport) -> SourceReport:
            after = engine.image(self.image)
            if after is None or after.id != image.id:
                raise SourceError(
                    f"{self.image} became another image while it was saved: the next run saves that one"
                )
            return SourceReport(facts=_facts(self.image, image), fingerprint=image.id)

        return CheckedTar(engine.save_image(self.image), complete)

    def sink(self, host: Host, _facts: Mapping[str, str] = NO_FACTS, /) -> Sink:
        """Restores go to the Engine."""
        return sink(host)

    def restore_command(self, key: str) -> str:  # noqa: ARG002 - a port's signature
        """By hand: let Docker load it."""
        return "docker load"


def sink(host: Host) -> Sink:
    """Where images are restored to."""
    return ImageSink(host.engine())


class ImageSink(PlainSink):
    """A ports.Sink that loads an image. Nothing is destroyed: an image of the same name stays, without its name."""

    staged = False

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def check(self, overwrite: bool) -> None:
        """Nothing to refuse: loading adds."""

    def receive(self, chunks: Iterable[bytes]) -> None:
        """Load it. Raises EngineError."""
        self._engine.load_image(chunks)

    def commit(self) -> None:
        """The Engine has done it already."""

    def abort(self) -> None:
        """The Engine drops what it could not load."""


def _version(reference: str) -> str:
    """The tag, or twelve digits of the digest, as a type: lower case, with hyphens for what a type may not hold."""
    name, _, digest = reference.partition("@")
    if digest:
        algorithm, _, value = digest.partition(":")
        return f"{algorithm}-{value[:12]}"
    tag = name.rpartition("/")[2].partition(":")[2] or "latest"
    return re.sub(r"[^a-z0-9.-]", "-", tag.lower()).lstrip(".-")[:63] or "latest"


def _facts(reference: str, image: Image) -> dict[str, str]:
    facts = {"image": reference, "id": image.id}
    return {**facts, "digest": image.digests[0]} if image.digests else facts


def _missing(engine: Engine, name: str) -> str:
    close = difflib.get_close_matches(name, [tag for image in engine.images() for tag in image.tags], 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"image {name} does not exist here{hint}: docker pull gets it, docker image ls shows those that do"
